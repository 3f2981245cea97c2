"""Locks and environments made by the real uv, from an index on loopback."""

import hashlib
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from prometheus_ai.adapters.environments.uv import UvEnvironments
from prometheus_ai.domain.errors import InvalidInput, Unavailable
from tests.e2e.environments.tiny_index import RUNTIME_NEEDS, TinyIndex

pytestmark = pytest.mark.e2e

MAKER = """
import sys
from pathlib import Path
from prometheus_ai.adapters.environments.uv import UvEnvironments
made = UvEnvironments(Path({root!r}), index_url={url!r})
made.make(Path(sys.argv[1]), python=sys.argv[2], runtime=sys.argv[3],
          progress=lambda line: print(line, flush=True))
"""
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def _lock(environments: UvEnvironments, folder: Path, *requirements: str) -> Path:
    path = folder / f"{'-'.join(requirements)}.lock"
    path.write_bytes(environments.lock(requirements, python=HERE, engine="python"))
    return path


def _make(environments: UvEnvironments, lock: Path, said: list[str] | None = None) -> Path:
    progress = (said if said is not None else []).append
    return environments.make(
        lock, python=HERE, runtime=environments.runtime_id(), progress=progress
    )


def _version(environment: Path, module: str) -> str:
    code = f"import {module}; print({module}.__version__)"
    python = environment / "bin" / "python"
    done = subprocess.run(
        [python, "-I", "-c", code], check=True, capture_output=True, text=True, timeout=30
    )
    return done.stdout.strip()


def test_a_lock_is_complete_and_hashed(environments: UvEnvironments, index: TinyIndex) -> None:
    index.add("left", "1.0")
    index.add("left", "2.0")
    digest = index.add("right", "1.0", needs=("left<2",))
    lock = environments.lock(["right  # ours"], python=HERE, engine="python").decode()
    pins = [line.split(" ")[0] for line in lock.splitlines() if "==" in line]
    own = {f"{name}=={version}" for name, version in RUNTIME_NEEDS.items()}
    assert set(pins) == {"left==1.0", "right==1.0"} | own
    assert f"right==1.0 \\\n    --hash=sha256:{digest}\n" in lock
    assert lock == environments.lock(["right"], python=HERE, engine="python").decode()


def test_the_engine_is_locked_with_the_model_server(
    environments: UvEnvironments, index: TinyIndex
) -> None:
    index.add("onnxruntime", "1.99")
    assert b"onnxruntime==1.99" in environments.lock([], python=HERE, engine="onnx")


@pytest.mark.parametrize(
    ("requirements", "says"),
    [
        (["left==9"], "no version of left==9"),
        (["nowhere"], "nowhere was not found"),
        (["left==1.0", "right"], "right"),
        (["numpy<1"], "prometheus-ai-runtime"),
        (["left=1.0"], "left"),
        (["-r other.txt"], "not supported|not a package"),
        (["./local.whl"], "not a package"),
    ],
)
def test_requirements_that_cannot_be_met_are_explained(
    environments: UvEnvironments, index: TinyIndex, requirements: list[str], says: str
) -> None:
    index.add("left", "1.0")
    index.add("right", "1.0", needs=("left>=2",))
    with pytest.raises(InvalidInput, match=says) as caught:
        environments.lock(requirements, python=HERE, engine="python")
    assert caught.value.hint
    assert "\n" not in caught.value.message


def test_an_index_that_is_down_is_unavailable(
    environments: UvEnvironments, index: TinyIndex
) -> None:
    index.is_down = True
    with pytest.raises(Unavailable, match="cannot be reached"):
        environments.lock([], python=HERE, engine="python")


def test_a_python_that_is_not_here_is_said(environments: UvEnvironments) -> None:
    with pytest.raises(InvalidInput, match=r"Python 3\.99 is not installed") as caught:
        environments.lock([], python="3.99", engine="python")
    assert HERE in caught.value.hint


def test_an_environment_holds_its_lock_and_the_model_server(
    environments: UvEnvironments, index: TinyIndex, tmp_path: Path
) -> None:
    index.add("left", "1.0")
    lock = _lock(environments, tmp_path, "left")
    said: list[str] = []
    assert environments.find(lock, python=HERE, runtime=environments.runtime_id()) is None
    environment = _make(environments, lock, said)
    assert _version(environment, "left") == "1.0"
    assert (environment / "bin" / "pai-runtime").exists()
    assert any("ready" in line for line in said)
    found = environments.find(lock, python=HERE, runtime=environments.runtime_id())
    assert found == environment
    asked = len(index.requests)
    assert _make(environments, lock) == environment
    assert len(index.requests) == asked


def test_two_versions_of_a_package_live_side_by_side(
    environments: UvEnvironments, index: TinyIndex, tmp_path: Path
) -> None:
    index.add("left", "1.0")
    index.add("left", "2.0")
    one = _make(environments, _lock(environments, tmp_path, "left==1.0"))
    two = _make(environments, _lock(environments, tmp_path, "left==2.0"))
    assert (_version(one, "left"), _version(two, "left")) == ("1.0", "2.0")


