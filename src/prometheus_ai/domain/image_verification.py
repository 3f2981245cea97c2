"""Whether an image is the one that was recorded."""

from dataclasses import dataclass

from prometheus_ai.domain.gate import SignatureCheck


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
