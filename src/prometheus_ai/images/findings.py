"""What is wrong with an image beside its size; pure."""

from collections.abc import Iterator, Mapping, Sequence

from prometheus_ai.domain.gate import SecretFinding
from prometheus_ai.domain.image_contents import ImageContents, ImageFinding, Risk

_ROOTS = ("", "0", "root", "0:0", "root:root")


def findings_of(
    contents: ImageContents, secrets: Sequence[SecretFinding], numbers: Mapping[str, int]
) -> tuple[ImageFinding, ...]:
    """Return every finding, the worst first; ``numbers`` are those of layers by digest."""
    found = [*_secrets(secrets, numbers)]
    if contents.is_whole:
        found += _settings(contents)
    order = [Risk.HIGH, Risk.MEDIUM, Risk.LOW]
    return tuple(sorted(found, key=lambda one: order.index(one.severity)))


def _secrets(
    secrets: Sequence[SecretFinding], numbers: Mapping[str, int]
) -> Iterator[ImageFinding]:
    for secret in secrets:
        layer = f", layer {numbers[secret.layer]}" if secret.layer in numbers else ""
        yield ImageFinding(
            kind="secret",
            severity=Risk.HIGH,
            message=f"{secret.rule}: {secret.excerpt}",
            remedy="revoke it, then pass it as RUN --mount=type=secret; deleting it later hides nothing",
            where=f"{secret.file}:{secret.line}{layer}",
        )


def _settings(contents: ImageContents) -> Iterator[ImageFinding]:
    if contents.user in _ROOTS:
        yield ImageFinding(
            kind="root-user",
            severity=Risk.MEDIUM,
            message="the container runs as root",
            remedy="USER 10001:10001 at the end, files owned by root and not writable",
        )
    if not contents.has_healthcheck:
        yield ImageFinding(
            kind="no-healthcheck",
            severity=Risk.LOW,
            message="nothing tells whether what runs is well",
            remedy="HEALTHCHECK CMD …, asking the server itself",
        )
    if contents.entrypoint[:2] in (("/bin/sh", "-c"), ("/bin/bash", "-c")):
        yield ImageFinding(
            kind="shell-form",
            severity=Risk.LOW,
            message="a shell is process 1 and passes no signal on: every stop waits, and then kills",
            remedy='write ENTRYPOINT and CMD as lists: ["python", "-m", …]',
        )
