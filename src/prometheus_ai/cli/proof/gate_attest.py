"""``pai gate attest``."""

import json

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import as_json, command, with_client
from prometheus_ai.cli.supply.key_option import key_option
from prometheus_ai.client.session import Client
from prometheus_ai.compose.signing import sign_with
from prometheus_ai.domain.errors import InvalidInput

KINDS = ("provenance", "sbom", "scan", "decision")


@command()
@click.argument("name")
@click.option("--version", "version_", metavar="VERSION", help="A version instead of the newest.")
@click.option(
    "--only", multiple=True, type=click.Choice(KINDS), help="A statement to sign; all by default."
)
@key_option
@as_json
@with_client
def attest(
    client: Client, name: str, version_: str | None, only: tuple[str, ...], key: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Sign what is known of backend NAME: SLSA provenance, packages, findings and the gate's decision.

    Each becomes an in-toto statement in a DSSE bundle about the image, or about the release where its
    target runs none. The key stays on this machine. The gate's decision is signed only when it lets the
    release run.

    Examples:
      pai gate attest digits --key release.pem
      pai gate attest digits --only provenance --only sbom --key "exec:kms-sign prod"
    """
    found = [one for one in client.statements(name, version_) if one.kind in (only or KINDS)]
    if missing := [kind for kind in only if kind not in {one.kind for one in found}]:
        raise InvalidInput(
            f"there is no {' and no '.join(missing)} to sign", hint="`pai gate explain` says why"
        )
    kept = []
    for one in found:
        predicate = json.dumps(one.predicate).encode()
        bundle = sign_with(key, one.subject, one.name, (one.predicate_type, predicate))
        check = client.add_signature(one.subject, bundle.decode())
        kept.append({"kind": one.kind, "subject": one.subject, "key": check.key})
    if as_json:
        output.write_json(kept)
        return
    for entry in kept:
        said = (
            f"as {entry['key']}" if entry["key"] else "by a key that the policy does not name yet"
        )
        output.write(f"signed {entry['kind']} of {entry['subject']} {said}")
