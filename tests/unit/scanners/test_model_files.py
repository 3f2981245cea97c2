"""The model-file scanner: catches what runs code, passes what does not, never takes the unread for clean."""

import bz2
import gzip
import io
import json
import lzma
import pickle
import zipfile
import zlib
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prometheus_ai.adapters.scanners.model_files import ModelFileScanner
from prometheus_ai.domain.gate import ModelScan
from tests.unit.scanners.poison import CALLABLES, call, text


def scan(folder: Path, data: bytes, name: str = "model.pkl", **bounds: int) -> ModelScan:
    path = folder / name
    path.write_bytes(data)
    return ModelFileScanner(bounds or None).scan(path, "sha256:0")


def kinds(found: ModelScan) -> set[str]:
    return {finding.kind for finding in found.findings}


def dumped(value: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    joblib.dump(value, stream, **options)
    return stream.getvalue()


class Runs:
    """Loads as a call of a function that no list allows."""

    def __reduce__(self) -> Any:
        return print, ("pwned",)


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("name", CALLABLES)
def test_a_callable_is_caught_whatever_its_name(tmp_path: Path, name: str, protocol: int) -> None:
    found = scan(tmp_path, call(name, "true", protocol=protocol))
    assert "unsafe" in kinds(found)
    assert found.findings[0].name == name
    assert found.runs_code


@pytest.mark.parametrize("name", ["model.txt", "model.bin", "weights", "notes.md", "model.json"])
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_renamed_pickle_is_a_pickle(tmp_path: Path, name: str, protocol: int) -> None:
    assert "unsafe" in kinds(scan(tmp_path, call("os.system", "id", protocol=protocol), name))


@pytest.mark.parametrize(
    "pack",
    [zlib.compress, gzip.compress, bz2.compress, lzma.compress,
     lambda data: lzma.compress(data, lzma.FORMAT_ALONE)],
    ids=["zlib", "gzip", "bz2", "xz", "lzma"],
)  # fmt: skip
def test_compression_hides_nothing(tmp_path: Path, pack: Any) -> None:
    assert "unsafe" in kinds(scan(tmp_path, pack(call("os.system", "id")), "model.joblib"))


@pytest.mark.parametrize("method", ["zlib", "gzip", "bz2", "lzma", "xz", "lz4"])
def test_joblib_streams_of_all_compressors_are_read(tmp_path: Path, method: str) -> None:
    value = {"weights": np.arange(1000.0), "names": np.array(["a", "b"], dtype=object)}
    assert scan(tmp_path, dumped(value, compress=(method, 3))).is_clean
    poisoned = dumped([np.arange(1000.0), Runs()], compress=(method, 3))
    assert "unsafe" in kinds(scan(tmp_path, poisoned))


def test_a_payload_behind_an_array_is_found(tmp_path: Path) -> None:
    found = scan(tmp_path, dumped([np.arange(100_000.0), Runs()]))
    assert {finding.name for finding in found.findings} == {"builtins.print"}


def test_a_payload_inside_an_array_of_objects_is_found(tmp_path: Path) -> None:
    array = np.array([1, Runs()], dtype=object)
    assert "unsafe" in kinds(scan(tmp_path, dumped(array)))


def test_a_payload_inside_the_bytes_of_an_array_is_found(tmp_path: Path) -> None:
    """A loader that does not know joblib's frames would run the array's bytes."""
    payload = b"0" + call("os.system", "id")[2:]
    array = np.frombuffer(payload, dtype=np.uint8)
    data = dumped(array)
    head = data[: data.index(b"ub", data.index(b"alignment_bytes")) + 2]
    # As joblib wrote arrays before it padded them.
    unpadded = head.replace(b"alignment_bytes", b"alignment_bytez") + payload + b"."
    assert "unsafe" in kinds(scan(tmp_path, unpadded))


def test_what_an_allowed_call_returns_may_not_be_called(tmp_path: Path) -> None:
    partial = b"\x80\x04" + text("functools") + text("partial") + b"\x93"
    data = partial + text("builtins") + text("len") + b"\x93\x85R" + b"]\x85R."
    found = scan(tmp_path, data)
    assert any("functools.partial returned" in one.message for one in found.findings)


def test_an_allowed_class_may_not_be_changed(tmp_path: Path) -> None:
    name = text("sklearn.base") + text("BaseEstimator") + b"\x93"
    assert "unsafe" in kinds(scan(tmp_path, b"\x80\x04" + name + b"}b."))


def test_a_computed_name_is_unsafe(tmp_path: Path) -> None:
    made = text("builtins") + text("str") + b"\x93" + text("os") + b"\x85R"
    assert "unsafe" in kinds(scan(tmp_path, b"\x80\x04" + made + text("system") + b"\x93."))


def test_a_dotted_name_does_not_reach_through_an_allowed_module(tmp_path: Path) -> None:
    name = text("sklearn.base") + text("BaseEstimator.__init__.__globals__") + b"\x93."
    assert "unsafe" in kinds(scan(tmp_path, b"\x80\x04" + name))


def test_bytes_after_the_end_are_a_finding(tmp_path: Path) -> None:
    data = pickle.dumps([1, 2, 3])
    found = scan(tmp_path, data + call("os.system", "id"))
    assert kinds(found) == {"trailing"}
    assert found.bytes_read == len(data)


def test_a_policy_can_allow_a_name(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(call("my_package.features.Binner", "x"))
    assert not ModelFileScanner().scan(path, "").is_clean
    assert ModelFileScanner().scan(path, "", ["my_package.features.Binner"]).is_clean


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def test_members_of_archives_are_looked_into(tmp_path: Path) -> None:
    data = zipped({"readme.txt": b"hello\n", "deep/weights.dat": call("os.system", "id")})
    found = scan(tmp_path, data, "model.zip")
    assert found.findings[0].file == "model.zip!deep/weights.dat"
    assert "unsafe" in kinds(found)
    assert "unsafe" in kinds(scan(tmp_path, zipped({"inner.zip": data}), "model.zip"))


def test_a_zip_that_claims_to_be_encrypted_is_a_finding(tmp_path: Path) -> None:
    data = bytearray(zipped({"model/data.pkl": call("os.system", "id")}))
    for at in (data.index(b"PK\x03\x04") + 6, data.index(b"PK\x01\x02") + 8):
        data[at] |= 1
    assert "encrypted" in kinds(scan(tmp_path, bytes(data), "model.pt"))


def test_bytes_between_the_members_of_an_archive_are_a_finding(tmp_path: Path) -> None:
    data = zipped({"a.txt": b"a\n"})
    assert not scan(tmp_path, b"PK\x03\x04" + call("os.system") + data, "model.zip").is_clean
    assert not scan(tmp_path, data + b"more", "model.zip").is_clean
    assert "outside" in kinds(scan(tmp_path, zipped({"../up.txt": b"a\n"}), "model.zip"))


def test_npz_and_npy_are_read(tmp_path: Path) -> None:
    stream = io.BytesIO()
    np.savez(stream, a=np.arange(5), b=np.zeros((3, 4), dtype="<f4"))
    assert scan(tmp_path, stream.getvalue(), "model.npz").is_clean
    stream = io.BytesIO()
    np.save(stream, np.array([Runs()], dtype=object), allow_pickle=True)
    assert "unsafe" in kinds(scan(tmp_path, stream.getvalue(), "model.npy"))


def test_bombs_are_findings_within_bounds(tmp_path: Path) -> None:
    bomb = zlib.compress(b"\x80\x04" + b"N0" * 5_000_000 + b"N.")
    found = scan(tmp_path, bomb, expanded_bytes_max=1_000_000)
    assert kinds(found) == {"bomb"}
    assert kinds(scan(tmp_path, b"\x80\x04" + b"N0" * 50_000 + b"N.", operations_max=10_000)) == {
        "bomb"
    }
    nested = b"N."
    for _ in range(12):
        nested = zlib.compress(nested)
    assert kinds(scan(tmp_path, nested, "m.joblib")) == {"bomb"}


def test_keras_lambda_layers_are_caught(tmp_path: Path) -> None:
    layer = {"class_name": "Lambda", "module": "keras.layers", "config": {"function": "4wEAAA=="}}
    config = json.dumps({"class_name": "Sequential", "config": {"layers": [layer]}}).encode()
    data = zipped({"metadata.json": b"{}", "config.json": config})
    assert "unsafe" in kinds(scan(tmp_path, data, "model.keras"))
    plain = config.replace(b"Lambda", b"Dense")
    assert scan(
        tmp_path, zipped({"metadata.json": b"{}", "config.json": plain}), "m.keras"
    ).is_clean
    hdf5 = b"\x89HDF\r\n\x1a\n" + bytes(5000) + config + bytes(500)
    assert "unsafe" in kinds(scan(tmp_path, hdf5, "model.h5"))
    assert scan(tmp_path, hdf5.replace(b"Lambda", b"Denses"), "model.h5").is_clean


def gguf(template: str) -> bytes:
    key, value = b"tokenizer.chat_template", template.encode()
    pair = len(key).to_bytes(8, "little") + key + (8).to_bytes(4, "little")
    pair += len(value).to_bytes(8, "little") + value
    return b"GGUF" + (3).to_bytes(4, "little") + bytes(8) + (1).to_bytes(8, "little") + pair


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ ''|attr('\\x5f\\x5fclass\\x5f\\x5f') }}",
        "{{ x['__cl' ~ 'ass__'] }}",
        "{% include '/etc/passwd' %}",
        "{{ lipsum() }}",
    ],
)
def test_templates_that_reach_for_python_are_caught(tmp_path: Path, template: str) -> None:
    assert "unsafe" in kinds(scan(tmp_path, gguf(template), "model.gguf"))


