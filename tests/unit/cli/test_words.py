"""Shares as people read them."""

import pytest

from prometheus_ai.cli.watch.words import errors
from prometheus_ai.client.records import Record


@pytest.mark.parametrize(
    ("failed", "said"), [(0, "0"), (1, "1 (0.1 %)"), (123, "123 (12 %)"), (1000, "1,000 (100 %)")]
)
def test_errors_come_with_their_share(failed: int, said: str) -> None:
    assert errors(Record({"requests": 1000, "errors": failed})) == said
