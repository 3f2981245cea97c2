"""Puts files in force one step at a time, and takes back what Envoy refuses."""

import re
import time
from collections.abc import Mapping
from pathlib import Path

from prometheus_ai.adapters.gateways.envoy.admin import EnvoyAdmin, Subscription
from prometheus_ai.adapters.gateways.envoy.files import swap
from prometheus_ai.domain.errors import Unavailable

BOOTSTRAP = "bootstrap.json"
WATCHED = ("cds.json", "lds.json", "rds.json")
CONFIRM_S = 15.0
"""Longest wait for Envoy's yes or no; a table of 1,000 backends takes well under a second."""
RESTORE_S = 2.0

_PAUSE_S = (0.0005, 0.02)
_VERSION = re.compile(rb'^\{"version_info":"([^"]*)"')
_REFUSAL = re.compile(
    r"Filesystem config update (?:rejected|failure): (.*?)(?=\n\[\d{4}-\d\d-\d\d |\Z)", re.DOTALL
)
_WORDS_MAX = 2000


def version_of(content: bytes) -> str:
    """Return the version that a file carries at its beginning, or nothing."""
    match = _VERSION.match(content)
    return match[1].decode() if match else ""


class EnvoyConfiguration:
    """The files that one Envoy reads, and what is in force of them."""

    def __init__(self, folder: Path, admin: EnvoyAdmin, log: Path) -> None:
        self._folder = folder
        self._aside = folder / "aside"
        self._watched = folder / "xds"
        self._admin = admin
        self._log = log
        self._files: dict[str, bytes] = {}

    def files(self) -> Mapping[str, bytes]:
        """Return the files that were last written."""
        return dict(self._files)

    @property
    def is_complete(self) -> bool:
        """Whether everything that Envoy needs has been written."""
        return self._files.keys() >= {BOOTSTRAP, *WATCHED}

    def load(self) -> None:
        """Read the files that are on disk, for a running Envoy that reads them too.

        Raises:
            OSError: a file cannot be read.
        """
        found = [self._folder / BOOTSTRAP, *(self._watched / name for name in WATCHED)]
        self._files = {path.name: path.read_bytes() for path in found if path.is_file()}

    def write(self, files: Mapping[str, bytes]) -> None:
        """Write files without asking Envoy, as before its start; unchanged ones are left alone.

        Raises:
            OSError: a file cannot be written.
        """
        # Drafts stand in a folder of their own: Envoy wakes at every event in the watched one.
        self._aside.mkdir(parents=True, exist_ok=True)
        self._watched.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            if self._files.get(name) != content:
                folder = self._folder if name == BOOTSTRAP else self._watched
                swap(folder / name, content, self._aside)
                self._files[name] = content

    def put(self, step: Mapping[str, bytes]) -> str:
        """Write one step and wait for Envoy's answer; return nothing, or its words of refusal.

        After a refusal the former files stand again.

        Raises:
            Unavailable: Envoy does not answer; nothing was written.
            OSError: a file cannot be written; the former files stand again.
        """
        former = {name: self._files[name] for name in step if name in self._files}
        before = self._admin.subscriptions()
        log_end = self._log.stat().st_size if self._log.exists() else 0
        try:
            self.write(step)
        except OSError:
            self.write(former)
            raise
        if self._confirmed(step, before, CONFIRM_S):
            return ""
        words = self._refusal(log_end)
        before = self._subscriptions() or before
        self.write(former)
        self._confirmed(former, before, RESTORE_S, is_same=True)
        return words

    def _confirmed(
        self,
        step: Mapping[str, bytes],
        before: Mapping[str, Subscription],
        bound_s: float,
        *,
        is_same: bool = False,
    ) -> bool:
        deadline = time.monotonic() + bound_s
        pause_s, pause_s_max = _PAUSE_S
        while time.monotonic() < deadline:
            # An Envoy that dies here is restarted with the new files, and then answers for them.
            now = self._subscriptions()
            if now is not None:
                if all(
                    now[name].version == version_of(content)
                    and (not is_same or now[name].succeeded > before[name].succeeded)
                    for name, content in step.items()
                ):
                    return True
                if any(now[name].failed > before[name].failed for name in step):
                    return False
            time.sleep(pause_s)
            pause_s = min(pause_s * 1.5, pause_s_max)
        return False

    def _subscriptions(self) -> dict[str, Subscription] | None:
        try:
            return self._admin.subscriptions()
        except Unavailable:
            return None

    def _refusal(self, log_end: int) -> str:
        if self._log.exists():
            with self._log.open("rb") as file:
                file.seek(log_end)
                found = _REFUSAL.findall(file.read().decode(errors="replace"))
            if found:
                return " ".join(found[-1].split())[:_WORDS_MAX]
        return f"Envoy did not take the new configuration within {CONFIRM_S:g} s; see {self._log}"
