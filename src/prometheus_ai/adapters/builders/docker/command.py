"""Finding and running the docker command that can build with BuildKit here."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_ai.domain.errors import Unavailable

PROBE_TIMEOUT_S = 30.0
BUILD_TIMEOUT_S = 3600.0
_PROBE = "FROM scratch\nCOPY Dockerfile /\n"
# Of this process's environment a build gets only what it needs to find the engine and its credentials.
_KEPT = ("PATH", "HOME", "DOCKER_CONFIG", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "SSH_AUTH_SOCK")


@dataclass
class DockerCommand:
    """The command for one engine; probed once, on first use."""

    url: str
    programs: Sequence[str] = field(default_factory=lambda: tuple(_candidates()))
    _found: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def program(self) -> str:
        """Return a docker command that builds with BuildKit on this engine.

        Raises:
            Unavailable: there is none; says what was tried.
        """
        with self._lock:
            if self._found:
                return self._found
            tried = []
            for program in self.programs:
                said = self._probe(program)
                if not said:
                    self._found = program
                    return program
                tried.append(f"{program}: {said}")
            raise Unavailable(
                "no docker command here builds with BuildKit: "
                + ("; ".join(tried) or "none is installed"),
                hint="install docker.io (20.10 or newer), or the buildx plugin of a newer docker",
            )

    def build(self, arguments: Sequence[str], on_line: Callable[[str], None]) -> int:
        """Run a build and return its exit code.

        Raises:
            Unavailable: it took longer than any build may.
        """
        command = [self.program(), "build", "--progress", "plain", *arguments]
        process = subprocess.Popen(
            command,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        assert process.stdout is not None
        late = threading.Event()

        def end() -> None:
            late.set()
            _kill(process)

        timer = threading.Timer(BUILD_TIMEOUT_S, end)
        timer.start()
        try:
            for line in process.stdout:
                on_line(line)
            code = process.wait()
        finally:
            timer.cancel()
            _kill(process)
            process.stdout.close()
            process.wait()
        if late.is_set():
            raise Unavailable(f"the build took longer than {BUILD_TIMEOUT_S:g} s and was stopped")
        return code

    def _probe(self, program: str) -> str:
        """Build two lines; return why that does not work, or nothing."""
        with tempfile.TemporaryDirectory(prefix="pai-probe-") as folder:
            (Path(folder) / "Dockerfile").write_text(_PROBE)
            try:
                done = subprocess.run(
                    [program, "build", "--quiet", folder],
                    env=self._environment(),
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    timeout=PROBE_TIMEOUT_S,
                    check=False,
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                return str(error)
        if done.returncode:
            return (done.stderr.strip().splitlines() or ["it gave no reason"])[-1]
        return ""

    def _environment(self) -> Mapping[str, str]:
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        return {**kept, "DOCKER_HOST": self.url, "DOCKER_BUILDKIT": "1"}


def _candidates() -> Iterator[str]:
    """Yield every docker command on PATH: a newer client without its plugin may hide one that works."""
    seen = set()
    for folder in (*os.environ.get("PATH", "").split(os.pathsep), "/usr/bin", "/usr/local/bin"):
        found = shutil.which("docker", path=folder) if folder else None
        if found and found not in seen:
            seen.add(found)
            yield found


def _kill(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
