"""What kind of file one is, where it may not be needed; pure."""

import re
from dataclasses import dataclass

from prometheus_ai.domain.image_contents import Risk
from prometheus_ai.images.owners import Package

# Packages whose tests are known to be imported by nothing else.
_TESTS_KNOWN = re.compile(
    r"-packages/(joblib|lightgbm|numpy|onnx|onnxruntime|pandas|pyarrow|scipy|sklearn|skops|statsmodels"
    r"|threadpoolctl|xgboost)/(.+/)?tests/"
)
_TESTS = re.compile(r"-packages/[^/]+/(.+/)?(tests?|testing_data)/")
_CACHE = re.compile(
    r"^(var/lib/apt/lists/|var/cache/apt/|var/cache/apk/|lib/apk/cache/|var/cache/debconf/.+-old$"
    r"|(root|home/[^/]+)/\.cache/|(root|home/[^/]+)/\.npm/|opt/conda/pkgs/|var/cache/(yum|dnf)/)"
)
_VCS = re.compile(r"(^|/)(\.git|\.hg|\.svn|node_modules|\.ipynb_checkpoints|\.mypy_cache|\.pytest_cache"
                  r"|\.ruff_cache|\.tox|\.venv/\.git)/")  # fmt: skip
_DOCS = re.compile(r"^usr/(local/)?share/(doc|man|info|locale|lintian|gtk-doc)/")
_LICENCE = re.compile(r"/(copyright|LICEN[CS]E[^/]*|NOTICE[^/]*)$", re.IGNORECASE)
_HEADERS = re.compile(
    r"-packages/.+\.(h|hpp|hxx|cuh|pxd|pyx|a|lib|f90|cmake)$|/config-3[^/]*/.+\.a$"
)
_INSTALLERS = frozenset(
    {"pip", "setuptools", "wheel", "virtualenv", "poetry", "pipenv", "ensurepip"}
)
_INSTALLERS_DPKG = re.compile(r"^python3-(pip|setuptools|wheel)(-whl)?$")
_ENSUREPIP = re.compile(r"(^|/)lib/python3[^/]*/ensurepip/")
_TOOLS = re.compile(
    r"^(gcc|g\+\+|cpp|clang|llvm|gfortran|binutils|build-essential|make|cmake|ninja-build|dpkg-dev|git|git-man"
    r"|mercurial|subversion|patch|autoconf|automake|libtool|pkg-config|rustc|cargo|golang.*|linux-libc-dev"
    r"|linux-headers|musl-dev|build-base|fakeroot|libstdc\+\+-.*-dev|libgcc-.*-dev|.+-dev|.+-dev-bin)"
    r"(-[\d.]+)?(-.*)?$"
)
# What compilers brought along and nothing else of an image needs.
_TOOL_LIBRARIES = re.compile(
    r"^(libasan|libtsan|liblsan|libubsan|libitm|libhwasan|libcc1|libisl|libmpc|libmpfr|libctf|libbinutils"
    r"|libgprofng|libalgorithm-|libfile-fcntllock|libdpkg-perl|libfakeroot)"
)
_GPU = re.compile(r"^(nvidia-|triton$|cuda-|tensorrt|cupy)")
_PYC = re.compile(
    r"^(?P<folder>.*?)/?__pycache__/(?P<name>[^/]+?)\.(?P<tag>[a-z]+-\d+)(\.opt-\d)?\.pyc$"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """One reason why files may not be needed."""

    name: str
    title: str
    why: str
    remedy: str
    risk: Risk


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            name="package-caches", title="caches of package managers", risk=Risk.LOW,
            why="they only save a download when more is installed, which images never do",
            remedy="mount them: RUN --mount=type=cache,target=… pip install …; delete /var/lib/apt/lists/* in the"
            " same RUN as apt-get",
        ),
        Kind(
            name="working-files", title="version control, editors' and tests' folders", risk=Risk.LOW,
            why="the whole source folder was copied, with what only its author needs",
            remedy="name .git, caches and node_modules in .dockerignore",
        ),
        Kind(
            name="documentation", title="manuals, translations and examples", risk=Risk.LOW,
            why="nobody reads manuals in a container; licences are kept",
            remedy="take a slim base, or squash after deleting /usr/share/{doc,man,locale,info}",
        ),
        Kind(
            name="stale-bytecode", title="bytecode that this image's Python never reads", risk=Risk.LOW,
            why="it belongs to another Python, or its source is gone",
            remedy="delete __pycache__ before you copy, and compile once with the image's own Python",
        ),
        Kind(
            name="test-trees", title="tests of packages", risk=Risk.LOW,
            why="tests that well-known packages bring and nothing imports",
            remedy="delete them in the RUN that installs: find … -type d -name tests -prune -exec rm -rf {} +",
        ),
        Kind(
            name="other-tests", title="folders of packages that look like tests", risk=Risk.MEDIUM,
            why="some packages import from folders named test or tests",
            remedy="delete them in the RUN that installs, and try the image",
        ),
        Kind(
            name="build-tools", title="compilers and headers", risk=Risk.MEDIUM,
            why="they built packages once; left in, they are also what an attacker would bring along",
            remedy="build in a stage of its own and copy the environment: FROM base AS builder … COPY --from=builder",
        ),
        Kind(
            name="installers", title="installers of packages", risk=Risk.MEDIUM,
            why="a running container installs nothing; a few packages import pkg_resources of setuptools",
            remedy="install with uv from a stage of its own: its environments carry no installer",
        ),
        Kind(
            name="headers", title="headers and static libraries in packages", risk=Risk.MEDIUM,
            why="they are for compiling against a package; torch.compile and Cython at run time need them",
            remedy="delete them in the RUN that installs, and try the image",
        ),
        Kind(
            name="bytecode", title="compiled bytecode", risk=Risk.MEDIUM,
            why="it trades bytes for speed: without it every start compiles anew, 4.4 s instead of 2.0 s for a usual"
            " model server",
            remedy="leave it where replicas start often; PYTHONDONTWRITEBYTECODE=1 and no compileall where not",
        ),
        Kind(
            name="gpu-libraries", title="GPU libraries", risk=Risk.HIGH,
            why="of no use where no GPU is, and needed where one is",
            remedy="on machines without a GPU install the package's CPU build",
        ),
    )
}  # fmt: skip
"""By name; the order is the order of reading."""


