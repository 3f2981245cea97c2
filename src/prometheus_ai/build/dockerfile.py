"""The text of a Dockerfile that engine 20.10 builds; pure.

Nothing newer is used: no heredocs, no ``COPY --link``, no ``# syntax`` line, so that it also builds where no
image registry can be reached.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from prometheus_ai.build.libraries import SystemLibrary
from prometheus_ai.domain.image import CONFIG_FILE, HTTP_PORT, IMAGE_EPOCH
from prometheus_ai.domain.image_spec import USER_ID, Bytecode

PREFIX = "/opt/pai"
VENV = f"{PREFIX}/venv"
# Test trees that are known to be imported by nobody; others stay.
_TESTED = (
    "joblib", "lightgbm", "numpy", "onnx", "onnxruntime", "pandas", "pyarrow", "scipy", "sklearn",
    "skops", "statsmodels", "threadpoolctl", "xgboost",
)  # fmt: skip

# What a step mounts lies below /dev, which is part of no layer: nothing empty is left where it was.
# Settings of the build's network come as secrets: they are in no layer and in no history.
_SECRETS = (
    "--mount=type=secret,id=pai_network,target=/dev/pai_network",
    "--mount=type=secret,id=pai_ca,target=/dev/pai_ca",
)
_NETWORK = "if [ -s /dev/pai_network ]; then set -a; . /dev/pai_network; set +a; fi"
_CACHE = "--mount=type=cache,id=pai-uv,target=/dev/pai-cache"
_TOOL = "--mount=type=bind,from=tools,source=/uv,target=/dev/pai-uv"
_UV = "/dev/pai-uv/bin/uv"
_SETTINGS = (
    "export HOME=/dev UV_CACHE_DIR=/dev/pai-cache UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never"
    " UV_NO_PROGRESS=1 PYTHONDONTWRITEBYTECODE=1"
)

# Parts of the standard library that no server imports, and what others installed beside it.
_UNCOMPILED = (
    "test", "tests", "idlelib", "lib2to3", "tkinter", "turtledemo", "ensurepip", "distutils",
    "pydoc_data", "site-packages", "dist-packages",
)  # fmt: skip
# Programs beside libraries that no server imports: a tenth of what would be compiled.
_PROGRAMS = (
    "numpy/distutils", "numpy/f2py", "onnxruntime/quantization", "onnxruntime/tools",
    "onnxruntime/transformers", "pydantic/v1",
)  # fmt: skip
_COMPILE = "python3 -B -m compileall -q -j 0 --invalidation-mode unchecked-hash"

_CHECKED = "--interval=10s --timeout=3s --start-period=120s"

PartName = Literal["heavy", "light"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """What goes into a Dockerfile."""

    base: str
    parts: Sequence[PartName]
    """The locks that are not empty."""
    compiled: Sequence[str]
    """Packages without a wheel."""
    bytecode: Bytecode
    wheel: str
    has_model_layer: bool
    labels: Mapping[str, str]
    libraries: Sequence[SystemLibrary] = ()
    """What packages expect of the system."""


def dockerfile(content: Content) -> str:
    """Return the whole text."""
    blocks = [_tools(content.base)]
    if content.compiled:
        blocks.append(_builder())
    if content.bytecode == "cold-start":
        blocks.append(_interpreter())
    blocks += [_dependencies(name, content) for name in content.parts]
    blocks.append(_server(content))
    blocks.append(_runtime(content))
    blocks.append(_production(content))
    return "\n\n".join(blocks) + "\n"


def _run(*steps: str, mounts: Sequence[str] = ()) -> str:
    lines = [*mounts, steps[0]]
    text = "RUN " + " \\\n    ".join(lines)
    for step in steps[1:]:
        text += f" \\\n && {step}"
    return text


def _tools(base: str) -> str:
    return "\n".join([
        f"FROM {base} AS base",
        "",
        "# The tool that installs packages; nothing of this stage is in the result.",
        "FROM base AS tools",
        _run(
            _NETWORK,

            "python3 -m pip install --quiet --no-cache-dir --disable-pip-version-check --no-compile --no-deps"
            " --target /uv --require-hashes -r /dev/tools.txt",
            mounts=(*_SECRETS, "--mount=type=bind,source=locks/tools.txt,target=/dev/tools.txt"),
        ),
    ])  # fmt: skip


def _builder() -> str:
    return "\n".join([
        "# Packages without a wheel for this Python are compiled here; the compilers stay here.",
        "FROM tools AS builder",
        _run(
            _NETWORK,
            "if command -v apk > /dev/null; then apk add --quiet --no-cache build-base linux-headers;"
            " else apt-get update -qq"
            " && apt-get install -qq -y --no-install-recommends build-essential python3-dev; fi",
            mounts=_SECRETS,
        ),
        _run(
            _NETWORK,
            "mkdir /wheels",
            "python3 -m pip wheel --quiet --no-deps --require-hashes -r /dev/compiled.txt -w /wheels",
            mounts=(*_SECRETS, "--mount=type=bind,source=locks/compiled.txt,target=/dev/compiled.txt"),
        ),
    ])  # fmt: skip


def _interpreter() -> str:
    """Compile the standard library: bases carry none of its bytecode, or one that its files' times deny."""
    left_out = f"-x '/({'|'.join(_UNCOMPILED)})/'"
    return "\n".join([
        "# The standard library's bytecode, without which every start compiles what it imports.",
        "FROM base AS interpreter",
        _run(
            "lib=$(python3 -c 'import os; print(os.path.dirname(os.__file__))')",
            'find "$lib" -type d -name __pycache__ -prune -exec rm -rf {} +',
            f'({_COMPILE} {left_out} "$lib" || true)',
            "mkdir /bytecode",
            'find "$lib" -type d -name __pycache__ | tar -c -T - | tar -x -C /bytecode',
            f"find /bytecode -exec touch -h -d @{IMAGE_EPOCH} {{}} +",
        ),
    ])  # fmt: skip


