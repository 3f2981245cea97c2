"""Chat templates: Jinja, of which only what templates of chats need is allowed."""

import re

from prometheus_ai.adapters.scanners.model_files.notes import Notes

TEMPLATE_LEN_MAX = 1 << 20

_BLOCKS = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_TEXTS = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)
_ATTRIBUTE = re.compile(r"\.\s*([A-Za-z_]\w*)")
_FILTER = re.compile(r"\|\s*([A-Za-z_]\w*)")
_CALL = re.compile(r"(?<![\w.|])([A-Za-z_]\w*)\s*\(")
_STATEMENT = re.compile(r"\{%-?\+?\s*(\w+)")
_HIDING = re.compile(r"__|\\x5f|\\u005f|\\137", re.IGNORECASE)

_STATEMENTS = frozenset(
    {"if", "elif", "else", "endif", "for", "endfor", "set", "endset", "macro", "endmacro",
     "generation", "endgeneration", "break", "continue", "filter", "endfilter", "call",
     "endcall"}
)  # fmt: skip
_FILTERS = frozenset(
    {"abs", "batch", "capitalize", "count", "default", "d", "dictsort", "e", "escape", "first",
     "float", "indent", "int", "items", "join", "last", "length", "list", "lower", "map", "max",
     "min", "reject", "rejectattr", "replace", "reverse", "round", "safe", "select",
     "selectattr", "slice", "sort", "string", "sum", "title", "tojson", "trim", "truncate",
     "unique", "upper", "wordcount", "from_json"}
)  # fmt: skip
_FUNCTIONS = frozenset(
    {"range", "namespace", "raise_exception", "strftime_now", "dict", "loop", "caller", "and",
     "or", "not", "in", "if", "is", "else"}
)  # fmt: skip


def check_template(text: str, notes: Notes) -> None:
    """Record everything in a template that reaches beyond values."""
    if len(text) > TEMPLATE_LEN_MAX:
        notes.add("bomb", f"a template of {len(text)} characters")
        return
    macros = set(re.findall(r"\{%-?\+?\s*macro\s+(\w+)", text))
    for block in _BLOCKS.findall(text):
        _check_block(block, macros, notes)


def _check_block(block: str, macros: set[str], notes: Notes) -> None:
    for quoted in _TEXTS.findall(block):
        inner = quoted[1:-1]
        if _HIDING.search(inner) or (re.search(r"\[\s*$", block[: block.find(quoted)])
                                     and inner.startswith("_")):  # fmt: skip
            notes.unsafe(f"a template holds the text {quoted[:60]}")
    bare = _TEXTS.sub("''", block)
    if (statement := _STATEMENT.match(bare)) and statement[1] not in _STATEMENTS:
        notes.unsafe(f"a template uses the statement {statement[1]!r}")
    for name in _ATTRIBUTE.findall(bare):
        if name.startswith("_"):
            notes.unsafe(f"a template reaches for the attribute {name!r}", "", name)
    for name in _FILTER.findall(bare):
        if name not in _FILTERS:
            notes.unsafe(f"a template uses the filter {name!r}", "", name)
    for name in _CALL.findall(bare):
        if name not in _FUNCTIONS | macros | _STATEMENTS:
            notes.unsafe(f"a template calls {name!r}", "", name)
    if re.search(r"'' *%(?!})|\[[^\]]*''\s*[~+]|[~+]\s*''\s*\]", bare):
        notes.unsafe("a template computes a name")
