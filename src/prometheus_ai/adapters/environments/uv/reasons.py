"""From uv's words to one of our errors; pure."""

import re

from prometheus_ai.domain.errors import InvalidInput, PlatformError, Unavailable

_FULL = ("No space left on device", "os error 28", "Disk quota exceeded", "os error 122")
_UNWRITABLE = ("Permission denied", "Read-only file system", "os error 13", "os error 30")
_UNREACHABLE = (
    "error sending request",
    "dns error",
    "Connection refused",
    "Connection reset",
    "operation timed out",
    "Request failed after",
    "Network is unreachable",
    "tcp connect error",
    "network connectivity is disabled",
    "Network connectivity is disabled",
    "HTTP status server error",
    "Failed to download distribution due to network timeout",
)
_REASON_CHARS_MAX = 1500
_MARKS = re.compile(r"^(error:|cause:|Caused by:|[\u00d7\u2570\u2500\u25b6\u251c\u2502|>\s-]+)\s*")
_URL_CREDENTIALS = re.compile(r"(https?://)[^/@\s]+@")


def is_unreachable(stderr: str) -> bool:
    """Whether uv failed because a host did not answer."""
    return any(mark in stderr for mark in _UNREACHABLE)


def error_from(stderr: str, doing: str) -> PlatformError:
    """Return the error that uv's standard error describes."""
    reason = condense(stderr)
    if any(mark in stderr for mark in _FULL):
        return Unavailable(
            f"{doing}: the disk is full", hint="free space for environments and uv's cache"
        )
    if "Hash mismatch" in stderr or "hash mismatch" in stderr:
        return InvalidInput(
            f"{doing}: a downloaded file is not what the lock says: {reason}",
            hint="make the lock again if the package was published anew; otherwise do not trust the index",
        )
    if is_unreachable(stderr):
        return Unavailable(
            f"{doing}: the package index cannot be reached: {reason}",
            hint="check the network, and index_url in pai.toml or uv's own configuration",
        )
    if any(mark in stderr for mark in _UNWRITABLE):
        return Unavailable(f"{doing}: {reason}", hint="make the folder writable for this user")
    hint = "change the requirements so that they can hold together"
    if "was not found in the package registry" in stderr:
        hint = "check the spelling, and that the index has the package"
    elif "no version of" in stderr:
        hint = "choose a version that the index has for this Python and machine"
    elif "Failed to build" in stderr:
        hint = "choose a version with a wheel for this Python and machine"
    return InvalidInput(f"{doing}: {reason}", hint=hint)


def condense(stderr: str) -> str:
    """Return uv's reason in one line, without marks, repetition and credentials."""
    lines: list[str] = []
    for raw in stderr.splitlines():
        line = _MARKS.sub("", raw.strip())
        is_noise = not line or line.startswith(("Resolved ", "Using ", "warning:", "hint:"))
        if not is_noise and line not in lines:
            lines.append(line)
    text = _URL_CREDENTIALS.sub(r"\1***@", " ".join(lines)) or "uv gave no reason"
    return text if len(text) <= _REASON_CHARS_MAX else f"{text[:_REASON_CHARS_MAX]}…"
