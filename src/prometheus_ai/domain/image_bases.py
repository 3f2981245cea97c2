"""Base images, compared for the packages that a lock pins."""

from dataclasses import dataclass
from typing import Literal

Libc = Literal["glibc", "musl"]


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexFile:
    """A file that a package index offers."""

    filename: str
    size_bytes: int = 0
    """0 where the index does not say."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BaseOffer:
    """One base image that could be used."""

    name: str
    """``slim``, ``full`` or ``alpine``."""
    reference: str
    libc: Libc
    size_bytes: int
    is_measured: bool
    """Whether the engine has it and was asked; otherwise the size is a usual one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BaseJudgement:
    """What one base would mean for a lock."""

    offer: BaseOffer
    fits: bool
    """Whether everything can be installed from wheels, or compiled, and finds its libraries."""
    why: tuple[str, ...]
    compiled: tuple[str, ...] = ()
    """Packages without a wheel for it, which are compiled."""
    impossible: tuple[str, ...] = ()
    """Packages that it has neither a wheel nor a source for."""
    packages_bytes: int = 0
    """Bytes of the wheels and sources to download."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BaseAdvice:
    """Which base to take, and what speaks for each."""

    chosen: str
    why: str
    judgements: tuple[BaseJudgement, ...]