def test_ordinary_chat_templates_pass(tmp_path: Path) -> None:
    template = (
        "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}"
        "{{ '<start>' + message['content'] | trim + '<end>\\n' }}{% elif loop.first %}"
        "{{ raise_exception('no') }}{% endif %}{% endfor %}"
        "{%- if add_generation_prompt %}{{ 'model\\n' }}{% endif %}"
    )
    assert scan(tmp_path, gguf(template), "model.gguf").is_clean


def safetensors(header: dict[str, Any], data: bytes) -> bytes:
    packed = json.dumps(header).encode()
    return len(packed).to_bytes(8, "little") + packed + data


def test_safetensors_must_be_tensors_to_the_last_byte(tmp_path: Path) -> None:
    tensor = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}
    good = safetensors({"a": tensor, "__metadata__": {"format": "pt"}}, bytes(16))
    assert scan(tmp_path, good, "model.safetensors").is_clean
    assert kinds(scan(tmp_path, good + b"x", "model.safetensors")) == {"trailing"}
    gap = {"a": tensor | {"data_offsets": [4, 20]}}
    assert not scan(tmp_path, safetensors(gap, bytes(20)), "model.safetensors").is_clean


def test_unknown_bytes_are_never_clean(tmp_path: Path) -> None:
    assert not scan(tmp_path, bytes(range(256)), "model.dat").is_clean
    assert not scan(tmp_path, b"\xca\xfe\xba\xbe" * 10, "model.onnx").is_clean


