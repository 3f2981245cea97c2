"""What this machine has, and which limits it can enforce."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROBE_TIMEOUT_S = 5.0
_UNLIMITED_BYTES = 2**60


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """Sizes and control groups, measured once."""

    cpus: float
    memory_bytes: int
    gpus: int
    cgroups: Mapping[str, Any] = field(default_factory=dict)
    """``version`` and the parent folders in which groups for ``memory`` and ``cpu`` can be made."""
    notes: tuple[str, ...] = ()


def measure() -> Machine:
    """Look at this machine; makes and removes one empty control group to see whether it may."""
    cgroups, notes = _cgroups()
    return Machine(
        cpus=float(len(os.sched_getaffinity(0))),
        memory_bytes=_memory_bytes(),
        gpus=_gpus(),
        cgroups=cgroups,
        notes=tuple(notes),
    )


def _memory_bytes() -> int:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for controller, name in (("memory", "memory.limit_in_bytes"), ("", "memory.max")):
        folder = _own_folder(controller)
        try:
            limit = int((folder / name).read_text()) if folder else _UNLIMITED_BYTES
        except (OSError, ValueError):
            continue
        total = min(total, limit)
    return total


def _gpus() -> int:
    # The nodes, not the driver's list: a container sees the list of all, and gets the nodes of its own.
    return len(list(Path("/dev").glob("nvidia[0-9]*")))


def _cgroups() -> tuple[dict[str, Any], list[str]]:
    found: dict[str, Any] = {}
    reasons: dict[str, str] = {}
    for controller in ("memory", "cpu"):
        for version in (1, 2):
            folder = _own_folder(controller if version == 1 else "")
            if folder is None or found.get("version", version) != version:
                continue
            reason = _why_unusable(folder, controller, version)
            if reason is None:
                found["version"], found[controller] = version, str(folder)
                break
            reasons[controller] = reason
    notes = []
    if "memory" not in found:
        why = reasons.get("memory", "no memory controller is mounted")
        notes.append(
            f"resources.memory is watched every second instead of enforced by the kernel ({why})"
        )
    if "cpu" not in found:
        why = reasons.get("cpu", "no cpu controller is mounted")
        notes.append(f"resources.cpu sets the engine's threads but is not enforced ({why})")
    return found, notes


def _own_folder(controller: str) -> Path | None:
    """Return the folder of this process's own group; an empty controller asks for version 2."""
    try:
        own = Path("/proc/self/cgroup").read_text().splitlines()
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return None
    path = None
    for line in own:
        _, controllers, group = line.split(":", 2)
        if controller in controllers.split(","):
            path = group
    if path is None:
        return None
    for line in mounts:
        left, _, right = line.partition(" - ")
        root, mount = left.split()[3:5]
        kind, _, options = right.split(maxsplit=2)
        wanted = kind == "cgroup" and controller in options.split(",")
        if (kind == "cgroup2" and not controller) or (controller and wanted):
            inside = path.removeprefix(root) if root != "/" else path
            folder = Path(mount) / inside.lstrip("/")
            return folder if folder.is_dir() else None
    return None


def _why_unusable(folder: Path, controller: str, version: int) -> str | None:
    """Return why groups with this controller cannot be made below ``folder``, or None when they can."""
    probe = folder / f"pai-probe-{os.getpid()}"
    try:
        if version == 2:
            enabled = (folder / "cgroup.subtree_control").read_text().split()
            if controller not in enabled:
                (folder / "cgroup.subtree_control").write_text(f"+{controller}")
        probe.mkdir()
        try:
            names = {
                ("memory", 1): ("memory.limit_in_bytes", str(_UNLIMITED_BYTES)),
                ("cpu", 1): ("cpu.cfs_quota_us", "-1"),
                ("memory", 2): ("memory.max", "max"),
                ("cpu", 2): ("cpu.max", "max 100000"),
            }
            name, value = names[controller, version]
            (probe / name).write_text(value)
            _join_with_a_child(probe)
        finally:
            _remove(probe)
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    return None


def _join_with_a_child(probe: Path) -> None:
    command = ["/bin/sh", "-c", 'echo 0 > "$1/cgroup.procs"', "sh", str(probe)]
    subprocess.run(command, check=True, capture_output=True, timeout=PROBE_TIMEOUT_S)


def _remove(probe: Path) -> None:
    for _ in range(100):
        try:
            probe.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            os.sched_yield()
        else:
            return
