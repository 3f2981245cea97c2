"""Verifying the image of a release: its digest, its labels, its signatures."""

from collections.abc import Sequence
from dataclasses import dataclass

from prometheus_ai.build import image_tag
from prometheus_ai.control.containers.images import image_history, installation_id, maker_of
from prometheus_ai.control.gates.admit import signatures_of
from prometheus_ai.control.gates.explain import policy_of
from prometheus_ai.control.plane import Plane
from prometheus_ai.domain.errors import NotFound
from prometheus_ai.domain.gate import SignatureCheck
from prometheus_ai.domain.image import (
    LABEL_LOCK,
    LABEL_MODEL,
    LABEL_PLAN,
    LABEL_RELEASE,
    BuildRecord,
    ImageFacts,
)
from prometheus_ai.domain.release import Release
from prometheus_ai.gates.signatures import IMAGE_PREDICATE


@dataclass(frozen=True, kw_only=True, slots=True)
class VerifiedFact:
    """One thing that was recorded, and what the image says of it."""

    name: str
    recorded: str
    found: str

    @property
    def agrees(self) -> bool:
        """Whether both are the same."""
        return self.recorded == self.found


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageVerification:
    """An image of a release, compared with its record."""

    backend: str
    version: str
    target: str
    tag: str
    image: str
    """The digest that the engine knows it by."""
    facts: tuple[VerifiedFact, ...]
    signatures: tuple[SignatureCheck, ...]
    signed_by: tuple[str, ...]
    """Keys of the policy that signed this image as an image."""


def verify_release_image(plane: Plane, backend: str, version: str | None) -> ImageVerification:
    """Compare what the engine has with what was recorded, and verify signatures with the policy's keys.

    Raises:
        NotFound: there is no such release, or its target has no image of it.
        Unsupported: its target runs no containers.
        Unavailable: the engine cannot be reached.
    """
    with plane.store.read() as reading:
        releases = reading.releases(backend)
    wanted = version or (releases[-1].version if releases else "")
    release = next((one for one in releases if one.version == wanted), None)
    if release is None:
        raise NotFound(f"there is no release {backend} {version or ''}".rstrip())
    target = release.spec.target
    builder = maker_of(plane, target).builder
    tag = image_tag(installation_id(plane.store), release)
    facts = builder.facts(tag, with_files=False)
    builds = [one for one in image_history(plane, backend) if one.tag == tag]
    signatures: tuple[SignatureCheck, ...] = ()
    if plane.gate is not None:
        signatures = signatures_of(plane, plane.gate, facts.image, policy_of(plane.gate))
    return ImageVerification(
        backend=backend,
        version=release.version,
        target=target,
        tag=tag,
        image=facts.image,
        facts=verified_facts(release, facts, builds),
        signatures=signatures,
        signed_by=tuple(
            sorted({one.key for one in signatures if _counts(one, facts.image)})
        ),
    )  # fmt: skip


def verified_facts(
    release: Release, facts: ImageFacts, builds: Sequence[BuildRecord]
) -> tuple[VerifiedFact, ...]:
    """Compare an image with its release and with the newest recorded build of its tag."""
    labels = (
        ("release", LABEL_RELEASE, f"{release.id}@{release.digest}"),
        ("lock", LABEL_LOCK, release.inputs.lock.digest),
        ("model", LABEL_MODEL, release.inputs.model.digest),
    )
    found = [
        VerifiedFact(name=name, recorded=recorded, found=facts.labels.get(label, ""))
        for name, label, recorded in labels
    ]
    if builds:
        last = builds[-1]
        plan = facts.labels.get(LABEL_PLAN, "")
        found.insert(0, VerifiedFact(name="digest", recorded=last.image, found=facts.image))
        found.append(VerifiedFact(name="plan", recorded=last.plan, found=plan))
    return tuple(found)


def _counts(check: SignatureCheck, image: str) -> bool:
    is_ours = check.subject == image and check.predicate == IMAGE_PREDICATE
    return bool(check.key) and not check.problem and is_ours
