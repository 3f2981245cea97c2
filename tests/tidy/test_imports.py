"""Imports stand at the top of a module, where contracts and readers see them."""

import ast

from tests.tidy.tree import Tree, report

# Each place that loads a module by name, and why it may.
LOADERS = {
    "prometheus_ai": "Client is loaded when it is asked for, so that --help is quick",
    "prometheus_ai.adapters.scanners.model_files.expanding": "lz4 may be absent; its absence is a finding",
    "prometheus_ai.adapters.stores.sql.versions": "Alembic is needed once in the life of a schema",
    "prometheus_ai.cli": "commands are loaded when they are named, so that --help is quick",
    "prometheus_ai_runtime.engines": "an engine's module is chosen by the spec",
    "prometheus_ai_runtime.optional": "libraries and protocol fronts are extras and may be absent",
}

# Files that a tool runs by loading them.
RUN_AT_IMPORT = {
    "src/prometheus_ai/adapters/stores/sql/migrations/env.py": "Alembic's way to start",
}


def test_no_function_imports(tree: Tree) -> None:
    inner = [
        f"{module.place}:{node.lineno}"
        for module in tree.modules
        for function in module.functions()
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert not inner, report(inner)


def test_modules_are_loaded_by_name_only_where_declared(tree: Tree) -> None:
    loading = {
        module.name
        for module in tree.source
        for node in module.nodes
        if isinstance(node, ast.Attribute)
        and node.attr == "import_module"
        and not _is_loader(module.name)
    }
    assert not loading, report(loading)


def _is_loader(name: str) -> bool:
    return name in LOADERS or name.startswith(tuple(one for one in LOADERS if "." in one))


def test_nothing_runs_at_import(tree: Tree) -> None:
    """A module defines; it does not open, connect or register when it is imported."""
    allowed = (
        ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef,
        ast.Assign, ast.AnnAssign, ast.TypeAlias if hasattr(ast, "TypeAlias") else ast.Assign,
    )  # fmt: skip
    running = [
        f"{module.place}:{node.lineno}"
        for module in tree.source
        if module.place not in RUN_AT_IMPORT
        for node in module.tree.body
        if not isinstance(node, allowed) and not _is_docstring(node) and not _is_main_guard(node)
    ]
    assert not running, report(running)


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_main_guard(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and "__name__" in ast.unparse(node.test)
