"""Log lines: one JSON object a line on standard error."""

import os
from datetime import UTC, datetime
from typing import Any

import orjson

_STDERR = 2


def log(event: str, level: str = "info", **fields: Any) -> None:
    """Write one log line; a closed standard error is ignored, for serving goes on without a reader."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    line = orjson.dumps({"time": now, "level": level, "event": event, **fields}, default=str)
    try:
        os.write(_STDERR, line + b"\n")
    except OSError:
        return
