"""What is installed in each server's environment."""

import json
import subprocess
from collections.abc import Iterable

from bench.peers.roster import Peer

_LIST = (
    "import json,platform,importlib.metadata as m;"
    "print(json.dumps({'python': platform.python_version(),"
    "**{d.metadata['Name']: d.version for d in m.distributions()}}))"
)
_SHARED = (
    "python", "numpy", "onnxruntime", "tokenizers", "uvloop", "httptools", "orjson", "uvicorn",
    "starlette", "grpcio",
)  # fmt: skip


def versions(peers: Iterable[Peer]) -> dict[str, dict[str, str]]:
    """Return the versions that matter, by environment."""
    found = {}
    for peer in peers:
        if peer.environment in found:
            continue
        listed = subprocess.run(
            [str(peer.folder / "bin" / "python"), "-c", _LIST],
            capture_output=True, check=True, text=True,
        )  # fmt: skip
        everything = json.loads(listed.stdout)
        named = [name.partition("=")[0].partition("[")[0] for name in peer.packages]
        wanted = {*_SHARED, *named, "prometheus-ai-runtime"}
        found[peer.environment] = {k: v for k, v in sorted(everything.items()) if k in wanted}
    return found
