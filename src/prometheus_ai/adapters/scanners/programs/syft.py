"""Syft's answer: a second list of packages."""

from typing import Any

from prometheus_ai.adapters.scanners.programs.ecosystems import ecosystem_of
from prometheus_ai.adapters.scanners.programs.program import Program
from prometheus_ai.domain.gate import Component
from prometheus_ai.ports.second_opinion import Opinion


def read_syft(found: Any) -> Opinion:
    """Read ``syft -o json``."""
    version = (found.get("descriptor") or {}).get("version", "")
    return Opinion(
        scanner=f"syft {version}".strip(),
        components=tuple(
            Component(
                name=str(one["name"]),
                version=str(one["version"]),
                ecosystem=ecosystem_of(str(one["type"])),
                purl=str(one.get("purl", "")),
                location=str((one.get("locations") or [{}])[0].get("path", "")),
            )
            for one in found["artifacts"]
        ),
    )


SYFT = Program(
    name="syft", words=("scan", "docker-archive:{image}", "-o", "json", "--quiet"), read=read_syft
)
