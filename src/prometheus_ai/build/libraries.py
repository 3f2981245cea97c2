"""Libraries of the system that wheels expect and do not bring; pure."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class SystemLibrary:
    """A library, and the packages of distributions that have it."""

    file: str
    debian: str
    alpine: str
    in_full: bool
    """Whether the full base image has it."""


_GOMP = SystemLibrary(file="libgomp.so.1", debian="libgomp1", alpine="libgomp", in_full=True)
_GL = SystemLibrary(file="libGL.so.1", debian="libgl1", alpine="mesa-gl", in_full=False)
_BY_PACKAGE = {
    "lightgbm": _GOMP,
    "opencv-python": _GL,
    "opencv-contrib-python": _GL,
    "pyodbc": SystemLibrary(
        file="libodbc.so.2", debian="unixodbc", alpine="unixodbc", in_full=False
    ),
    "python-magic": SystemLibrary(
        file="libmagic.so.1", debian="libmagic1", alpine="libmagic", in_full=True
    ),
    "weasyprint": SystemLibrary(
        file="libpango-1.0.so.0", debian="libpango-1.0-0", alpine="pango", in_full=True
    ),
}


def library_of(package: str) -> SystemLibrary | None:
    """Return what a package, by its normal name, expects of the system."""
    return _BY_PACKAGE.get(package)


def libraries_of(packages: Iterable[str]) -> tuple[SystemLibrary, ...]:
    """Return what packages expect of the system, each once and in one order."""
    found = {one.file: one for name in packages if (one := library_of(name)) is not None}
    return tuple(found[name] for name in sorted(found))
