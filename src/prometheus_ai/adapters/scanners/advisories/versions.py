"""Orders of versions: Python's (PEP 440), Debian's and Alpine's."""

import re
from collections.abc import Callable
from functools import cmp_to_key
from typing import Any

from packaging.version import InvalidVersion, Version

_PARTS = re.compile(r"(\D*)(\d*)")
_APK_SUFFIXES = {
    "alpha": -4,
    "beta": -3,
    "pre": -2,
    "rc": -1,
    "": 0,
    "cvs": 1,
    "svn": 2,
    "git": 3,
    "hg": 4,
    "p": 5,
}
_APK = re.compile(
    r"^(\d+(?:\.\d+)*)([a-z]?)((?:_(?:alpha|beta|pre|rc|cvs|svn|git|hg|p)\d*)*)(?:-r(\d+))?$"
)


_RPM = (
    "Rocky Linux",
    "AlmaLinux",
    "Red Hat",
    "rhel",
    "fedora",
    "centos",
    "openSUSE",
    "SUSE",
    "amzn",
    "ol",
)
_RPM_PARTS = re.compile(r"~|\^|[A-Za-z]+|[0-9]+")


class UnknownVersion(ValueError):
    """A version that its ecosystem has no order for."""


def order_of(ecosystem: str) -> Callable[[str], Any]:
    """Return a key function for versions of an ecosystem; it raises UnknownVersion."""
    root = ecosystem.partition(":")[0]
    if root == "PyPI":
        return _python
    if root in ("Debian", "Ubuntu"):
        return cmp_to_key(compare_debian)
    if root == "Alpine":
        return _alpine
    if root in _RPM:
        return cmp_to_key(compare_rpm)
    return _python


def _python(text: str) -> Any:
    try:
        return Version(text)
    except InvalidVersion as error:
        raise UnknownVersion(text) from error


def compare_debian(one: str, other: str) -> int:
    """Compare as dpkg does: epoch, upstream version, revision; ``~`` sorts before everything, the end too."""
    for left, right in zip(_split_debian(one), _split_debian(other), strict=True):
        if isinstance(left, int) and isinstance(right, int):
            result = (left > right) - (left < right)
        else:
            result = _compare_part(str(left), str(right))
        if result:
            return result
    return 0


def _split_debian(text: str) -> tuple[int, str, str]:
    epoch, colon, rest = text.strip().partition(":")
    if not colon:
        epoch, rest = "0", text.strip()
    if not epoch.isdigit():
        raise UnknownVersion(text)
    upstream, _, revision = rest.rpartition("-") if "-" in rest else (rest, "", "")
    return int(epoch), upstream, revision


def _compare_part(one: str, other: str) -> int:
    left, right = _PARTS.findall(one), _PARTS.findall(other)
    for index in range(max(len(left), len(right))):
        text, digits = left[index] if index < len(left) else ("", "")
        other_text, other_digits = right[index] if index < len(right) else ("", "")
        if (result := _compare_text(text, other_text)) != 0:
            return result
        number, other_number = int(digits or 0), int(other_digits or 0)
        if number != other_number:
            return 1 if number > other_number else -1
    return 0


def _compare_text(one: str, other: str) -> int:
    for index in range(max(len(one), len(other))):
        left = _weight(one[index]) if index < len(one) else 0
        right = _weight(other[index]) if index < len(other) else 0
        if left != right:
            return 1 if left > right else -1
    return 0


def _weight(letter: str) -> int:
    if letter == "~":
        return -1
    return ord(letter) if letter.isalpha() else ord(letter) + 256


def compare_rpm(one: str, other: str) -> int:
    """Compare as rpm does: epoch, version, release; ``~`` sorts before the end, ``^`` after it."""
    for left, right in zip(_split_debian(one), _split_debian(other), strict=True):
        if isinstance(left, int) and isinstance(right, int):
            result = (left > right) - (left < right)
        else:
            result = _compare_rpm_part(str(left), str(right))
        if result:
            return result
    return 0


def _compare_rpm_part(one: str, other: str) -> int:
    left, right = _RPM_PARTS.findall(one), _RPM_PARTS.findall(other)
    for index in range(max(len(left), len(right))):
        mine = left[index] if index < len(left) else ""
        its = right[index] if index < len(right) else ""
        ranks = _rpm_rank(mine), _rpm_rank(its)
        if ranks != (ranks[1], ranks[0]):
            return 1 if ranks[0] > ranks[1] else -1
        if mine.isdigit() and int(mine) != int(its):
            return 1 if int(mine) > int(its) else -1
        if mine.isalpha() and mine != its:
            return 1 if mine > its else -1
    return 0


def _rpm_rank(part: str) -> int:
    """Return how a kind of part sorts against others: ~, the end, ^, letters, digits."""
    if part in ("~", "", "^"):
        return ("~", "", "^").index(part)
    return 4 if part.isdigit() else 3


def _alpine(text: str) -> Any:
    match = _APK.match(text.strip())
    if match is None:
        raise UnknownVersion(text)
    numbers = tuple(int(one) for one in match[1].split("."))
    suffixes = tuple(
        (_APK_SUFFIXES[name], int(count or 0))
        for name, count in re.findall(r"_([a-z]+)(\d*)", match[3])
    )
    return numbers, match[2], (*suffixes, (0, 0)), int(match[4] or 0)
