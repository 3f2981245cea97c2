"""A scanner as a program that prints JSON."""

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_ai.ports.second_opinion import Opinion

SCAN_S = 600.0
OUTPUT_BYTES_MAX = 512 * 2**20


@dataclass(frozen=True, kw_only=True, slots=True)
class Program:
    """Implements the SecondOpinion port: how a program is called, and how its answer is read."""

    name: str
    words: tuple[str, ...]
    """Arguments; ``{image}`` is replaced by the image's path."""
    read: Callable[[Any], Opinion]
    """Reads the decoded answer; may raise KeyError, TypeError, ValueError or AttributeError."""

    def is_here(self) -> bool:
        """Look for it on PATH."""
        return shutil.which(self.name) is not None

    def look(self, image: Path) -> Opinion:
        """Run it."""
        words = [word.replace("{image}", str(image)) for word in self.words]
        try:
            done = subprocess.run(
                [self.name, *words], capture_output=True, timeout=SCAN_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return Opinion(scanner=self.name, problem=f"it did not end by itself: {error}")
        if done.returncode or len(done.stdout) > OUTPUT_BYTES_MAX:
            said = done.stderr.decode("utf-8", "replace").strip()[-300:]
            return Opinion(scanner=self.name, problem=f"it ended with {done.returncode}: {said}")
        return self.understand(done.stdout)

    def understand(self, output: bytes) -> Opinion:
        """Read what it printed."""
        try:
            return self.read(json.loads(output))
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            return Opinion(scanner=self.name, problem=f"its answer cannot be read: {error!r}")
