"""Progress of long commands, on standard error."""

import shutil
import sys
import threading
import time
from typing import Protocol, TextIO

FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
FRAME_S = 0.1


class Progress(Protocol):
    """Takes one line for each step."""

    def step(self, line: str) -> None:
        """Show what is under way now."""

    def close(self) -> None:
        """End the display; what was shown as a step stays."""


class PlainProgress:
    """Lines, for logs and pipes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def step(self, line: str) -> None:
        """Write the line."""
        self._stream.write(line + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Do nothing; every line is written."""


class LiveProgress:
    """One line that changes in place, with the time it takes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._line = ""
        self._since = time.monotonic()
        self._done = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._spin, name="progress", daemon=True)
        self._thread.start()

    def step(self, line: str) -> None:
        """Show the line; the one before stays above it."""
        with self._lock:
            # Steps such as "uploading …: 20 %" replace each other.
            if self._line and self._line.partition(":")[0] != line.partition(":")[0]:
                self._stream.write(f"\r\033[K  {self._fitting(self._line)}\n")
            self._line = line

    def close(self) -> None:
        """Stop the animation and leave the last line."""
        self._done.set()
        self._thread.join(1.0)
        with self._lock:
            last = f"  {self._fitting(self._line)}\n" if self._line else ""
            self._stream.write(f"\r\033[K{last}")
            self._stream.flush()

    def _spin(self) -> None:
        frame = 0
        while not self._done.wait(FRAME_S):
            with self._lock:
                took = f"{time.monotonic() - self._since:5.1f} s"
                text = self._fitting(self._line)
                self._stream.write(f"\r\033[K{FRAMES[frame]} {took}  {text}")
                self._stream.flush()
            frame = (frame + 1) % len(FRAMES)

    def _fitting(self, line: str) -> str:
        return line[: max(20, shutil.get_terminal_size().columns - 14)]


def is_interactive() -> bool:
    """Whether a person can answer a question."""
    return sys.stdin.isatty() and sys.stderr.isatty()
