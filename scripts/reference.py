"""Write docs/reference from the code, or with --check say what is out of date.

The code's own names, defaults and docstrings are the only source, so the pages cannot disagree with it.
"""

import argparse
import ast
import importlib
import inspect
import json
import pkgutil
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from enum import EnumMeta
from pathlib import Path
from types import ModuleType
from typing import Any

import click

import prometheus_ai.ports
from prometheus_ai.api.app import create_schema
from prometheus_ai.api.errors import status_of
from prometheus_ai.cli.exits import exit_code
from prometheus_ai.cli.main import main as command_line
from prometheus_ai.compose.settings import Settings
from prometheus_ai.domain import errors, event
from prometheus_ai.specs.schema import json_schema

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "reference"
NOTE = "Written by `make docs` from the code; edit the code instead.\n"


def page(title: str, *parts: str) -> str:
    """Join a page's parts under its title."""
    return "\n".join([f"# {title}\n", NOTE, *parts]).rstrip() + "\n"


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Lay out a Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def said_below(owner: type) -> dict[str, str]:
    """Return the string written below each name of a class body, which Python itself forgets."""
    body = ast.parse(textwrap.dedent(inspect.getsource(owner))).body[0]
    assert isinstance(body, ast.ClassDef)
    said = {}
    for name, text in zip(body.body, body.body[1:], strict=False):
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            match name:
                case ast.AnnAssign(target=ast.Name(id=word)):
                    said[word] = str(text.value.value)
                case ast.Assign(targets=[ast.Name(id=word)]):
                    said[word] = str(text.value.value)
    return said


def first_line(thing: Any) -> str:
    """Return the first paragraph of a docstring as one line."""
    return " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())


def settings() -> str:
    """List every setting with its default."""
    said = said_below(Settings)
    rows = []
    for name, field in Settings.__dataclass_fields__.items():
        default = "`~/.pai`" if name == "home" else f"`{field.default}`"
        rows.append((f"`{name}`", f"`PAI_{name.upper()}`", default, said.get(name, "")))
    return page(
        "Settings",
        "Settings come from defaults, then `pai.toml` in the home folder, then the environment.\n"
        "An unknown setting in `pai.toml` is an error.\n",
        table(("setting", "environment", "default", "meaning"), rows),
    )


def _errors(root: type[errors.PlatformError]) -> Iterator[type[errors.PlatformError]]:
    yield root
    for child in root.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from _errors(child)


def _example(error: type[errors.PlatformError]) -> errors.PlatformError:
    return errors.InvalidSpec(()) if error is errors.InvalidSpec else error("")


def error_codes() -> str:
    """List every error code with its HTTP status and exit code."""
    rows = [
        (
            f"`{error.code}`",
            str(status_of(example)),
            str(exit_code(example)),
            first_line(error),
        )
        for error in _errors(errors.PlatformError)
        for example in [_example(error)]
    ]
    return page("Errors", table(("code", "HTTP status", "exit code", "meaning"), rows))


def events() -> str:
    """List every kind of event."""
    assert isinstance(event.Kind, EnumMeta)
    said = said_below(event.Kind)
    rows = [(f"`{kind.value}`", said.get(kind.name, "")) for kind in event.Kind]
    return page(
        "Events",
        "Every event carries its time, actor and reason, and the state before and after.\n",
        table(("event", "tells"), rows),
    )


def _modules(package: ModuleType) -> Iterator[ModuleType]:
    for found in pkgutil.iter_modules(package.__path__):
        yield importlib.import_module(f"{package.__name__}.{found.name}")


def ports() -> str:
    """List every port with its promises and methods."""
    parts = []
    for module in _modules(prometheus_ai.ports):
        for name, port in vars(module).items():
            if not getattr(port, "_is_protocol", False) or port.__module__ != module.__name__:
                continue
            rows = [
                (f"`{method}{_arguments(function)}`", first_line(function))
                for method, function in vars(port).items()
                if inspect.isfunction(function) and not method.startswith("_")
            ]
            parts += [f"## {name}\n", _sentences(port), table(("method", "does"), rows)]
    return page("Ports", *parts)


