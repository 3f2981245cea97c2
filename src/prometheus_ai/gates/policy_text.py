"""Text of a policy file to a ``Policy``."""

import hashlib
import io

import rfc8785
from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from prometheus_ai.domain.errors import InvalidSpec, SpecProblem
from prometheus_ai.domain.gate_policy import Policy

DEFAULT_POLICY = """\
# What may run where. The first section that matches decides. Rules and fields: docs/guides/supply-chain.md
version: 1
sections:
  - name: this machine
    targets: [local]
    # The owner of this machine trained the model: a scan, no signature. Pickles need allow_pickle too.
    model_files: {mode: enforce, pickle: clean}
    vulnerabilities: {mode: warn, block: [critical, high]}
    sbom: {mode: warn}
  - name: everywhere else
    # What could not be looked at, or was judged by no data or old data, does not start.
    model_files: {mode: enforce, pickle: clean}
    vulnerabilities: {mode: enforce, block: [critical], fixable_only: true, data_age_days_max: 7}
    sbom: {mode: enforce}
    secrets: {mode: enforce}
    hardening: {mode: warn}
accepted_risks: []
"""
STRICT_POLICY = """\
# What may run where, for production: nothing runs unsigned, unattested, unscanned or judged by old data.
version: 1
keys: {}
sections:
  - name: this machine
    targets: [local]
    vulnerabilities: {mode: warn, block: [critical, high]}
    sbom: {mode: warn}
  - name: production
    model_files: {mode: enforce, pickle: clean, python: false}
    model_signature: {mode: enforce}
    image_signature: {mode: enforce}
    attestations: {mode: enforce, demand: [provenance, sbom, scan]}
    vulnerabilities: {mode: enforce, block: [critical, unrated], data_age_days_max: 7}
accepted_risks: []
"""


def read_policy(text: str, source: str) -> Policy:
    """Read the text of a policy file; ``source`` names it in messages.

    Raises:
        InvalidSpec: with every problem and its field.
    """
    try:
        found = YAML(typ="safe", pure=True).load(io.StringIO(text))
    except (YAMLError, ValueError, RecursionError) as error:
        problem = SpecProblem(field="", message=f"not valid YAML: {error}")
        raise InvalidSpec((problem,), source=source) from error
    if not isinstance(found, dict):
        problem = SpecProblem(field="", message="a policy is a mapping with `sections`")
        raise InvalidSpec((problem,), source=source)
    try:
        return Policy.model_validate(found)
    except ValidationError as error:
        problems = tuple(
            SpecProblem(field=".".join(map(str, one["loc"])), message=one["msg"])
            for one in error.errors()
        )
        raise InvalidSpec(problems, source=source) from error


def policy_digest(policy: Policy) -> str:
    """Return ``sha256:<hex>`` over the policy's content; comments and order of keys do not count."""
    content = rfc8785.dumps(policy.model_dump(mode="json"))
    return "sha256:" + hashlib.sha256(content).hexdigest()
