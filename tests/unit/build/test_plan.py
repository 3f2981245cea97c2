"""What is planned for an image follows from the release alone."""

import json
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prometheus_ai.build import MOUNT_FROM_BYTES, PlanInputs, plan_image
from prometheus_ai.build.packages import entries, is_heavy, part, text_of
from prometheus_ai.build.plan import CONFIG_IN_CONTEXT
from prometheus_ai.domain.errors import InvalidInput
from prometheus_ai.domain.image import LABEL_BASE_MADE, LABEL_PLAN, LABEL_RELEASE, BaseImage
from prometheus_ai.domain.image_spec import ImageSpec
from prometheus_ai.domain.release import Release
from prometheus_ai.testing.state_values import make_release

LOCK = """# made by PROMETHEUS
anyio==4.9.0 \\
    --hash=sha256:aa
numpy==2.2.6 \\
    --hash=sha256:bb \\
    --hash=sha256:cc
Scikit_Learn==1.7.2 \\
    --hash=sha256:dd
"""
BASE = BaseImage(reference="python:3.11-slim@sha256:11", digest="sha256:11")


def inputs(**changes: object) -> PlanInputs:
    plain = PlanInputs(home="h0me", lock=LOCK, base=BASE, wheel="server-1-py3-none-any.whl")
    return replace(plain, **changes)  # type: ignore[arg-type]


def release(size_bytes: int = 1000, image: ImageSpec | None = None) -> Release:
    made = make_release()
    model = replace(made.inputs.model, size_bytes=size_bytes)
    spec = made.spec.model_copy(update={"image": image})
    return replace(made, spec=spec, inputs=replace(made.inputs, model=model))


def test_equal_inputs_give_equal_plans() -> None:
    assert plan_image(release(), inputs()) == plan_image(release(), inputs())


@pytest.mark.parametrize(
    "changed",
    [
        {"lock": LOCK.replace("4.9.0", "4.10.0")},
        {"base": replace(BASE, digest="sha256:22")},
        {"sdists": ("anyio",)},
    ],
)
def test_whatever_decides_the_content_decides_the_digest(changed: dict[str, object]) -> None:
    before, after = plan_image(release(), inputs()), plan_image(release(), inputs(**changed))
    assert before.digest != after.digest
    assert after.labels[LABEL_PLAN] == after.digest


def test_a_light_bump_leaves_the_heavy_lock_alone() -> None:
    before = plan_image(release(), inputs())
    after = plan_image(release(), inputs(lock=LOCK.replace("4.9.0", "4.10.0")))
    assert before.files["locks/heavy.txt"] == after.files["locks/heavy.txt"]
    assert before.files["locks/light.txt"] != after.files["locks/light.txt"]


def test_every_package_is_in_one_stage_with_its_hashes() -> None:
    plan = plan_image(release(), inputs())
    assert "numpy==2.2.6" in plan.files["locks/heavy.txt"]
    assert "sha256:cc" in plan.files["locks/heavy.txt"]
    assert "anyio" not in plan.files["locks/heavy.txt"]
    assert "anyio==4.9.0" in plan.files["locks/light.txt"]


def test_compilers_come_only_with_a_package_that_needs_them() -> None:
    assert "build-essential" not in plan_image(release(), inputs()).dockerfile
    plan = plan_image(release(), inputs(sdists=("anyio",)))
    assert "build-essential" in plan.dockerfile
    assert "anyio==4.9.0" in plan.files["locks/compiled.txt"]
    assert "FROM base AS runtime" in plan.dockerfile


def test_the_result_inherits_from_no_stage_with_tools() -> None:
    text = plan_image(release(), inputs(sdists=("anyio",))).dockerfile
    parents = dict(
        reversed(line.removeprefix("FROM ").split(" AS "))
        for line in text.splitlines()
        if line.startswith("FROM ")
    )
    stage, line = "production", []
    while stage in parents:
        line.append(stage)
        stage = parents[stage]
    assert line == ["production", "runtime", "base"]


@pytest.mark.parametrize(
    ("size_bytes", "said", "weights"),
    [
        (1000, "auto", "layer"),
        (MOUNT_FROM_BYTES, "auto", "mount"),
        (1000, "mount", "mount"),
        (MOUNT_FROM_BYTES, "layer", "layer"),
    ],
)
def test_large_weights_are_mounted_unless_told_otherwise(
    size_bytes: int, said: str, weights: str
) -> None:
    plan = plan_image(release(size_bytes, ImageSpec.model_validate({"weights": said})), inputs())
    assert plan.weights == weights
    assert ("COPY model/" in plan.dockerfile) == (weights == "layer")


def test_bytecode_is_a_choice() -> None:
    fast = plan_image(release(image=ImageSpec(bytecode="cold-start")), inputs()).dockerfile
    small = plan_image(release(image=ImageSpec(bytecode="small")), inputs()).dockerfile
    assert "compileall" in fast
    assert "compileall" not in small
    # A base carries no bytecode of the standard library, or one that its files' times deny.
    assert "COPY --from=interpreter /bytecode /" in fast
    assert "interpreter" not in small


