"""The supervisor of one replica: starts the model server, keeps its logs, records its end.

Run as ``python -I -S shim.py FOLDER LOCK_FD``, by the driver, with nothing but the standard library.
It outlives the control plane, and the server never outlives it.
The inherited lock on ``FOLDER/lock`` is held for as long as it lives: that is how others know.
"""

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import sys
import time
from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
LINE_BYTES_MAX = 8192
READ_BYTES = 65536
LAST_LINES = 20
EXIT_RESERVE_BYTES = 131_072
DRAIN_PIPES_S = 1.0
MEMORY_WATCH_S = 1.0
EXEC_FAILED = 127
_LIBC = ctypes.CDLL(None, use_errno=True)


def write_whole(path: str, value: dict[str, Any]) -> None:
    """Write a record aside, flush it and rename it into place."""
    aside = f"{path}.new"
    fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, json.dumps(value).encode())
        os.fsync(fd)
    finally:
        os.close(fd)
    os.rename(aside, path)


def rfc3339(when: float) -> str:
    """Return a UTC time with milliseconds."""
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(when))
    return f"{whole}.{int(when % 1 * 1000):03d}Z"


class Log:
    """Captured lines in two files of bounded size; a full disk loses lines, never the replica."""

    def __init__(self, path: str, bytes_max: int) -> None:
        self.last: list[str] = []
        self.lines_lost = 0
        self._path = path
        self._bytes_max = bytes_max
        self._fd = -1
        self._size = 0
        self._partial = {"stdout": b"", "stderr": b""}

    def feed(self, stream: str, data: bytes) -> None:
        """Take bytes of one stream and write the whole lines among them."""
        *lines, rest = (self._partial[stream] + data).split(b"\n")
        while len(rest) > LINE_BYTES_MAX:
            lines.append(rest[:LINE_BYTES_MAX])
            rest = rest[LINE_BYTES_MAX:]
        self._partial[stream] = rest
        if lines:
            self._write(stream, lines)

    def flush(self) -> None:
        """Write what is left without an end of line."""
        for stream, rest in self._partial.items():
            if rest:
                self._write(stream, [rest])
            self._partial[stream] = b""

    def _write(self, stream: str, lines: list[bytes]) -> None:
        head = f"{rfc3339(time.time())} {stream} ".encode()
        pieces = [
            line[start : start + LINE_BYTES_MAX]
            for line in lines
            for start in range(0, max(1, len(line)), LINE_BYTES_MAX)
        ]
        texts = [piece.decode("utf-8", "replace") for piece in pieces[-LAST_LINES:]]
        self.last = (self.last + texts)[-LAST_LINES:]
        block = b"".join(head + piece + b"\n" for piece in pieces)
        try:
            if self._fd < 0 or self._size + len(block) > self._bytes_max:
                self._rotate()
            # A short write leaves a cut line, which a full disk excuses.
            self._size += os.write(self._fd, block)
        except OSError:
            self.lines_lost += len(pieces)

    def _rotate(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            os.replace(self._path, f"{self._path}.1")
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._fd = os.open(self._path, flags, 0o600)
        self._size = os.fstat(self._fd).st_size


class Cgroups:
    """Limits by control groups made for this replica alone, below those of the shim."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.paths: list[str] = []
        self.notes: list[str] = []
        self.memory = ""
        self.version = 0
        limits, groups = order["limits"], order["cgroups"]
        if not groups:
            return
        self.version = groups["version"]
        for controller in ("memory", "cpu"):
            parent = groups.get(controller)
            if parent:
                self._make(controller, os.path.join(parent, groups["name"]), limits)

    def _make(self, controller: str, path: str, limits: dict[str, Any]) -> None:
        try:
            if path not in self.paths:
                os.makedirs(path, exist_ok=True)
                self.paths.append(path)
            for name, value in self._values(controller, limits):
                target = os.path.join(path, name)
                if os.path.exists(target):
                    _write_text(target, value)
            if controller == "memory":
                self.memory = path
        except OSError as error:
            self.notes.append(f"{controller} limit not enforced by a control group: {error}")

    def _values(self, controller: str, limits: dict[str, Any]) -> list[tuple[str, str]]:
        memory, period_us = str(limits["memory_bytes"]), 100_000
        quota_us = max(1000, int(limits["cpu"] * period_us))
        if controller == "memory" and self.version == 1:
            return [("memory.limit_in_bytes", memory), ("memory.memsw.limit_in_bytes", memory)]
        if controller == "memory":
            return [("memory.max", memory), ("memory.swap.max", "0"), ("memory.oom.group", "1")]
        if self.version == 1:
            return [("cpu.cfs_period_us", str(period_us)), ("cpu.cfs_quota_us", str(quota_us))]
        return [("cpu.max", f"{quota_us} {period_us}")]

    def join(self) -> None:
        """Move the calling process in."""
        for path in self.paths:
            _write_text(os.path.join(path, "cgroup.procs"), "0")

    def oom_kills(self) -> int:
        """Return how often the kernel killed something for memory in here."""
        if not self.memory:
            return 0
        name = "memory.oom_control" if self.version == 1 else "memory.events"
        try:
            with open(os.path.join(self.memory, name)) as file:
                counts = dict(line.split() for line in file)
            return int(counts.get("oom_kill", 0))
        except (OSError, ValueError):
            return 0

    def kill_rest(self) -> None:
        """Kill whatever is left inside, such as daemons that left the process group."""
        for path in self.paths[:1]:
            try:
                with open(os.path.join(path, "cgroup.procs")) as file:
                    for pid in file.read().split():
                        _kill(int(pid))
            except OSError:
                continue

    def remove(self) -> None:
        """Remove the groups; the kernel needs a moment after the last process ended."""
        for path in self.paths:
            for _ in range(50):
                try:
                    os.rmdir(path)
                    break
                except FileNotFoundError:
                    break
                except OSError:
                    time.sleep(0.01)


def _write_text(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _volunteer_for_oom() -> None:
    # When the whole machine is out of memory, a replica goes before its supervisor.
    # Some sandboxes forbid it; the replica runs all the same.
    with contextlib.suppress(OSError):
        _write_text("/proc/self/oom_score_adj", "300")


class Shim:
    """One replica's life, from fork to exit record."""

    def __init__(self, folder: str) -> None:
        os.chdir(folder)
        with open("order.json") as file:
            self.order: dict[str, Any] = json.load(file)
        self.log = Log("log", self.order["log_bytes_max"] // 2)
        self.cgroups = Cgroups(self.order)
        self.pid = 0
        self.exec_error = ""
        self.stop_grace_s: float | None = None
        self.kill_at: float | None = None
        self.was_killed = False
        self.memory_seen: int | None = None
        self.status: int | None = None
        self.usage: Any = None
        self.wake_read, self.wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.control = os.open("control", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self.pipes: dict[int, str] = {}

    def start(self) -> None:
        """Fork the server and write down that it exists."""
        with open("exit.reserve", "wb") as file:
            # Room for the exit record, so that a full disk cannot hide why a replica ended.
            os.posix_fallocate(file.fileno(), 0, EXIT_RESERVE_BYTES)
        _LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        signal.set_wakeup_fd(self.wake_write)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._on_term)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        out_read, out_write = os.pipe2(os.O_CLOEXEC)
        err_read, err_write = os.pipe2(os.O_CLOEXEC)
        failed_read, failed_write = os.pipe2(os.O_CLOEXEC)
        self.pipes = {out_read: "stdout", err_read: "stderr"}
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            self._become_server(parent, out_write, err_write, failed_write)
        for fd in (out_write, err_write, failed_write):
            os.close(fd)
        self.exec_error = os.read(failed_read, 4096).decode("utf-8", "replace")
        os.close(failed_read)
        record = {
            "pid": self.pid,
            "shim_pid": parent,
            "started_at": rfc3339(time.time()),
            "cgroups": self.cgroups.paths,
            "notes": self.cgroups.notes,
        }
        write_whole("started.json", record)

    def _become_server(self, parent: int, out: int, err: int, failed: int) -> None:
        try:
            os.setsid()
            _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != parent:
                os._exit(EXEC_FAILED)
            _LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
            self.cgroups.join()
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            files = min(65_536, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
            _volunteer_for_oom()
            os.umask(0o077)
            os.dup2(out, 1)
            os.dup2(err, 2)
            os.chdir(self.order["cwd"])
            os.execve(self.order["argv"][0], self.order["argv"], self.order["env"])
        except OSError as error:
            os.write(failed, str(error).encode())
        finally:
            os._exit(EXEC_FAILED)

    def supervise(self) -> None:
        """Relay logs, obey the control pipe and bound the drain until the server ended."""
        poll = select.poll()
        for fd in (*self.pipes, self.wake_read, self.control):
            poll.register(fd, select.POLLIN)
        ended_at: float | None = None
        while True:
            for fd, _ in poll.poll(self._poll_ms(ended_at)):
                if fd in self.pipes:
                    data = os.read(fd, READ_BYTES)
                    self.log.feed(self.pipes[fd], data)
                    if not data:
                        poll.unregister(fd)
                        del self.pipes[fd]
                elif fd == self.control:
                    self._obey(os.read(fd, 4096))
                else:
                    os.read(fd, 4096)
            if self.memory_watched:
                self._watch_memory()
            self._reap()
            now = time.monotonic()
            if self.kill_at is not None and now >= self.kill_at:
                self.kill_at, self.was_killed = None, True
                self._kill_group()
            if self.status is not None and ended_at is None:
                ended_at = now
            if ended_at is not None and (not self.pipes or now - ended_at > DRAIN_PIPES_S):
                break
        self.log.flush()

    @property
    def memory_watched(self) -> bool:
        """Whether the shim itself has to bound memory, for want of a control group."""
        return not self.cgroups.memory

    def record_exit(self) -> None:
        """Write how the server ended, into room kept since the start."""
        self.cgroups.kill_rest()
        assert self.status is not None
        code = os.waitstatus_to_exitcode(self.status)
        record = {
            "ended_at": rfc3339(time.time()),
            "code": code if code >= 0 else None,
            "signal": signal.Signals(-code).name if code < 0 else None,
            "stop_grace_s": self.stop_grace_s,
            "was_killed": self.was_killed,
            "oom_kills": self.cgroups.oom_kills(),
            "memory_over_bytes": self.memory_seen,
            "memory_bytes_peak": self.usage.ru_maxrss * 1024,
            "cpu_s": self.usage.ru_utime + self.usage.ru_stime,
            "exec_error": self.exec_error,
            "lines_lost": self.log.lines_lost,
            "last_log": [line[:2000] for line in self.log.last],
        }
        content = json.dumps(record).encode()
        fd = os.open("exit.reserve", os.O_WRONLY | os.O_CLOEXEC)
        os.pwrite(fd, content, 0)
        os.ftruncate(fd, len(content))
        os.fsync(fd)
        os.close(fd)
        os.rename("exit.reserve", "exit.json")
        self.cgroups.remove()

    def abandon(self) -> None:
        """Undo a start that could not be written down."""
        if self.pid:
            self._kill_group()
            os.waitpid(self.pid, 0)
        self.cgroups.remove()

    def _on_term(self, *_: Any) -> None:
        self._stop(self.order["grace_s"])

    def _obey(self, data: bytes) -> None:
        for line in data.decode("ascii", "replace").splitlines():
            words = line.split()
            if len(words) == 2 and words[0] == "stop":
                self._stop(float(words[1]))

    def _stop(self, grace_s: float) -> None:
        if self.status is not None:
            return
        kill_at = time.monotonic() + grace_s
        self.kill_at = kill_at if self.kill_at is None else min(self.kill_at, kill_at)
        if self.stop_grace_s is None:
            os.kill(self.pid, signal.SIGTERM)
            # A stopped process takes no signal but SIGKILL until it is continued.
            os.kill(self.pid, signal.SIGCONT)
            # Only a hint for the next driver; a full disk must not keep a replica alive.
            with contextlib.suppress(OSError):
                os.close(os.open("stopping", os.O_WRONLY | os.O_CREAT, 0o600))
        self.stop_grace_s = grace_s

    def _poll_ms(self, ended_at: float | None) -> float | None:
        if ended_at is not None:
            return 50
        waits = [MEMORY_WATCH_S] if self.memory_watched else []
        if self.kill_at is not None:
            waits.append(max(0.0, self.kill_at - time.monotonic()))
        return min(waits) * 1000 + 1 if waits else None

    def _reap(self) -> None:
        if self.status is None:
            flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
            if os.waitid(os.P_PID, self.pid, flags) is not None:
                # Before the server is reaped, its group's number cannot belong to anyone else.
                self._kill_group()
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self.pid:
                self.status, self.usage = status, usage

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def _watch_memory(self) -> None:
        if self.status is not None or self.was_killed:
            return
        try:
            with open(f"/proc/{self.pid}/status") as file:
                lines = [line for line in file if line.startswith(("RssAnon", "RssShmem"))]
        except OSError:
            return
        used = sum(int(line.split()[1]) * 1024 for line in lines)
        if used > self.order["limits"]["memory_bytes"]:
            self.memory_seen = used
            self._kill_group()


def main() -> None:
    """Run one replica to its end."""
    os.set_inheritable(int(sys.argv[2]), False)  # The server must not hold the lock.
    shim = Shim(sys.argv[1])
    try:
        shim.start()
    except OSError:
        shim.abandon()
        raise
    os.write(1, b"started\n")
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    shim.supervise()
    shim.record_exit()


if __name__ == "__main__":
    main()
