"""A guide as a program: its blocks, in order, as one shell script.

``bash`` blocks run as they are, of ``console`` blocks the lines after ``$ `` run, ``python`` blocks run with Python.
A block below ``<!-- file: NAME -->`` is written to that file.
A block below ``<!-- not run: REASON -->`` is left out.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

RUNNABLE = ("bash", "console", "python")
BLOCK = re.compile(
    r"(?:^<!-- (?P<order>file|not run): (?P<argument>[^\n]+?) -->\n+)?"
    r"^```(?P<kind>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, kw_only=True)
class Block:
    """One fenced block, and what the comment above it orders."""

    kind: str
    text: str
    order: str | None
    argument: str

    @property
    def is_for_make(self) -> bool:
        """Whether it calls make alone, whose targets CI runs as they are."""
        return all(line.startswith("make ") for line in self.text.splitlines())

    @property
    def is_run(self) -> bool:
        return self.order is None and self.kind in RUNNABLE and not self.is_for_make

    def script(self) -> str:
        """Return the shell text that does what a reader would do."""
        if self.order == "file":
            return _here_document(f"cat > {shlex.quote(self.argument)}", self.text)
        if self.kind == "python":
            return _here_document("python -", self.text)
        if self.kind == "console":
            return "\n".join(_commands(self.text))
        return self.text


def _here_document(command: str, text: str) -> str:
    return f"{command} <<'END_OF_BLOCK'\n{text}END_OF_BLOCK"


def _commands(text: str) -> Iterator[str]:
    continues = False
    for line in text.splitlines():
        if continues or line.startswith("$ "):
            continues = line.endswith("\\")
            yield line.removeprefix("$ ")


def blocks(document: Path) -> list[Block]:
    """Return every fenced block that has a language."""
    return [
        Block(
            kind=found["kind"],
            text=found["text"],
            order=found["order"],
            argument=found["argument"] or "",
        )
        for found in BLOCK.finditer(document.read_text())
    ]


def script(document: Path) -> str:
    """Return a document's blocks as one script that shows each command before it runs."""
    parts = [block.script() for block in blocks(document) if block.is_run or block.order == "file"]
    return "set -euxo pipefail\n" + "\n".join(parts) + "\n"
