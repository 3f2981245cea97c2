"""What an analysis concludes from the files of an image."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prometheus_ai.domain.gate import SecretFinding
from prometheus_ai.domain.image_contents import (
    FileKind,
    ImageAnalysis,
    ImageContents,
    Risk,
    StoredFile,
    StoredLayer,
    Suggestion,
    TreeNode,
)
from prometheus_ai.images import DEAD, analyze, dropped, importable, page
from prometheus_ai.images.kinds import KINDS, bytecode_parts, kind_of
from prometheus_ai.images.owners import Package, owner_of, owners_of
from prometheus_ai.images.treemap import squarified
from prometheus_ai.images.view import view_of

SITE = "usr/local/lib/python3.11/site-packages"
MB = 1_000_000


def file(path: str, size: int = MB, content: str = "", kind: FileKind = "file") -> StoredFile:
    digest = (content or path).encode() if kind == "file" else b""
    return StoredFile(path=path, size_bytes=size if kind == "file" else 0, digest=digest, kind=kind)


def layer(*files: StoredFile, made_by: str = "") -> StoredLayer:
    number = abs(hash((made_by, files)))
    return StoredLayer(digest=f"sha256:{number:x}", made_by=made_by, files=files)


def image(*layers: StoredLayer, **changes: object) -> ImageContents:
    plain = {"image": "sha256:ab", "layers": layers, "databases": {}, "has_healthcheck": True}
    return ImageContents(**{**plain, "user": "10001", **changes})  # type: ignore[arg-type]


def suggested(analysis: ImageAnalysis, kind: str) -> Suggestion:
    (found,) = (one for one in analysis.suggestions if one.kind == kind)
    return found


def test_files_that_later_layers_delete_overwrite_or_chown_are_dead() -> None:
    contents = image(
        layer(file("wheels/a.whl", 5 * MB), file("app/code", MB), file("etc/conf", MB)),
        layer(file("wheels", kind="removed"), made_by="RUN rm -rf /wheels # buildkit"),
        layer(file("app/code", MB), file("etc/conf", 2 * MB, "other")),
    )
    found = analyze(contents, "x")
    assert (found.size_bytes, found.live_bytes, found.dead_bytes) == (10 * MB, 3 * MB, 7 * MB)
    dead = suggested(found, DEAD)
    assert dead.saves_bytes == 7 * MB
    assert "5.0 MB deleted" in dead.why
    assert "1.0 MB rewritten" in dead.why
    assert "RUN rm -rf /wheels" in dead.why
    assert [one.dead_bytes for one in found.layers] == [7 * MB, 0, 0]


def test_an_emptied_folder_hides_all_that_was_in_it() -> None:
    view = view_of(
        [
            layer(file("data/a"), file("data/in/b"), file("other")),
            layer(file("data", kind="opaque"), file("data/c")),
        ]
    )
    assert set(view.live) == {"other", "data/c"}


@pytest.mark.parametrize(
    ("path", "owner", "kind"),
    [
        ("var/lib/apt/lists/x_Packages", None, "package-caches"),
        ("root/.cache/pip/http/1", None, "package-caches"),
        ("app/.git/objects/pack/1", None, "working-files"),
        ("usr/share/man/man1/gcc.1.gz", None, "documentation"),
        ("usr/share/doc/libc6/copyright", None, ""),
        (f"{SITE}/scipy/linalg/tests/data.npz", None, "test-trees"),
        (f"{SITE}/unheard/tests/test_a.py", None, "other-tests"),
        (f"{SITE}/torch/include/ATen/a.h", None, "headers"),
        (f"{SITE}/pip/_internal/a.py", ("pip", "python"), "installers"),
        (f"{SITE}/nvidia/cudnn/lib/libcudnn.so.9", ("nvidia-cudnn-cu12", "python"), "gpu-libraries"),
        ("usr/bin/x86_64-linux-gnu-gcc-12", ("gcc-12", "dpkg"), "build-tools"),
        ("usr/include/stdio.h", ("libc6-dev", "dpkg"), "build-tools"),
        ("usr/bin/git", ("git", "dpkg"), "build-tools"),
        ("usr/lib/x86_64-linux-gnu/libc.so.6", ("libc6", "dpkg"), ""),
        ("usr/lib/x86_64-linux-gnu/libgcc_s.so.1", ("libgcc-s1", "dpkg"), ""),
        ("usr/lib/x86_64-linux-gnu/libgfortran.so.5", ("libgfortran5", "dpkg"), ""),
        (f"{SITE}/numpy/core.py", ("numpy", "python"), ""),
    ],
)  # fmt: skip
def test_files_are_told_by_path_and_owner(
    path: str, owner: tuple[str, str] | None, kind: str
) -> None:
    package = Package(name=owner[0], version="1", kind=owner[1]) if owner else None
    assert kind_of(path, package) == kind


def test_bytecode_that_nothing_reads_is_told_from_the_rest() -> None:
    cache = f"{SITE}/demo/__pycache__"
    contents = image(
        layer(
            file(f"{SITE}/demo/a.py", 10), file(f"{SITE}/demo/b.py", 10),
            file(f"{cache}/a.cpython-311.pyc"), file(f"{cache}/b.cpython-311.pyc"),
            file(f"{cache}/a.cpython-310.pyc"), file(f"{cache}/gone.cpython-311.pyc"),
        )
    )  # fmt: skip
    found = analyze(contents, "x")
    assert suggested(found, "stale-bytecode").saves_bytes == 2 * MB
    assert suggested(found, "stale-bytecode").risk is Risk.LOW
    assert suggested(found, "bytecode").saves_bytes == 2 * MB
    assert bytecode_parts(f"{cache}/a.cpython-311.opt-1.pyc") == (
        f"{SITE}/demo/a.py", "cpython-311",
    )  # fmt: skip


def test_packages_are_weighed_with_their_bytecode_and_tests() -> None:
    databases = {
        f"{SITE}/scipy-1.0.dist-info/RECORD": "scipy/a.py,,\nscipy/tests/t.py,,\n../../../bin/scipy,,\n",
        "var/lib/dpkg/status": "Package: libc6\nStatus: install ok installed\nVersion: 2.36\n\n",
        "var/lib/dpkg/info/libc6:amd64.list": "/.\n/lib64\n/lib64/ld.so\n/usr\n/usr/lib\n/usr/lib/libc.so\n",
        "var/lib/dpkg/info/cpp.list": "/.\n/lib64\n/usr\n/usr/bin\n/usr/bin/cpp\n",
        "lib/apk/db/installed": "P:musl\nV:1.2\nF:lib\nR:ld-musl.so\n\n",
    }
    contents = image(
        layer(
            file(f"{SITE}/scipy/a.py"), file(f"{SITE}/scipy/tests/t.py", 2 * MB),
            file("usr/local/bin/scipy"), file(f"{SITE}/scipy/__pycache__/a.cpython-311.pyc"),
            file("usr/lib/libc.so", 3 * MB), file("lib/ld-musl.so"), file("lib64", kind="link"),
        ),
        databases=databases,
    )  # fmt: skip
    shares = {one.name: one for one in analyze(contents, "x").packages}
    scipy = shares["scipy"]
    assert (scipy.size_bytes, scipy.bytecode_bytes, scipy.test_bytes) == (5 * MB, MB, 2 * MB)
    assert (shares["libc6"].size_bytes, shares["libc6"].version) == (3 * MB, "2.36")
    assert shares["musl"].kind == "apk"
    assert owner_of("lib64", owners_of(databases)) is None, "folders belong to nobody"


def test_code_that_is_copied_before_packages_is_weighed() -> None:
    history = (
        ("/bin/sh -c #(nop) ADD file:1 in / ", True),
        ("COPY requirements.txt . # buildkit", True),
        ("COPY . . # buildkit", True),
        ("RUN /bin/sh -c pip install -r requirements.txt # buildkit", True),
        ("USER 1", False),
    )
    layers = [layer(file(str(n), size)) for n, size in enumerate((MB, 10, 20, 7 * MB))]
    order = suggested(analyze(image(*layers, history=history), "x"), "order")
    assert order.rebuilds_bytes == 7 * MB
    well = (history[0], history[1], history[3], history[2])
    assert "order" not in {
        one.kind for one in analyze(image(*layers, history=well), "x").suggestions
    }


def test_settings_and_credentials_are_findings_with_their_place() -> None:
    one = layer(file("app/.env", 10))
    secret = SecretFinding(rule="github-token", file="app/.env", line=3, layer=one.digest)
    contents = image(one, user="", has_healthcheck=False, entrypoint=("/bin/sh", "-c", "run"))
    found = analyze(contents, "x", [secret]).findings
    assert [f.kind for f in found] == ["secret", "root-user", "no-healthcheck", "shell-form"]
    assert found[0].where == "app/.env:3, layer 1"


def test_a_file_counts_for_one_suggestion_only() -> None:
    twin = f"{SITE}/scipy/tests/"
    contents = image(layer(file(f"{twin}a", MB, "same"), file(f"{twin}b", MB, "same")))
    found = analyze(contents, "x")
    assert [one.kind for one in found.suggestions] == ["test-trees"]
    assert found.saves_bytes == 2 * MB


def test_what_is_dropped_does_not_show_through_from_below() -> None:
    path = "usr/share/man/a.1"
    contents = image(layer(file(path, MB, "old")), layer(file(path, MB, "new")), layer(file("x")))
    assert dropped(contents, ["documentation"]) == (
        frozenset({path}),
        frozenset({path}),
        frozenset(),
    )
    assert dropped(contents, [DEAD]) == (frozenset({path}), frozenset(), frozenset())


def test_the_python_with_most_packages_is_asked_for_its_modules() -> None:
    contents = image(
        layer(
            file("usr/local/bin/python3", kind="link"), file("usr/bin/python3", kind="link"),
            file(f"{SITE}/numpy/__init__.py"), file(f"{SITE}/six.py"),
            file(f"{SITE}/_fast.cpython-311-x86_64-linux-gnu.so"), file(f"{SITE}/pip/__init__.py"),
            file("usr/lib/python3/dist-packages/apt/__init__.py", 10),
        )
    )  # fmt: skip
    found = importable(contents, {f"{SITE}/pip/__init__.py"})
    assert found.python == "/usr/local/bin/python3"
    assert found.modules == ("numpy", "six")


def test_the_page_names_everything_and_needs_nothing_else() -> None:
    contents = image(
        layer(file("var/lib/apt/lists/a", 3 * MB), file("app/<script>", MB)), user="root"
    )
    text = page(analyze(contents, "shop:1"))
    assert "<script" not in text
    assert "http://" not in text
    assert "&lt;script&gt;" in text
    for words in ("shop:1", KINDS["package-caches"].title, "root", "prefers-color-scheme"):
        assert words in text


sizes = st.lists(st.integers(1, 10**9), min_size=1, max_size=40)


@given(sizes, st.floats(0.2, 5.0))
def test_a_treemap_fills_its_room_by_the_bytes(sizes: Sequence[int], aspect: float) -> None:
    cells = squarified([TreeNode(name=str(n), size_bytes=s) for n, s in enumerate(sizes)], aspect)
    total = sum(sizes)
    assert len(cells) == len(sizes)
    for cell in cells:
        assert cell.width * cell.height == pytest.approx(cell.node.size_bytes / total, rel=1e-6)
        assert -1e-6 <= cell.left <= cell.left + cell.width <= 1 + 1e-6
        assert -1e-6 <= cell.top <= cell.top + cell.height <= 1 + 1e-6