def _arguments(function: Any) -> str:
    return (
        f"({', '.join(name for name in inspect.signature(function).parameters if name != 'self')})"
    )


def _sentences(thing: Any) -> str:
    text = " ".join((inspect.getdoc(thing) or "").replace("``", "`").split())
    return re.sub(r"(?<=[a-z`)])([.]) (?=[A-Z`])", r"\1\n", text) + "\n"


def _properties(schema: dict[str, Any], whole: dict[str, Any], prefix: str = "") -> Iterator[tuple]:
    for name, field in schema["properties"].items():
        inner = _inner(field, whole)
        path = f"{prefix}{name}"
        is_needed = name in schema.get("required", [])
        default = "required" if is_needed else f"`{json.dumps(field.get('default'))}`"
        meaning = field.get("description") or (inner or {}).get("description", "")
        if inner and "properties" in inner:
            yield f"`{path}`", "", "" if not is_needed else "required", meaning
            yield from _properties(inner, whole, f"{path}.")
        else:
            yield f"`{path}`", _kind(field, whole), default, meaning


def _inner(field: dict[str, Any], whole: dict[str, Any]) -> dict[str, Any] | None:
    for choice in (field, *field.get("anyOf", ()), *field.get("allOf", ())):
        if reference := choice.get("$ref"):
            found: dict[str, Any] = whole["$defs"][reference.rpartition("/")[2]]
            return found
    return None


def _kind(field: dict[str, Any], whole: dict[str, Any]) -> str:
    if "anyOf" in field:
        kinds = [_kind(choice, whole) for choice in field["anyOf"] if choice.get("type") != "null"]
        return " or ".join(kinds)
    if reference := field.get("$ref"):
        return reference.rpartition("/")[2]
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    kind = field.get("type", "")
    if kind == "array":
        items = field.get("items", {})
        if inner := _inner(items, whole):
            return "list of {" + ", ".join(inner["properties"]) + "}"
        return f"list of {_kind(items, whole)}"
    bounds = ""
    if "maximum" in field:
        low = (
            f"above {field['exclusiveMinimum']}"
            if "exclusiveMinimum" in field
            else field["minimum"]
        )
        bounds = f", {low} to {field['maximum']}"
    return f"{kind}{bounds}"


def spec() -> str:
    """List every field of a spec."""
    schema = json_schema()
    return page(
        "The spec, `pai.yaml`",
        "The same as JSON Schema: [pai.schema.json](pai.schema.json), or `pai schema`.\n"
        "An unknown field is an error that names the nearest match.\n",
        table(("field", "type", "default", "meaning"), list(_properties(schema, schema))),
    )


def _commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=path)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None and not found.hidden:
                yield from _commands(found, f"{path} {name}")


def commands() -> str:
    """Print the help of every command."""
    parts = []
    for path, command in _commands(command_line, "pai"):
        context = command.make_context(path, [], resilient_parsing=True, terminal_width=100)
        parts.append(f"## {path}\n\n```text\n{command.get_help(context)}\n```\n")
    return page("Commands", *parts)


def targets() -> str:
    """List the targets of make."""
    listed = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    rows = re.findall(r"^  (make \w+) +(.+)$", listed, re.MULTILINE)
    return page("make", table(("target", "does"), [(f"`{name}`", does) for name, does in rows]))


def pages() -> dict[str, str]:
    """Return every generated file with its content."""
    as_json = {"pai.schema.json": json_schema(), "openapi.json": create_schema()}
    return {
        "commands.md": commands(),
        "errors.md": error_codes(),
        "events.md": events(),
        "make.md": targets(),
        "ports.md": ports(),
        "settings.md": settings(),
        "spec.md": spec(),
        **{name: json.dumps(value, indent=2) + "\n" for name, value in as_json.items()},
    }


def main() -> int:
    """Write or compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail on a difference")
    is_check = parser.parse_args().check
    stale = []
    for name, content in pages().items():
        file = FOLDER / name
        if not file.exists() or file.read_text() != content:
            stale.append(name)
            if not is_check:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(content)
    if stale and is_check:
        print(f"docs/reference is out of date; run `make docs`: {', '.join(stale)}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
