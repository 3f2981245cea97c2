"""What an engine and its machine can honour."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_ai.domain.spec import Spec
from prometheus_ai.ports.driver import Capabilities


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineFacts:
    """What is asked of an engine once it can be reached."""

    capabilities: Capabilities
    has_init: bool
    version: str


def facts_of(
    info: Mapping[str, Any], version: Mapping[str, Any], *, gpus: int | None, is_local: bool
) -> EngineFacts:
    """Read ``/info`` and ``/version``; ``gpus`` is what the target was added with."""
    components = {str(one.get("Name")) for one in version.get("Components") or ()}
    has_memory, has_cpu = bool(info.get("MemoryLimit")), bool(info.get("CpuCfsQuota"))
    can_gpu = "nvidia" in (info.get("Runtimes") or {}) or gpus is not None
    counted = gpus if gpus is not None else _local_gpus() if is_local and can_gpu else 0
    notes = []
    if not has_memory:
        notes.append(
            "resources.memory is not enforced: this engine's kernel has no memory controller"
        )
    if not has_cpu:
        notes.append("resources.cpu is not enforced: this engine's kernel has no cpu controller")
    if can_gpu and not is_local and gpus is None:
        notes.append("its GPUs cannot be counted from here; add the target again with --gpus N")
    return EngineFacts(
        capabilities=Capabilities(
            gpus=counted,
            cpu_limit=has_cpu,
            memory_limit=has_memory,
            isolated_network=True,
            cpus_total=float(info.get("NCPU", 0)),
            memory_bytes_total=int(info.get("MemTotal", 0)),
            notes=tuple(notes),
        ),
        has_init="docker-init" in components,
        version=str(version.get("Version", "")),
    )


def too_large(spec: Spec, has: Capabilities) -> tuple[str, ...]:
    """Name what is larger than the engine's machine."""
    wanted, target = spec.resources, f"target {spec.target!r} (a Docker Engine)"
    messages = []
    if wanted.gpu > has.gpus:
        count = (
            f"has {has.gpus} NVIDIA GPUs"
            if has.gpus
            else "has no NVIDIA GPU that containers may use"
        )
        fits = f"use gpu: {has.gpus}, or a target with GPUs"
        messages.append(f"resources.gpu: {wanted.gpu} asked, but {target} {count}; {fits}")
    if wanted.cpu > has.cpus_total:
        fits = f"has {has.cpus_total:g} cores; use cpu: {has.cpus_total:g} or less"
        messages.append(f"resources.cpu: {wanted.cpu:g} asked, but {target} {fits}")
    if wanted.memory_bytes > has.memory_bytes_total:
        mebibytes = has.memory_bytes_total // 2**20
        fits = f"has {mebibytes}Mi; use memory: {mebibytes}Mi or less"
        messages.append(f"resources.memory: {wanted.memory} asked, but {target} {fits}")
    return tuple(messages)


def _local_gpus() -> int:
    return len(list(Path("/dev").glob("nvidia[0-9]*")))
