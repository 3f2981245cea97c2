"""Names and docstrings say what a thing is for."""

import ast
import re

from tests.tidy.tree import Tree, report

BANNED_NAMES = frozenset(
    {"utils", "util", "helpers", "helper", "common", "misc", "manager", "shared"}
)
BANNED_ENDINGS = ("Manager", "Helper", "Utils", "Service", "Impl")
DENIAL = re.compile(r"\b(never|nothing|no|none|not|neither|nor|only)\b", re.IGNORECASE)
SENTENCE_END = re.compile(r"[.!?](?=\s|$)")


def test_no_folder_or_file_is_a_drawer(tree: Tree) -> None:
    drawers = [
        module.place
        for module in tree.modules
        if BANNED_NAMES
        & {*module.path.relative_to(module.path.anchor).parent.parts[-4:], module.path.stem}
    ]
    assert not drawers, report(drawers)


def test_no_class_is_named_for_its_pattern(tree: Tree) -> None:
    named = [
        f"{module.place}:{node.lineno} {node.name}"
        for module in tree.source
        for node in module.nodes
        if isinstance(node, ast.ClassDef) and node.name.endswith(BANNED_ENDINGS)
    ]
    assert not named, report(named)


def test_every_package_says_what_enters_what_leaves_and_what_it_never_does(tree: Tree) -> None:
    wrong = []
    for module in tree.source:
        if module.path.name != "__init__.py":
            continue
        said = ast.get_docstring(module.tree) or ""
        if len(SENTENCE_END.findall(said)) < 3:
            wrong.append(f"{module.place}: the docstring has fewer than three sentences")
        elif not DENIAL.search(said):
            wrong.append(f"{module.place}: the docstring does not say what the package never does")
    assert not wrong, report(wrong)
