"""The model server is packed reproducibly from what is installed."""

import csv
import io
import zipfile

from prometheus_ai.adapters.environments.uv.runtime_wheel import pack_runtime


def test_equal_content_gives_equal_bytes() -> None:
    one, two = pack_runtime(), pack_runtime()
    assert one.content == two.content
    assert one.id == f"{one.version}+sha256:{one.hex}"
    assert one.filename.startswith("prometheus_ai_runtime-")


def test_the_wheel_records_every_file() -> None:
    with zipfile.ZipFile(io.BytesIO(pack_runtime().content)) as archive:
        names = archive.namelist()
        record = next(name for name in names if name.endswith("/RECORD"))
        rows = {row[0] for row in csv.reader(archive.read(record).decode().splitlines())}
    assert rows == set(names)
    assert "prometheus_ai_runtime/cli.py" in names
    assert not [name for name in names if "__pycache__" in name]