def kind_of(path: str, owner: Package | None) -> str:
    """Return the name of the kind that a file is of, empty when nothing speaks against it."""
    for name, pattern in (
        ("package-caches", _CACHE), ("working-files", _VCS),
    ):  # fmt: skip
        if pattern.search(path):
            return name
    if _DOCS.search(path):
        return "" if _LICENCE.search(path) else "documentation"
    found = _kind_by_owner(path, owner)
    if found:
        return found
    if _TESTS_KNOWN.search(path):
        return "test-trees"
    if _TESTS.search(path):
        return "other-tests"
    if _HEADERS.search(path):
        return "headers"
    return "bytecode" if path.endswith(".pyc") else ""


def bytecode_parts(path: str) -> tuple[str, str] | None:
    """Return the source and the interpreter's tag of a file of bytecode, such as ``cpython-311``."""
    match = _PYC.match(path)
    if match is None:
        return None
    source = f"{match['name']}.py"
    return (f"{match['folder']}/{source}" if match["folder"] else source), match["tag"]


def _kind_by_owner(path: str, owner: Package | None) -> str:
    if _ENSUREPIP.search(path):
        return "installers"
    if owner is None:
        return ""
    if owner.kind == "python":
        if owner.name in _INSTALLERS:
            return "installers"
        return "gpu-libraries" if _GPU.match(owner.name) else ""
    if _INSTALLERS_DPKG.match(owner.name):
        return "installers"
    # What a distribution's tools are is said by names; its documents were told apart before.
    is_tool = _TOOLS.match(owner.name) or _TOOL_LIBRARIES.match(owner.name)
    return "build-tools" if is_tool and not _LICENCE.search(path) else ""
