"""One control plane for each home folder: a lock that the kernel frees when its holder dies."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from prometheus_ai.domain.errors import Conflict, Unavailable

LOCK_NAME = "control-plane.lock"


class HomeLock:
    """An exclusive lock on a home folder, held until ``release`` or the end of the process."""

    def __init__(self, path: Path, handle: int) -> None:
        self.path = path
        self._handle: int | None = handle

    @classmethod
    def acquire(cls, folder: Path) -> Self:
        """Take the lock at once or not at all; the file in ``folder`` names the holder's process.

        Raises:
            Conflict: another process holds it.
            Unavailable: the lock file cannot be made.
        """
        path = folder / LOCK_NAME
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Python's descriptors are not inherited, so replicas never keep the lock alive.
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Unavailable(
                f"{path}: the lock file cannot be opened ({error.strerror})",
                hint="check that the folder exists, that you own it, and that its disk is writable",
            ) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(handle, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(handle)
            raise Conflict(
                f"{folder}: another control plane (process {holder}) uses this home folder",
                hint="stop it with `pai down`, or choose another home folder with PAI_HOME",
            ) from error
        except OSError as error:
            os.close(handle)
            raise Unavailable(
                f"{path}: the disk does not support locks ({error.strerror})"
            ) from error
        lock = cls(path, handle)
        lock._name_holder()
        return lock

    def release(self) -> None:
        """Let another process take the lock; releasing twice does nothing."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def _name_holder(self) -> None:
        if self._handle is None:
            return
        try:
            os.ftruncate(self._handle, 0)
            os.pwrite(self._handle, f"{os.getpid()}\n".encode(), 0)
        except OSError:
            # The name is a courtesy, and on a full disk the lock alone must do.
            return
