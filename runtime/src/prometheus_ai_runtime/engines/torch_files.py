"""What a PyTorch archive would do to whoever loads it, told without loading it.

``torch.export.load`` unpickles some payloads, evaluates shape expressions and resolves any name
under ``torch``; TorchScript can call operators that touch files. Each of them is checked here.
"""

import ast
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_MEMBER_BYTES_MAX = 256 << 20
_SAFE_TARGET = re.compile(
    r"torch\.ops\.(aten|prims|higher_order|quantized_decomposed|torchvision)\.(?!from_file)\w+(\.\w+)?"
    r"|torch\._?sym_\w+"
    r"|math\.(ceil|floor|trunc|sqrt|log2|pow)"
    r"|_operator\.(add|sub|mul|floordiv|truediv|mod|neg|pos|pow|getitem|lt|le|gt|ge|eq|ne|and_|or_"
    r"|not_|xor|lshift|rshift|abs|invert)"
)
_RESOLVED_TARGET = re.compile(r"torch|_operator|math|#")
_SYMBOL = re.compile(r"[a-z]{1,4}\d{1,9}")
_WORD = re.compile(r"\w{1,64}")
_FUNCTIONS = frozenset(
    {
        "Abs",
        "Add",
        "And",
        "CeilToInt",
        "CleanDiv",
        "Eq",
        "FloatPow",
        "FloatTrueDiv",
        "FloorDiv",
        "FloorToInt",
        "Ge",
        "GreaterThan",
        "Gt",
        "Integer",
        "IntTrueDiv",
        "Le",
        "LessThan",
        "Lt",
        "Max",
        "Min",
        "Mod",
        "ModularIndexing",
        "Mul",
        "Ne",
        "Not",
        "Or",
        "Pow",
        "PowByNatural",
        "PythonMod",
        "Rational",
        "RoundToInt",
        "StrictGreaterThan",
        "StrictLessThan",
        "Symbol",
        "ToFloat",
        "TruncToInt",
        "Where",
    }
)
_EXPRESSION_NODES = (
    ast.Expression,
    ast.Call,
    ast.keyword,
    ast.Name,
    ast.Constant,
    ast.Load,
    ast.BinOp,
    ast.UnaryOp,
    ast.Compare,
    ast.operator,
    ast.unaryop,
    ast.cmpop,
)
_SCRIPT_DANGER = re.compile(r"torch\.(?:save|load|from_file)\b|aten::(?:save|load|from_file)\b")
_SCRIPT_FOREIGN = re.compile(r"\bops\.(?!aten\.|prim\.|prims\.|quantized\.|torchvision\.)(\w+)\.")


def export_dangers(path: Path) -> Iterator[str]:
    """Name what an exported program (.pt2) would run beyond arithmetic on tensors."""
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if not member.filename.endswith(".json") or "/extra/" in member.filename:
                continue
            if member.file_size > _MEMBER_BYTES_MAX:
                yield f"{member.filename} is too large to be checked"
                continue
            for key, value in _pairs(json.loads(archive.read(member))):
                danger = _export_danger(key, value)
                if danger:
                    yield f"{danger} in {member.filename}"


def export_samples(path: Path) -> Iterator[bytes]:
    """Yield the pickles of example inputs, which must hold nothing but tensors."""
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if "/data/sample_inputs/" in member.filename and member.file_size:
                yield archive.read(member)


def script_dangers(path: Path) -> Iterator[str]:
    """Name the operators in a TorchScript archive that reach outside the model."""
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if not member.filename.endswith(".py"):
                continue
            source = archive.read(member).decode(errors="replace")
            for match in (_SCRIPT_DANGER.search(source), _SCRIPT_FOREIGN.search(source)):
                if match:
                    yield f"{match.group()} in {member.filename}"


def _pairs(tree: Any) -> Iterator[tuple[str, Any]]:
    waiting = [tree]
    while waiting:
        branch = waiting.pop()
        if isinstance(branch, dict):
            yield from branch.items()
            waiting.extend(branch.values())
        elif isinstance(branch, list):
            waiting.extend(branch)


def _export_danger(key: str, value: Any) -> str:
    if key == "use_pickle" and value:
        return "a pickled payload"
    if key == "expr_str" and not _is_arithmetic(value):
        return f"the shape expression {str(value)[:80]!r}"
    if key == "target" and not _is_safe_target(value):
        return f"a call of {str(value)[:80]}"
    return ""


def _is_safe_target(target: Any) -> bool:
    """Whether a call is arithmetic; what is not looked up in a module stays a mere name."""
    if not isinstance(target, str) or not _RESOLVED_TARGET.match(target):
        return True
    return _SAFE_TARGET.fullmatch(target) is not None


def _is_arithmetic(expression: Any) -> bool:
    """Whether an expression is made of known functions, size symbols and numbers."""
    try:
        tree = ast.parse(str(expression), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return all(_is_arithmetic_node(node) for node in ast.walk(tree))


def _is_arithmetic_node(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS
    if isinstance(node, ast.Name):
        return node.id in _FUNCTIONS or _SYMBOL.fullmatch(node.id) is not None
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return _WORD.fullmatch(node.value) is not None
    return isinstance(node, _EXPRESSION_NODES)
