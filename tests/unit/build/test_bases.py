"""Which base fits a lock follows from the wheels that the index has."""

from collections.abc import Mapping, Sequence

import pytest

from prometheus_ai.build.bases import judge_bases, offers_for
from prometheus_ai.domain.image import BaseAdvice, BaseJudgement, IndexFile

MB = 1_000_000
GLIBC = "cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64"
MUSL = "cp311-cp311-musllinux_1_2_x86_64"


def index(**packages: Sequence[str]) -> Mapping[str, Sequence[IndexFile]]:
    return {
        name: [IndexFile(filename=f"{name}-{rest}", size_bytes=10 * MB) for rest in rests]
        for name, rests in packages.items()
    }


def advice(files: Mapping[str, Sequence[IndexFile]], **measured: int) -> BaseAdvice:
    lock = "".join(f"{name}==1.0 \\\n    --hash=sha256:aa\n" for name in files)
    sizes = {f"python:3.11-{name}": size for name, size in measured.items()}
    return judge_bases(lock, files, offers_for("3.11", sizes), "3.11")


def of(found: BaseAdvice, name: str) -> BaseJudgement:
    return next(one for one in found.judgements if one.offer.name == name)


def test_a_missing_musl_wheel_decides_against_alpine() -> None:
    found = advice(
        index(
            numpy=[f"1.0-{GLIBC}.whl", f"1.0-{MUSL}.whl"],
            onnxruntime=[f"1.0-{GLIBC}.whl"],
            scipy=[f"1.0-{GLIBC}.whl", "1.0.tar.gz"],
        )
    )
    assert found.chosen == "slim"
    assert "onnxruntime" in found.why
    alpine = of(found, "alpine")
    assert not alpine.fits
    assert alpine.impossible == ("onnxruntime",)
    assert alpine.compiled == ("scipy",)
    assert any("no musl wheel and no source: onnxruntime" in words for words in alpine.why)
    assert of(found, "slim").packages_bytes == 30 * MB


def test_alpine_is_taken_when_everything_has_a_wheel_and_it_is_much_smaller() -> None:
    pure = index(six=["1.0-py2.py3-none-any.whl"])
    found = advice(pure, slim=130 * MB, alpine=50 * MB)
    assert found.chosen == "alpine"
    assert "80 MB are saved" in found.why
    assert of(found, "slim").offer.is_measured
    assert not of(found, "full").offer.is_measured
    close = advice(pure, slim=60 * MB, alpine=50 * MB)
    assert close.chosen == "slim"
    assert "only 10 MB" in close.why


def test_a_source_is_compiled_and_slim_stays() -> None:
    found = advice(index(legacy=["1.0.tar.gz"]))
    assert found.chosen == "slim"
    assert of(found, "slim").compiled == ("legacy",)
    assert "compiled in a stage of its own" in of(found, "slim").why[0]


def test_a_library_that_slim_lacks_is_installed_and_slim_stays() -> None:
    found = advice(index(lightgbm=["1.0-py3-none-manylinux_2_28_x86_64.whl"]))
    assert found.chosen == "slim"
    assert "package libgomp1 is installed" in of(found, "slim").why[-1]
    assert not any("libgomp" in words for words in of(found, "full").why)


def test_wheels_for_newer_systems_and_other_pythons_do_not_count() -> None:
    found = advice(
        index(
            new=["1.0-cp311-cp311-manylinux_2_99_x86_64.whl"],
            other=["1.0-cp312-cp312-manylinux_2_17_x86_64.whl", "2.0-py3-none-any.whl"],
            stable=["1.0-cp38-abi3-manylinux_2_17_x86_64.whl"],
        )
    )
    assert found.chosen == ""
    assert of(found, "slim").impossible == ("new", "other")


@pytest.mark.parametrize("files", [{"unknown": ()}, {"odd": [IndexFile(filename="odd.exe")]}])
def test_what_the_index_does_not_know_is_said(files: Mapping[str, Sequence[IndexFile]]) -> None:
    found = advice(files)
    words = " ".join(of(found, "slim").why)
    assert "the index says nothing" in words or "no source" in words
