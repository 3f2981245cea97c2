"""Requests that wait for a release without a ready replica."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldRelease:
    """One release that requests wait for."""

    backend: str
    version: str
    requests: int


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldReport:
    """Which releases are waited for. ``number`` changes whenever another release is waited for."""

    number: int
    releases: tuple[HeldRelease, ...]
