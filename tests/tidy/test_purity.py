"""Deciders take the time, the seed and the facts as arguments.

Import contracts keep out modules; these checks keep out what hides behind an allowed name.
"""

import ast

from tests.tidy.tree import Tree, report

DECIDERS = (
    "prometheus_ai.domain",
    "prometheus_ai.reconcile",
    "prometheus_ai.analysis",
    "prometheus_ai.gates",
    "prometheus_ai.rollout",
    "prometheus_ai.scaling",
)

IMPURE = frozenset({
    "datetime.now", "datetime.utcnow", "datetime.today", "date.today",
    "open", "input", "print", "uuid1", "uuid4", "uuid.uuid1", "uuid.uuid4", "os.getenv",
})  # fmt: skip
IMPURE_METHODS = frozenset({"read_text", "write_text", "read_bytes", "write_bytes", "mkdir"})


def test_deciders_read_no_clock_and_do_no_io(tree: Tree) -> None:
    found = []
    for module in tree.under(*DECIDERS):
        for node in module.nodes:
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            if called in IMPURE or called.rpartition(".")[2] in IMPURE_METHODS:
                found.append(f"{module.place}:{node.lineno} calls {called}")
    assert not found, report(found)


def test_values_are_frozen(tree: Tree) -> None:
    """A dataclass of the domain never changes; a new state is a new value."""
    loose = [
        f"{module.place}:{node.lineno} {node.name}"
        for module in tree.under("prometheus_ai.domain", "prometheus_ai.ports")
        for node in module.nodes
        if isinstance(node, ast.ClassDef)
        for decorator in node.decorator_list
        if "dataclass" in ast.unparse(decorator) and "frozen=True" not in ast.unparse(decorator)
    ]
    assert not loose, report(loose)
