"""Limits on size. They may only tighten; a limit that hurts asks for a better cut, not a larger number."""

import ast
from collections import Counter

from tests.tidy.tree import ROOT, Tree, report

MODULE_LINES_MAX = 500
FUNCTION_LINES_MAX = 60
PARAMETERS_MAX = 6
FOLDER_FILES_MAX = 15

# The vocabulary is flat on purpose: one word a file, and nothing to search through.
VOCABULARY = ("src/prometheus_ai/domain", "src/prometheus_ai/ports")
VOCABULARY_FILES_MAX = 24

# Frameworks that pass one argument for each option or header.
MANY_PARAMETERS = ("src/prometheus_ai/cli/", "src/prometheus_ai/api/")


def _own_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first, last = function.lineno, function.end_lineno or function.lineno
    lines = last - first + 1
    docstring = function.body[0]
    if isinstance(docstring, ast.Expr) and isinstance(docstring.value, ast.Constant):
        lines -= (docstring.end_lineno or docstring.lineno) - docstring.lineno + 1
    return lines


def _parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    given = function.args
    names = [arg.arg for arg in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return len([name for name in names if name not in ("self", "cls")])


def test_modules_are_short(tree: Tree) -> None:
    long = {
        module.place: lines
        for module in tree.modules
        if (lines := module.text.count("\n")) > MODULE_LINES_MAX
    }
    assert not long, report(long)


def test_functions_are_short(tree: Tree) -> None:
    long = [
        f"{module.place}:{function.lineno} {function.name} has {_own_lines(function)} lines"
        for module in tree.modules
        for function in module.functions()
        if _own_lines(function) > FUNCTION_LINES_MAX
    ]
    assert not long, report(long)


def test_functions_take_few_parameters(tree: Tree) -> None:
    wide = [
        f"{module.place}:{function.lineno} {function.name} takes {_parameters(function)}"
        for module in tree.source
        if not module.place.startswith(MANY_PARAMETERS)
        for function in module.functions()
        if _parameters(function) > PARAMETERS_MAX
    ]
    assert not wide, report(wide)


def test_folders_hold_few_files(tree: Tree) -> None:
    count = Counter(
        module.path.parent.relative_to(ROOT).as_posix()
        for module in tree.source
        if module.path.name != "__init__.py"
    )
    full = {
        folder: files
        for folder, files in count.items()
        if files > (VOCABULARY_FILES_MAX if folder in VOCABULARY else FOLDER_FILES_MAX)
    }
    assert not full, report(full)