def _dependencies(name: PartName, content: Content) -> str:
    lock = f"/dev/{name}.txt"
    steps = [
        _NETWORK,
        _SETTINGS,
        f"{_UV} venv --quiet {VENV} --python python3",
        f"{_UV} pip sync --quiet --python {VENV}/bin/python --require-hashes {lock}",
    ]
    mounts = [_CACHE, *_SECRETS, _TOOL, f"--mount=type=bind,source=locks/{name}.txt,target={lock}"]
    if name == "light" and content.compiled:
        steps.append(
            f"{_UV} pip install --quiet --python {VENV}/bin/python --no-deps --no-index"
            " /dev/wheels/*.whl"
        )
        mounts.append("--mount=type=bind,from=builder,source=/wheels,target=/dev/wheels")
    said = {
        "heavy": "# Large packages that change seldom: a layer that is built and pushed seldom.",
        "light": "# All other packages: a small layer, built apart from the large one.",
    }
    steps += _finish(content.bytecode)
    return "\n".join([said[name], f"FROM base AS {name}", _run(*steps, mounts=mounts)])


def _server(content: Content) -> str:
    target = f"/dev/{content.wheel}"
    steps = [
        _SETTINGS,
        f"{_UV} venv --quiet {VENV} --python python3",
        f"{_UV} pip install --quiet --python {VENV}/bin/python --no-deps --no-index {target}",
        # uv notes when it installed a file; nobody reads that, and it would differ each time.
        f"cd {VENV}/lib/python3*/site-packages/prometheus_ai_runtime-*.dist-info",
        "rm -f uv_cache.json",
        "sed -i /uv_cache.json/d RECORD",
        *_finish(content.bytecode),
    ]
    mount = f"--mount=type=bind,source=server/{content.wheel},target={target}"
    return "\n".join(
        ["# The model server.", "FROM base AS server", _run(*steps, mounts=(_CACHE, _TOOL, mount))]
    )


