"""What a folder needs beside the plan's own files to be built without the platform; pure."""

import base64

from prometheus_ai.build.plan import MODEL_IN_CONTEXT
from prometheus_ai.domain.image import EJECTED_BINARY, IMAGE_CONTENT_SECONDS, IMAGE_EPOCH, BuildPlan

_STAMP = f'''\
"""Give the files of this folder the times and modes by which equal content makes equal layers."""

import hashlib
import os
import pathlib

folder = pathlib.Path(__file__).resolve().parent
for top in ("config", "locks", "model", "server"):
    for path in ((folder / top), *(folder / top).rglob("*")):
        if not path.exists():
            continue
        seconds = {IMAGE_EPOCH}
        if path.is_file():
            digest = hashlib.sha256(path.read_bytes()).digest()
            seconds += int.from_bytes(digest[:4], "big") % {IMAGE_CONTENT_SECONDS}
        path.chmod(0o755 if path.is_dir() else 0o644)
        os.utime(path, (seconds, seconds))
'''


def ejected_files(plan: BuildPlan, wheel_name: str, wheel: bytes) -> dict[str, str]:
    """Return every file but the model, by path; the wheel of the model server is written behind ``EJECTED_BINARY``."""
    return {
        "Dockerfile": plan.dockerfile,
        **plan.files,
        f"server/{wheel_name}": EJECTED_BINARY + base64.b64encode(wheel).decode(),
        "stamp.py": _STAMP,
        "README.md": _readme(plan),
    }


def _readme(plan: BuildPlan) -> str:
    stages = "\n".join(f"- `{stage.name}`: {stage.does}" for stage in plan.stages)
    notes = "\n".join(f"- {note}" for note in plan.notes)
    model = f"The model lies in `{MODEL_IN_CONTEXT}/`; put it there if its spec names an address.\n"
    return f"""# {plan.tag}

Build it without PROMETHEUS:

    python3 stamp.py
    DOCKER_BUILDKIT=1 docker build --tag {plan.tag} .

`stamp.py` sets the times of the files, so that the files of every layer are the same to the byte.
The model server's wheel lies in `server/`.
{model if plan.weights == "layer" else ""}
Behind a proxy or with an index or authority of your own, give the build what it needs as secrets:
`--secret id=pai_network,src=FILE`, with lines such as `UV_DEFAULT_INDEX=https://…` and `SSL_CERT_FILE=/dev/pai_ca`,
and `--secret id=pai_ca,src=CERTIFICATES`.

Stages:
{stages}

Notes:
{notes}
"""
