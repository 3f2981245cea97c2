"""An index and environments made from it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from prometheus_ai.adapters.environments.uv import UvEnvironments
from tests.e2e.environments.tiny_index import TinyIndex


@pytest.fixture
def index() -> Iterator[TinyIndex]:
    with TinyIndex() as index:
        yield index


@pytest.fixture
def environments(
    index: TinyIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> UvEnvironments:
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    return UvEnvironments(tmp_path / "environments", index_url=index.url)