def _finish(bytecode: Bytecode) -> list[str]:
    """Drop what nobody imports, compile, and give every file one time."""
    trees = " ".join(f"{VENV}/lib/python3*/site-packages/{name}" for name in _TESTED)
    drop = 'find "$tree" -type d -name tests -prune -exec rm -rf {} +'
    steps = [f'for tree in {trees}; do if [ -d "$tree" ]; then {drop}; fi; done']
    if bytecode == "cold-start":
        # Bytecode that is checked against nothing stays valid although all files get one time.
        # Packages carry templates that are no Python: their failure is none of the build's.
        left_out = f"-x '/({'|'.join(_PROGRAMS)})/'"
        steps.append(f"({_COMPILE} {left_out} {VENV}/lib || true)")
    steps.append(f"find {PREFIX} -exec touch -h -d @{IMAGE_EPOCH} {{}} +")
    return steps


def _libraries(found: Sequence[SystemLibrary]) -> str:
    """Install what the base lacks, and nothing where it has it, so that such a base needs no mirror."""
    here = " && ".join(f"ldconfig -p 2> /dev/null | grep -q '{one.file} '" for one in found)
    alpine = " ".join(sorted({one.alpine for one in found}))
    debian = " ".join(sorted({one.debian for one in found}))
    return _run(
        _NETWORK,
        "touch /dev/pai-began",
        f"if command -v apk > /dev/null; then apk add --quiet --no-cache {alpine};"
        f" elif ! {{ {here}; }}; then apt-get update -qq"
        f" && apt-get install -qq -y --no-install-recommends {debian}; fi",
        "rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/ldconfig/* /var/log/apt /var/log/dpkg.log",
        f"find / -xdev -newer /dev/pai-began -exec touch -h -d @{IMAGE_EPOCH} {{}} +",
        mounts=_SECRETS,
    )


def _runtime(content: Content) -> str:
    # Copied, though the step's own layer holds the same files: engines touch /etc after a step, at their own time.
    copies = [f"COPY --from={name} {PREFIX} {PREFIX}" for name in content.parts]
    if content.bytecode == "cold-start":
        copies.insert(0, "COPY --from=interpreter /bytecode /")
    if content.libraries:
        copies.insert(0, _libraries(content.libraries))
    return "\n".join(
        ["# Interpreter and packages, no build tools.", "FROM base AS runtime", *copies]
    )


def _production(content: Content) -> str:
    probe = (
        "import sys,urllib.request as u;"
        f"sys.exit(u.urlopen('http://127.0.0.1:{HTTP_PORT}/v2/health/live',timeout=2).status!=200)"
    )
    lines = [
        "# What runs.",
        "FROM runtime AS production",
        f"COPY --from=server {PREFIX} {PREFIX}",
    ]
    if content.has_model_layer:
        lines.append("COPY model/ /")
    lines += [
        "COPY config/ /",
        f"ENV PATH={VENV}/bin:/usr/local/bin:/usr/bin:/bin HOME=/tmp TMPDIR=/tmp",
        "ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1",
        f"USER {USER_ID}:{USER_ID}",
        "WORKDIR /tmp",
        f"EXPOSE {HTTP_PORT}",
        "STOPSIGNAL SIGTERM",
        f'HEALTHCHECK {_CHECKED} CMD ["{VENV}/bin/python", "-I", "-c", "{probe}"]',
        f'ENTRYPOINT ["{VENV}/bin/python", "-I", "-B", "{VENV}/bin/pai-runtime"]',
        f'CMD ["serve", "--config", "{CONFIG_FILE}", "--host", "0.0.0.0", "--port", "{HTTP_PORT}"]',
    ]
    lines += [f'LABEL {name}="{value}"' for name, value in sorted(content.labels.items())]
    return "\n".join(lines)
