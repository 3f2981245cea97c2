"""What lies in an image, layer by layer, and what is concluded from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

FileKind = Literal["file", "link", "removed", "opaque"]


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredFile:
    """One entry of a layer."""

    path: str
    """Without a leading slash."""
    size_bytes: int = 0
    digest: bytes = b""
    """Short digest of a file's content: equal ones are duplicates."""
    kind: FileKind = "file"
    """``removed`` hides a path of a lower layer, ``opaque`` hides all that a lower layer has in a folder."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredLayer:
    """One layer with its files."""

    digest: str
    made_by: str
    files: tuple[StoredFile, ...]

    @property
    def size_bytes(self) -> int:
        """Bytes of its files."""
        return sum(file.size_bytes for file in self.files)


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageContents:
    """An image as read from an archive."""

    image: str
    """Its digest."""
    layers: tuple[StoredLayer, ...]
    """Lowest first."""
    databases: Mapping[str, str]
    """Texts of files that describe packages, by path, as the uppermost layer has them."""
    history: tuple[tuple[str, bool], ...] = ()
    """Each step of the build, and whether it made a layer."""
    user: str = ""
    has_healthcheck: bool = False
    entrypoint: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    is_whole: bool = True
    """False for a root file system, which has neither history nor settings."""


class Risk(StrEnum):
    """How likely a change breaks something."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerShare:
    """What a layer is made of."""

    digest: str
    made_by: str
    size_bytes: int
    files: int
    dead_bytes: int
    """Bytes that a later layer overwrites or deletes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PackageShare:
    """What a package takes."""

    name: str
    version: str
    kind: str
    """``python``, ``dpkg`` or ``apk``."""
    size_bytes: int
    files: int
    layer: int
    """Number of the layer with most of it, lowest is 1."""
    bytecode_bytes: int = 0
    test_bytes: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Suggestion:
    """One change that makes an image smaller, or its rebuilds."""

    kind: str
    title: str
    why: str
    remedy: str
    risk: Risk
    saves_bytes: int = 0
    """Bytes that go; a file counts for one suggestion only, so these add up."""
    rebuilds_bytes: int = 0
    """Bytes that every edit of the code makes and pushes anew."""
    files: int = 0
    examples: tuple[str, ...] = ()
    can_be_proved: bool = True
    """Whether leaving files out is all of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageFinding:
    """Something wrong with an image that is not about its size."""

    kind: str
    severity: Risk
    message: str
    remedy: str
    where: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One thing that was tried in the image before and after."""

    name: str
    worked_before: bool
    works_after: bool
    words: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Proof:
    """What came of rebuilding an image with suggestions applied, and trying it."""

    verdict: Literal["safe", "imports-only", "breaks"]
    """``safe``: imports and predictions work as before; ``imports-only``: nothing was there to predict with."""
    applied: tuple[str, ...]
    """Kinds of the suggestions that were applied."""
    left_out: tuple[str, ...]
    """Kinds that broke it and were taken back."""
    tag: str
    """The trimmed image; empty when it breaks."""
    size_before_bytes: int
    size_after_bytes: int
    checks: tuple[Check, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class TreeNode:
    """A folder or a large file with the bytes below it, for a picture."""

    name: str
    size_bytes: int
    kind: str = ""
    """What most of it is, by the kind of a suggestion; empty for what is needed."""
    children: tuple["TreeNode", ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageAnalysis:
    """All that is said about an image."""

    image: str
    name: str
    size_bytes: int
    """Bytes of all layers."""
    live_bytes: int
    """Bytes that a container sees."""
    dead_bytes: int
    duplicate_bytes: int
    files: int
    layers: tuple[LayerShare, ...]
    packages: tuple[PackageShare, ...]
    suggestions: tuple[Suggestion, ...]
    findings: tuple[ImageFinding, ...]
    tree: TreeNode
    proof: Proof | None = None

    @property
    def saves_bytes(self) -> int:
        """Bytes that all suggestions together save."""
        return sum(one.saves_bytes for one in self.suggestions)