def test_the_image_says_what_it_is_and_runs_as_nobody() -> None:
    plan = plan_image(release(), inputs())
    assert plan.labels[LABEL_RELEASE].startswith("digits/v1@sha256:")
    assert "USER 10001:10001" in plan.dockerfile
    assert "HEALTHCHECK" in plan.dockerfile
    config = json.loads(plan.files[CONFIG_IN_CONTEXT])
    assert config["path"].startswith("/opt/model/")


def test_nothing_newer_than_the_oldest_engine_is_used() -> None:
    text = plan_image(release(), inputs(sdists=("anyio",))).dockerfile
    for newer in ("<<", "--link", "# syntax", "--network", "ADD ", "ARG ", "--parents"):
        assert newer not in text


def test_network_settings_are_secrets_alone() -> None:
    text = plan_image(release(), inputs(sdists=("anyio",))).dockerfile
    runs = [block for block in text.split("RUN ")[1:] if " pip " in block.split("\n\n")[0]]
    assert all("target=/dev/pai_network" in run or "--no-index" in run for run in runs)


def test_a_lock_of_nothing_is_refused() -> None:
    with pytest.raises(InvalidInput, match="names no package"):
        plan_image(release(), inputs(lock="# nothing\n"))


names = st.from_regex(r"[a-z][a-z0-9]{0,8}(-[a-z0-9]{1,4})?", fullmatch=True)


@given(st.dictionaries(names, st.integers(1, 3), min_size=1), st.sets(names))
def test_a_lock_is_parted_without_loss(packages: dict[str, int], sdists: set[str]) -> None:
    lock = "# head\n" + "".join(
        f"{name}==1.0 \\\n" + " \\\n".join(f"    --hash=sha256:{n}" for n in range(count)) + "\n"
        for name, count in packages.items()
    )
    heavy, light, compiled = part(lock, sdists)
    parted = [name for found in (heavy, light, compiled) for name, _ in found]
    assert sorted(parted) == sorted(packages)
    assert entries("".join(text_of(found) for found in (heavy, light, compiled)))
    assert all(is_heavy(name) for name, _ in heavy)
    assert {name for name, _ in compiled} == sdists & set(packages)


def test_what_a_step_mounts_lies_below_dev_alone() -> None:
    text = plan_image(release(), inputs()).dockerfile
    heavy = text.split("AS heavy\n")[1].split("\n\n")[0]
    targets = re.findall(r"target=(\S+)", heavy)
    assert len(targets) == 5
    assert all(target.startswith("/dev/") for target in targets)
    assert "PYTHONDONTWRITEBYTECODE=1" in heavy


def test_without_large_packages_there_is_no_stage_for_them() -> None:
    text = plan_image(release(), inputs(lock="anyio==4.9.0 \\\n    --hash=sha256:aa\n")).dockerfile
    assert "AS heavy" not in text
    runtime = text.split("FROM base AS runtime\n")[1].split("\n\n")[0]
    assert re.findall(r"--from=(\w+)", runtime) == ["interpreter", "light"]


def test_a_library_that_a_package_expects_is_installed_where_the_base_lacks_it() -> None:
    lock = LOCK + "lightgbm==4.6.0 \\\n    --hash=sha256:ee\n"
    plan = plan_image(release(), inputs(lock=lock))
    runtime = plan.dockerfile.partition(" AS runtime")[2]
    assert "grep -q 'libgomp.so.1 '" in runtime
    assert "install -qq -y --no-install-recommends libgomp1;" in runtime
    assert "apk add --quiet --no-cache libgomp;" in runtime
    assert any("libgomp.so.1" in note for note in plan.notes)
    assert "libgomp" not in plan_image(release(), inputs()).dockerfile


def test_the_image_says_when_its_base_was_made() -> None:
    made = "2026-01-02T03:04:05.123456789Z"
    plan = plan_image(release(), inputs(base=replace(BASE, made_at=made)))
    assert plan.labels[LABEL_BASE_MADE] == made
    assert LABEL_BASE_MADE not in plan_image(release(), inputs()).labels


@pytest.mark.parametrize(
    ("reference", "libc"),
    [
        ("python:3.11-slim@sha256:11", "glibc"),
        ("python:3.11-alpine", "musl"),
        ("registry.example.org/alpine-python:3@sha256:22", "musl"),
    ],
)
def test_the_c_library_is_told_by_the_name_of_the_base(reference: str, libc: str) -> None:
    assert BaseImage(reference=reference, digest="sha256:11").libc == libc


def test_compilers_come_by_the_tool_that_the_base_has() -> None:
    text = plan_image(release(), inputs(sdists=("anyio",))).dockerfile
    assert "if command -v apk > /dev/null; then apk add" in text
