"""The Python of an image, and the modules that it can import; pure."""

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from prometheus_ai.domain.image_contents import ImageContents
from prometheus_ai.images.view import view_of

MODULES_MAX = 400
_PLACE = re.compile(
    r"^(?P<prefix>.*?)/?lib/(?P<python>python3(\.\d+)?)/(?P<kind>site|dist)-packages/(?P<rest>.+)$"
)
_MODULE = re.compile(
    r"^(?P<name>[A-Za-z][A-Za-z0-9_]*)(/__init__\.py|\.py|(\.cpython-[\w-]+|\.abi3)?\.so)$"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Importable:
    """An interpreter, and what it can import."""

    python: str
    """Absolute path; empty when the image has none that is known."""
    modules: tuple[str, ...]


def importable(contents: ImageContents, without: Collection[str]) -> Importable:
    """Find the interpreter with most packages, and the modules that are there beside the paths ``without``."""
    live = view_of(contents.layers).live
    sizes: Counter[str] = Counter()
    modules: dict[str, set[str]] = {}
    for path, (_, file) in live.items():
        place = _PLACE.match(path)
        if place is None:
            continue
        prefix = place["prefix"]
        sizes[prefix] += file.size_bytes
        module = _MODULE.match(place["rest"])
        if module is not None and path not in without:
            modules.setdefault(prefix, set()).add(module["name"])
    for prefix, _ in sizes.most_common():
        # What Debian's own Python has in /usr/local is not imported by a Python of /usr/local.
        for folder in (prefix, "usr"):
            for name in ("python3", "python"):
                path = f"{folder}/bin/{name}".lstrip("/")
                if path in live:
                    found = sorted(modules.get(prefix, ()))[:MODULES_MAX]
                    return Importable(python=f"/{path}", modules=tuple(found))
    return Importable(python="", modules=())
