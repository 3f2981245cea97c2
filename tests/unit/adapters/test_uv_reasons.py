"""uv's words become one of our errors."""

import pytest

from prometheus_ai.adapters.environments.uv.reasons import condense, error_from
from prometheus_ai.domain.errors import InvalidInput, PlatformError, Unavailable

CASES = {
    "  \u00d7 No solution found when resolving dependencies:\n"
    "  ╰─▶ Because there is no version of a==9 and you require a==9, we can conclude\n"
    "      that your requirements are unsatisfiable.": (InvalidInput, "no version of a==9"),
    "error: Failed to fetch: `https://u:p@index.example/simple/a/`\n"
    "  Caused by: error sending request for url": (Unavailable, "cannot be reached"),
    "error: failed to write to file `/x`: No space left on device (os error 28)": (
        Unavailable,
        "disk is full",
    ),
    "error: Failed to install\n  Caused by: Hash mismatch for `a==1`": (InvalidInput, "Hash"),
    "error: failed to create directory `/x`: Permission denied (os error 13)": (
        Unavailable,
        "Permission",
    ),
    "  \u00d7 Failed to build `a==1`\n  ├─▶ The build backend returned an error": (
        InvalidInput,
        "Failed to build",
    ),
    "": (InvalidInput, "no reason"),
}


@pytest.mark.parametrize("stderr", CASES)
def test_each_failure_has_its_kind(stderr: str) -> None:
    kind, says = CASES[stderr]
    error: PlatformError = error_from(stderr, "making")
    assert type(error) is kind
    assert says in error.message
    assert error.message.startswith("making: ")
    assert error.hint
    assert "u:p@" not in error.message


def test_a_reason_is_one_line_of_bounded_length() -> None:
    text = condense("error: first\n  cause: second\nResolved 3 packages\n" + "word " * 1000)
    assert text.startswith("first second word")
    assert "\n" not in text
    assert len(text) <= 1501
