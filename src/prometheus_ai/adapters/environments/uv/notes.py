"""What a machine is configured for, and uv does not read."""

import configparser
from collections.abc import Mapping
from pathlib import Path

_KEYS = ("index-url", "extra-index-url", "find-links", "no-index")
_UV_VARIABLES = ("UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_FIND_LINKS", "UV_CONFIG_FILE")


def pip_only_notes(environ: Mapping[str, str], index_url: str | None) -> tuple[str, ...]:
    """Return a note when indexes are configured for pip alone; values are not repeated: they may be secret."""
    home = Path(environ.get("HOME", "/nonexistent"))
    has_uv = any(environ.get(name) for name in _UV_VARIABLES) or any(
        path.exists() for path in (home / ".config/uv/uv.toml", Path("/etc/uv/uv.toml"))
    )
    if index_url or has_uv:
        return ()
    found = [
        f"PIP_{key.upper().replace('-', '_')}"
        for key in _KEYS
        if environ.get(f"PIP_{key.upper().replace('-', '_')}")
    ]
    paths = (home / ".config/pip/pip.conf", home / ".pip/pip.conf", Path("/etc/pip.conf"))
    for path in paths:
        found += [f"{key} in {path}" for key in _keys_of(path)]
    if not found:
        return ()
    note = (
        f"pip is configured ({', '.join(found)}), but model environments are made by uv, which does "
        "not read that; if they need it, set index_url in pai.toml or write a uv.toml"
    )
    return (note,)


def _keys_of(path: Path) -> list[str]:
    parser = configparser.RawConfigParser()
    try:
        parser.read(path)
    except (configparser.Error, UnicodeDecodeError):
        return []
    return [key for key in _KEYS if parser.has_option("global", key)]
