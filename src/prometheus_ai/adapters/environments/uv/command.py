"""Running uv: with bounds, with progress, without surprises from around it."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from uv import find_uv_bin

from prometheus_ai.adapters.environments.uv.reasons import error_from, is_unreachable
from prometheus_ai.domain.errors import Unavailable

LINES_KEPT = 400
# These decide about other projects, other environments or other Pythons than ours.
_DROPPED_PREFIXES = ("PYTHON", "VIRTUAL_ENV", "CONDA", "UV_PROJECT", "PAI_")
_DROPPED = frozenset({"UV_PYTHON", "UV_SYSTEM_PYTHON", "UV_NO_SYNC", "UV_FROZEN", "UV_LOCKED"})


@dataclass(frozen=True, kw_only=True, slots=True)
class _Call:
    command: tuple[str, ...]
    text: str
    doing: str
    held: int | None


class Uv:
    """Runs uv in an empty folder, so that no project's configuration decides about a model."""

    def __init__(self, folder: Path, *, index_url: str | None, timeout_s: float = 1800.0) -> None:
        self._folder = folder
        self._timeout_s = timeout_s
        # By environment, not by argument: its credentials would show in every process list.
        self._index = {"UV_DEFAULT_INDEX": index_url} if index_url else {}

    def run(
        self,
        arguments: Sequence[str],
        *,
        doing: str,
        text: str = "",
        progress: Callable[[str], None] | None = None,
        held: int | None = None,
    ) -> str:
        """Run uv and return its standard output; without a network, try once more from its cache.

        ``held`` is a lock that uv goes on holding if this process dies before it.

        Raises:
            InvalidInput: the requirements or the lock cannot be met; says why.
            Unavailable: the index cannot be reached, the disk is full, or it took too long.
        """
        call = _Call(command=(find_uv_bin(), *arguments), text=text, doing=doing, held=held)
        code, output, errors = self._run(call, progress)
        if code and is_unreachable(errors):
            offline = replace(call, command=(*call.command, "--offline"))
            code, output, _ = self._run(offline, progress)
        if code:
            raise error_from(errors, doing)
        return output

    def _run(self, call: "_Call", progress: Callable[[str], None] | None) -> tuple[int, str, str]:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        process = subprocess.Popen(
            call.command,
            cwd=self._folder,
            env={**uv_environment(os.environ), **self._index},
            pass_fds=() if call.held is None else (call.held,),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        errors: deque[str] = deque(maxlen=LINES_KEPT)
        output: list[str] = []
        timer = threading.Timer(self._timeout_s, _kill, (process,))
        reader = threading.Thread(target=_collect, args=(process.stdout, output), daemon=True)
        started = time.monotonic()
        timer.start()
        reader.start()
        try:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(call.text)
                process.stdin.close()
            for line in process.stderr:
                errors.append(line)
                if progress is not None and line.strip():
                    progress(line.strip())
            code = process.wait()
            reader.join()
        finally:
            timer.cancel()
            if process.poll() is None:
                _kill(process)
                process.wait()
            process.stdout.close()
            process.stderr.close()
        if code == -signal.SIGKILL and time.monotonic() - started >= self._timeout_s:
            raise Unavailable(
                f"{call.doing}: uv took longer than {self._timeout_s:g} s and was stopped"
            )
        return code, "".join(output), "".join(errors)


def uv_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for uv: the user's own, but for what points it elsewhere."""
    kept = {
        name: value
        for name, value in environ.items()
        if name not in _DROPPED and not name.startswith(_DROPPED_PREFIXES)
    }
    return {
        # Authorities that the machine trusts count here too; uv brings a list of its own otherwise.
        "UV_SYSTEM_CERTS": "true",
        **kept,
        "NO_COLOR": "1",
        # A Python from a host that the user never named would be a surprise.
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_PYTHON_PREFERENCE": "system",
    }


def _collect(stream: Sequence[str], into: list[str]) -> None:
    into.extend(stream)


def _kill(process: "subprocess.Popen[str]") -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
