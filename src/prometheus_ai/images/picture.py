"""The files of an image as nested shares, few enough for a picture; pure."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_ai.domain.image_contents import TreeNode
from prometheus_ai.images.view import View

DEPTH_MAX = 7
SHARE_MIN = 0.002
"""Of the whole: what is smaller is drawn together."""


@dataclass(kw_only=True)
class _Folder:
    size: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    folders: dict[str, "_Folder"] = field(default_factory=dict)


def picture(view: View, kinds: Mapping[str, str]) -> TreeNode:
    """Return folders and large files with the bytes below; files that are not seen stand apart."""
    root = _Folder()
    total = 0
    for path, (_, file) in view.live.items():
        total += file.size_bytes
        _count(root, path, file.size_bytes, kinds.get(path, ""))
    dead = sum(one.file.size_bytes for one in view.dead)
    seen = _node("/", root, max(1, round(total * SHARE_MIN)))
    if not dead:
        return seen
    hidden = TreeNode(name="deleted or replaced later", size_bytes=dead, kind="dead-bytes")
    return TreeNode(name="image", size_bytes=total + dead, children=(seen, hidden))


def _count(root: _Folder, path: str, size: int, kind: str) -> None:
    here = root
    here.size += size
    here.kinds[kind] += size
    for name in path.split("/")[:DEPTH_MAX]:
        here = here.folders.setdefault(name, _Folder())
        here.size += size
        here.kinds[kind] += size


def _node(name: str, folder: _Folder, least: int) -> TreeNode:
    # A chain of folders that hold one folder each is drawn as one.
    while len(folder.folders) == 1:
        (inner,) = folder.folders
        if not folder.folders[inner].folders:
            break
        name, folder = f"{name.rstrip('/')}/{inner}", folder.folders[inner]
    return TreeNode(
        name=name,
        size_bytes=folder.size,
        kind=_most(folder.kinds, folder.size),
        children=tuple(_children(folder, least)),
    )


def _children(folder: _Folder, least: int) -> Iterator[TreeNode]:
    large = {name: one for name, one in folder.folders.items() if one.size >= least}
    for name, one in sorted(large.items(), key=lambda item: (-item[1].size, item[0])):
        yield _node(name, one, least)
    small = [one for name, one in folder.folders.items() if name not in large]
    rest = sum(one.size for one in small)
    if large and rest >= least:
        kinds = sum((one.kinds for one in small), Counter())
        yield TreeNode(name=f"{len(small)} smaller", size_bytes=rest, kind=_most(kinds, rest))


def _most(kinds: Counter[str], size: int) -> str:
    kind, most = kinds.most_common(1)[0] if kinds else ("", 0)
    return kind if most * 2 > size else ""