def test_folders_are_read_file_by_file(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text('{"auto_map": {"AutoModel": "modeling.Evil"}}')
    (model / "pytorch_model.bin").write_bytes(call("os.system", "id"))
    found = ModelFileScanner().scan(model, "")
    assert {finding.file for finding in found.findings} == {"config.json", "pytorch_model.bin"}
    assert found.files == 2


CLEAN = {
    "pickle": (pickle.dumps({"a": [1.5, "x", (1, 2)], "b": {3}}), "model.pkl"),
    "old": (pickle.dumps({"a": [1.5, "x", (1, 2)]}, protocol=0), "model.pkl"),
    "joblib": (dumped({"a": np.arange(20.0), "o": np.array(["x"], dtype=object)}), "model.joblib"),
    "zlib": (dumped(np.arange(20.0), compress=3), "model.joblib"),
    "zip": (zipped({"a.json": b'{"a": 1}', "b.txt": b"text\n"}), "model.zip"),
    "safetensors": (
        safetensors({"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}}, b"abcd"),
        "model.safetensors",
    ),
}


@pytest.mark.parametrize(("data", "name"), CLEAN.values(), ids=CLEAN)
def test_a_file_cut_short_anywhere_is_a_finding(tmp_path: Path, data: bytes, name: str) -> None:
    assert scan(tmp_path, data, name).is_clean
    passed = [cut for cut in range(len(data)) if scan(tmp_path, data[:cut], name).is_clean]
    assert not passed


@settings(max_examples=300)
@given(
    data=st.binary(max_size=200), name=st.sampled_from(["m.pkl", "m.txt", "m.onnx", "m.npy", "m"])
)
def test_any_bytes_give_an_answer(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, name: str
) -> None:
    found = scan(tmp_path_factory.getbasetemp(), data, name)
    assert found.is_clean or found.findings


@settings(max_examples=300)
@given(st.data())
def test_a_changed_byte_gives_an_answer(
    tmp_path_factory: pytest.TempPathFactory, data: Any
) -> None:
    original, name = data.draw(st.sampled_from(sorted(CLEAN.values())))
    at = data.draw(st.integers(0, len(original) - 1))
    changed = original[:at] + bytes([data.draw(st.integers(0, 255))]) + original[at + 1 :]
    found = scan(tmp_path_factory.getbasetemp(), changed, name)
    assert found.is_clean or found.findings