def test_two_releases_with_one_lock_share_one_making(
    environments: UvEnvironments, index: TinyIndex, tmp_path: Path
) -> None:
    index.add("left", "1.0")
    lock = _lock(environments, tmp_path, "left")
    said: list[str] = []
    threads = [threading.Thread(target=_make, args=(environments, lock, said)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len([line for line in said if line.startswith("making")]) == 1
    assert len([line for line in said if line.startswith("waiting")]) == 3


def test_an_interrupted_making_is_done_again(
    environments: UvEnvironments, index: TinyIndex, tmp_path: Path
) -> None:
    index.add("left", "1.0")
    lock = _lock(environments, tmp_path, "left")
    environment = _make(environments, lock)
    (environment / "pai-environment.json").unlink()
    for module in environment.rglob("left.py"):
        module.unlink()  # uv links files from its cache: writing would change it there, too
        module.write_text("half")
    (environment / "stray").write_text("from before")
    assert environments.find(lock, python=HERE, runtime=environments.runtime_id()) is None
    assert _version(_make(environments, lock), "left") == "1.0"
    assert not (environment / "stray").exists()


def test_a_maker_that_was_killed_does_not_disturb_the_next(
    environments: UvEnvironments, index: TinyIndex, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    """Its uv may go on for a while; the next maker waits for it, then starts afresh."""
    for name in ("left", "right", "middle"):
        index.add(name, "1.0")
    lock = tmp_path / "all.lock"
    lock.write_bytes(environments.lock(["left", "right", "middle"], python=HERE, engine="python"))
    runtime = environments.runtime_id()
    index.delay_s = 0.5
    shutil.rmtree(tmp_path / "uv-cache")
    script = MAKER.format(root=str(tmp_path / "environments"), url=index.url)
    with subprocess.Popen(
        [sys.executable, "-c", script, str(lock), HERE, runtime],
        cwd=pytestconfig.rootpath, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        process.stdout.readline()
        for _ in range(1000):
            if any("/files/" in path for path in index.requests[-5:]):
                break
            threading.Event().wait(0.01)
        process.kill()
    index.delay_s = 0.0
    said: list[str] = []
    environment = _make(environments, lock, said)
    for name in ("left", "right", "middle"):
        assert _version(environment, name) == "1.0"


def test_an_environment_whose_python_went_away_is_made_again(
    environments: UvEnvironments, tmp_path: Path
) -> None:
    lock = _lock(environments, tmp_path)
    environment = _make(environments, lock)
    (environment / "bin" / "python").unlink()
    assert environments.find(lock, python=HERE, runtime=environments.runtime_id()) is None
    assert (_make(environments, lock) / "bin" / "python").exists()


def test_swapped_bytes_are_refused(
    environments: UvEnvironments, index: TinyIndex, tmp_path: Path
) -> None:
    index.add("left", "1.0")
    lock = _lock(environments, tmp_path, "left")
    lock.write_text(_with_other_hash(lock.read_text()))
    with pytest.raises(InvalidInput, match="not what the lock says"):
        _make(environments, lock)
    assert environments.find(lock, python=HERE, runtime=environments.runtime_id()) is None


def test_uvs_cache_is_enough_when_the_index_is_down(
    environments: UvEnvironments, index: TinyIndex, tmp_path: Path
) -> None:
    index.add("left", "1.0")
    lock = _lock(environments, tmp_path, "left")
    environment = _make(environments, lock)
    environments.prune((environment.name,))
    index.is_down = True
    assert _version(_make(environments, lock), "left") == "1.0"


def test_a_model_server_that_is_gone_is_said(environments: UvEnvironments, tmp_path: Path) -> None:
    lock = _lock(environments, tmp_path)
    with pytest.raises(InvalidInput, match="not on this machine any more"):
        environments.make(
            lock, python=HERE, runtime=f"0.0.1+sha256:{'0' * 64}", progress=lambda _: None
        )


def test_only_unneeded_environments_are_prunable(
    environments: UvEnvironments, index: TinyIndex, tmp_path: Path
) -> None:
    index.add("left", "1.0")
    kept, other = _lock(environments, tmp_path), _lock(environments, tmp_path, "left")
    first, second = _make(environments, kept), _make(environments, other)
    keep = frozenset({f"sha256:{hashlib.sha256(kept.read_bytes()).hexdigest()}"})
    assert environments.prunable(keep) == (second.name,)
    assert environments.prune((second.name, "unknown", "../..")) > 0
    assert first.exists()
    assert not second.exists()
    assert environments.prunable(keep) == ()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    done = subprocess.run(["mount", *options], capture_output=True, check=False, timeout=10)
    if done.returncode:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True, timeout=10)


def test_a_full_disk_is_said_and_leaves_nothing_half_made(
    environments: UvEnvironments, index: TinyIndex, small_disk: Path, tmp_path: Path
) -> None:
    lock = _lock(environments, tmp_path)
    on_small = UvEnvironments(small_disk / "environments", index_url=index.url)
    runtime = on_small.runtime_id()
    (small_disk / "ballast").write_bytes(
        b"\0"
        * (
            2**21
            - 600_000
            - sum(path.stat().st_size for path in small_disk.rglob("*") if path.is_file())
        )
    )
    with pytest.raises(Unavailable, match="full"):
        _make(on_small, lock)
    assert on_small.find(lock, python=HERE, runtime=runtime) is None
    (small_disk / "ballast").unlink()
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True, timeout=10)
    assert (_make(on_small, lock) / "bin" / "pai-runtime").exists()


def _with_other_hash(lock: str) -> str:
    head, _, tail = lock.partition("left==1.0 \\\n    --hash=sha256:")
    return f"{head}left==1.0 \\\n    --hash=sha256:{'0' * 64}{tail[64:]}"
