"""Everything that ships is used by something that ships."""

import ast
import re
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from tests.tidy.tree import Module, Tree, report

# Packages that people import, so that nothing of ours needs to.
PUBLIC = ("prometheus_ai.client", "prometheus_ai.testing")

# Methods that a library calls by name.
CALLBACKS = re.compile(
    r"(connection|data|eof|pause|resume|buffer)_(made|lost|received|writing|updated)"
    r"|get_buffer|get_map|get_key|on_[a-z_]+|do_[A-Z]+|format_help|format_commands|list_commands|get_command|resolve_command|log_message"
)
WORD = re.compile(r"[A-Za-z_]\w*")


def _entry_points(root: Path) -> set[str]:
    modules = set()
    for project in (root / "pyproject.toml", root / "runtime" / "pyproject.toml"):
        scripts = tomllib.loads(project.read_text())["project"]["scripts"]
        modules |= {target.partition(":")[0] for target in scripts.values()}
    return modules


def _imported(tree: Tree) -> set[str]:
    names = set()
    for module in tree.source:
        for node in module.nodes:
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                names.add(node.value.partition(":")[0])  # loaded or started by name
    return names


def test_every_module_is_imported_or_started(tree: Tree, pytestconfig: pytest.Config) -> None:
    used = _imported(tree) | _entry_points(pytestconfig.rootpath)
    dead = [
        module.place
        for module in tree.source
        if module.name not in used
        and module.path.name not in ("__init__.py", "__main__.py")
        and not module.name.startswith(PUBLIC)
        and not _is_loaded_by_folder(module)
    ]
    assert not dead, report(dead)


def _is_loaded_by_folder(module: Module) -> bool:
    """Alembic finds migrations by their folder; the engine loader finds engines by their name."""
    return "migrations" in module.path.parts or module.path.parent.name == "engines"


def test_every_public_function_is_used(tree: Tree) -> None:
    words = Counter(word for module in tree.source for word in WORD.findall(module.text))
    dead = []
    for module in tree.source:
        if module.name.startswith(PUBLIC) or _is_loaded_by_folder(module):
            continue
        for function in module.functions():
            is_hooked = bool(function.decorator_list) or function.name.startswith("_")
            is_hooked = is_hooked or CALLBACKS.fullmatch(function.name) is not None
            if not is_hooked and words[function.name] < 2:
                dead.append(f"{module.place}:{function.lineno} {function.name}")
    assert not dead, report(dead)


def test_exports_are_complete(tree: Tree) -> None:
    """Where a package says ``__all__``, it names all that it offers."""
    wrong = []
    for module in tree.source:
        exported = next(
            (
                ast.literal_eval(node.value)
                for node in module.tree.body
                if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
            ),
            None,
        )
        if exported is None or module.path.name != "__init__.py":
            continue
        offered = {
            alias.asname or alias.name
            for node in module.tree.body
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        } | {
            node.name
            for node in module.tree.body
            if isinstance(node, ast.FunctionDef | ast.ClassDef)
        }
        public = {name for name in offered if not name.startswith("_")}
        if missing := public - set(exported):
            wrong.append(f"{module.place}: __all__ lacks {sorted(missing)}")
    assert not wrong, report(wrong)
