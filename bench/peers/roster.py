"""Who takes part: each server's packages, command, paths and form of requests."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.peers.forms import LISTS, PLAIN, V2, V2_COLUMNS, Form

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
HOME = ROOT / "var" / "peers"
MODELS = HOME / "models"
OURS = "pai-runtime"
MOSEC, TRITON = ("mosec", "mosec-1ms"), ("triton", "triton-2ms")

BASE = ("onnxruntime==1.31.1", "numpy==2.4.6", "tokenizers==0.23.3")


@dataclass(frozen=True, kw_only=True)
class Peer:
    """One server in one configuration."""

    name: str
    environment: str
    packages: tuple[str, ...]
    program: tuple[str, ...]
    """A command of the environment's ``bin`` folder; ``{http}`` and ``{grpc}`` are ports."""
    form: Form = PLAIN
    settings: Mapping[str, str] = field(default_factory=dict)
    """Environment variables."""
    paths: str = "/{model}"
    base: tuple[str, ...] = BASE
    python: str = "3.11"
    has_grpc: bool = False

    @property
    def folder(self) -> Path:
        """The environment that the server is installed in."""
        return HOME / self.environment

    def command(self, http_port: int, grpc_port: int) -> list[str]:
        """Return what to start."""
        words = {"http": http_port, "grpc": grpc_port, "servers": HERE / "servers"}
        program, *rest = [part.format(**words, models=MODELS) for part in self.program]
        return [str(self.folder / "bin" / program), *rest]

    def environ(self) -> dict[str, str]:
        """Return the server's environment variables."""
        outside = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH")}
        path = f"{self.folder / 'bin'}:{outside.get('PATH', '')}"
        own = {"PEER_MODELS": str(MODELS), "PYTHONPATH": str(HERE), "PATH": path}
        return outside | own | dict(self.settings)

    def path(self, model: str) -> str:
        """Return the path that answers for a model."""
        return self.paths.format(model=model)


def _python(name: str, *arguments: str) -> tuple[str, ...]:
    return ("python", f"{{servers}}/{name}_server.py", *arguments)


_INFER = "/v2/models/{model}/infer"
_TRITON = Peer(
    name="triton",
    environment="triton",
    packages=("nvidia-pytriton==0.7.0",),
    program=_python("triton", "{http}", "{grpc}"),
    form=V2_COLUMNS,
    paths=_INFER,
    base=("onnxruntime", "numpy==1.26.4", "tokenizers==0.23.3"),
    python="/usr/bin/python3",
    has_grpc=True,
)
_MOSEC = Peer(
    name="mosec",
    environment="mosec",
    packages=("mosec==0.9.8",),
    program=_python("mosec", "--port", "{http}", "--address", "127.0.0.1", "--log-level", "error"),
)

PEERS = (
    Peer(
        name=OURS,
        environment="pai-runtime",
        packages=(str(ROOT / "runtime"),),
        program=(
            "pai-runtime", "serve", "tabular={models}/tabular.onnx", "minilm={models}/model.py",
            "--port", "{http}", "--grpc-port", "{grpc}",
        ),
        form=V2,
        paths=_INFER,
        has_grpc=True,
    ),
    _MOSEC,
    Peer(**{**vars(_MOSEC), "name": "mosec-1ms", "settings": {"PEER_WAIT_MS": "1"}}),
    _TRITON,
    Peer(**{**vars(_TRITON), "name": "triton-2ms", "settings": {"PEER_WAIT_US": "2000"}}),
    Peer(
        name="fastapi",
        environment="fastapi",
        packages=("fastapi==0.165.0", "uvicorn", "uvloop", "httptools"),
        program=_python("fastapi", "{http}"),
    ),
    Peer(
        name="litserve",
        environment="litserve",
        packages=("litserve==0.2.19",),
        program=_python("litserve", "{http}"),
    ),
    Peer(
        name="mlserver",
        environment="mlserver",
        packages=("mlserver==1.7.1", "uvloop==0.21.0"),
        program=_python("mlserver", "{http}", "{grpc}"),
        form=V2,
        paths=_INFER,
        has_grpc=True,
    ),
    Peer(
        name="kserve",
        environment="kserve",
        packages=("kserve==0.21.0",),
        program=_python("kserve", "{http}", "{grpc}"),
        form=V2,
        paths=_INFER,
        has_grpc=True,
    ),
    Peer(
        name="bentoml",
        environment="bentoml",
        packages=("bentoml==1.4.39",),
        program=("bentoml", "serve", "bentoml_server:Both", "--host", "127.0.0.1", "--port", "{http}",
                 "--working-dir", "{servers}"),
        form=LISTS,
        settings={"BENTOML_DO_NOT_TRACK": "true"},
    ),
    Peer(
        name="ray",
        environment="ray",
        packages=("ray[serve]==2.60.0",),
        program=_python("ray", "{http}"),
        # It asks for a token otherwise, writes one into the home folder, and reports its use.
        settings={"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"},
    ),
)  # fmt: skip
BY_NAME = {peer.name: peer for peer in PEERS}


def installed(names: list[str] | None) -> list[Peer]:
    """Return the peers asked for, or all whose environment there is; ours comes first.

    Raises:
        LookupError: an unknown name, or an environment that was not made.
    """
    chosen = []
    for name in names or BY_NAME:
        if name not in BY_NAME:
            raise LookupError(f"no peer {name}; there are {', '.join(BY_NAME)}")
        if (BY_NAME[name].folder / "installed").is_file():
            chosen.append(BY_NAME[name])
        elif names:
            raise LookupError(f"{name} is not installed: python -m bench.peers.install {name}")
    return sorted(chosen, key=lambda peer: peer.name != OURS)
