"""The tree as tidy sees it: tracked files, and every module of both distributions parsed once."""

import ast
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("src", "runtime/src")


@dataclass(frozen=True)
class Module:
    """One Python file, read and parsed."""

    path: Path
    text: str
    tree: ast.Module

    @property
    def place(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @property
    def name(self) -> str:
        """The dotted name, as in an import."""
        parts = self.path.relative_to(ROOT).with_suffix("").parts
        inside = parts[parts.index("src") + 1 :] if "src" in parts else parts
        return ".".join(part for part in inside if part != "__init__")

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        return tuple(ast.walk(self.tree))

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        for node in self.nodes:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node


@dataclass(frozen=True)
class Tree:
    """Everything in the repository that is not ignored."""

    files: tuple[Path, ...]
    modules: tuple[Module, ...]

    @property
    def source(self) -> tuple[Module, ...]:
        """The modules that ship."""
        return tuple(module for module in self.modules if module.place.startswith(SOURCES))

    def under(self, *names: str) -> tuple[Module, ...]:
        """Return the modules of these packages, such as ``prometheus_ai.reconcile``."""
        return tuple(
            module
            for module in self.source
            if any(module.name == name or module.name.startswith(f"{name}.") for name in names)
        )


def read_tree() -> Tree:
    """Read every file that is not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    ).stdout
    files = tuple(sorted(ROOT / name for name in listed.split("\0") if name))
    files = tuple(file for file in files if file.exists())
    modules = []
    for file in files:
        if file.suffix == ".py":
            text = file.read_text()
            modules.append(Module(file, text, ast.parse(text, str(file))))
    return Tree(files, tuple(modules))


def report(found: Iterable[str] | Mapping[str, int]) -> str:
    """One finding a line."""
    lines = (
        [f"{key}: {value}" for key, value in found.items()] if isinstance(found, Mapping) else found
    )
    return "\n" + "\n".join(sorted(lines))
