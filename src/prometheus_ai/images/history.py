"""What the steps of a build say about their order; pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_NOP = re.compile(r"^/bin/sh -c #\(nop\)\s+")
_SHELL = re.compile(r"^(RUN )?(/bin/(?:ba|a)?sh -[a-z]*c )?")
_INSTALL = re.compile(
    r"\b(pip3? install|uv (sync|pip (install|sync))|poetry install|conda (install|env)|pipenv (install|sync))\b"
)
_LOCKS = re.compile(
    r"^(requirements[\w.-]*\.(txt|in|lock)|pyproject\.toml|setup\.(py|cfg)|[\w.-]*\.lock|Pipfile(\.lock)?"
    r"|poetry\.lock|environment\.ya?ml|constraints[\w.-]*\.txt|.*\.whl)$"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One step of a build that made a layer."""

    words: str
    layer: int

    @property
    def installs(self) -> bool:
        """Whether it installs Python packages."""
        return self.words.startswith("RUN") and _INSTALL.search(self.words) is not None

    @property
    def copies_code(self) -> bool:
        """Whether it copies more than the lists of what to install, from outside of the build."""
        if not self.words.startswith(("COPY", "ADD")) or "--from=" in self.words:
            return False
        words = [word for word in self.words.split()[1:] if not word.startswith("--")]
        if "in" in words:  # the classic builder: COPY dir:… in /app
            words = words[: words.index("in") + 1]
            return any(word.startswith(("dir:", "multi:")) for word in words)
        sources = words[:-1]
        return bool(sources) and not all(_LOCKS.match(one.rpartition("/")[2]) for one in sources)


def steps_of(history: Sequence[tuple[str, bool]]) -> tuple[Step, ...]:
    """Return the steps that made layers, in the words of a Dockerfile."""
    found = []
    layer = 0
    for said, makes_layer in history:
        if makes_layer:
            found.append(Step(words=plain(said), layer=layer))
            layer += 1
    return tuple(found)


def plain(said: str) -> str:
    """Return a step of an image's history as it was written."""
    text = said.removesuffix("# buildkit").strip()
    if _NOP.match(text):
        return _NOP.sub("", text)
    if text.startswith(("COPY", "ADD", "WORKDIR", "ENV", "CMD", "USER", "LABEL", "ARG", "EXPOSE")):
        return text
    return "RUN " + _SHELL.sub("", text) if text else ""


def late_installs(steps: Sequence[Step]) -> tuple[Step | None, tuple[Step, ...]]:
    """Return the first step that copies code before packages are installed, and those installs."""
    first = next((step for step in steps if step.copies_code), None)
    if first is None:
        return None, ()
    after = tuple(step for step in steps if step.layer > first.layer and step.installs)
    return (first, after) if after else (None, ())
