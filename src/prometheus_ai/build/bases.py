"""Judging base images by the wheels that an index has for a lock; pure."""

import re
from collections.abc import Mapping, Sequence

from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion, Version

from prometheus_ai.build.libraries import SystemLibrary, library_of
from prometheus_ai.build.packages import entries
from prometheus_ai.domain.image import (
    BaseAdvice,
    BaseJudgement,
    BaseOffer,
    IndexFile,
    Libc,
)

SMALLER_MIN = 0.7
"""Alpine is worth its own C library only when image and packages get smaller than this share of slim."""
NAMED_MAX = 6
_PIN = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*\s*==\s*([^\s;\\]+)")
_GLIBC_MINOR = 36
"""Debian 12; what newer bases have beyond it is rarely needed."""
_MUSL_MINOR = 2
# Bytes unpacked, of the official images for amd64; used where the engine does not have the image.
USUAL_BYTES = {"slim": 131_000_000, "full": 1_020_000_000, "alpine": 58_000_000}
SUFFIXES = {"slim": "-slim", "full": "", "alpine": "-alpine"}


def offers_for(python: str, measured: Mapping[str, int]) -> tuple[BaseOffer, ...]:
    """Return what is compared; ``measured`` has sizes by reference, of images that the engine has."""
    found = []
    for name, suffix in SUFFIXES.items():
        reference = f"python:{python}{suffix}"
        libc: Libc = "musl" if name == "alpine" else "glibc"
        size = measured.get(reference)
        found.append(
            BaseOffer(
                name=name, reference=reference, libc=libc, is_measured=size is not None,
                size_bytes=USUAL_BYTES[name] if size is None else size,
            )
        )  # fmt: skip
    return tuple(found)


def judge_bases(
    lock: str,
    files: Mapping[str, Sequence[IndexFile]],
    offers: Sequence[BaseOffer],
    python: str,
    machine: str = "x86_64",
) -> BaseAdvice:
    """Compare bases for a lock; ``files`` are what the index offers, by normal name."""
    pins = {name: _version(text) for name, text in entries(lock)}
    judged = tuple(
        _judge(offer, pins, files, supported(python, machine, offer.libc)) for offer in offers
    )
    by_name = {one.offer.name: one for one in judged}
    chosen, why = _choose(by_name)
    return BaseAdvice(chosen=chosen, why=why, judgements=judged)


def supported(python: str, machine: str, libc: Libc) -> frozenset[Tag]:
    """Return the tags of wheels that a base can use."""
    major, minor = (int(part) for part in python.split(".")[:2])
    if libc == "musl":
        platforms = [f"musllinux_1_{n}_{machine}" for n in range(_MUSL_MINOR, -1, -1)]
    else:
        platforms = [f"manylinux_2_{n}_{machine}" for n in range(_GLIBC_MINOR, 4, -1)]
        platforms += [f"manylinux{year}_{machine}" for year in ("2014", "2010", "1")]
    platforms.append(f"linux_{machine}")
    abi = f"cp{major}{minor}"
    tags = set(cpython_tags((major, minor), abis=[abi], platforms=platforms))
    return frozenset(tags | set(compatible_tags((major, minor), abi, platforms)))


def _judge(
    offer: BaseOffer,
    pins: Mapping[str, Version | None],
    files: Mapping[str, Sequence[IndexFile]],
    tags: frozenset[Tag],
) -> BaseJudgement:
    compiled, impossible, unknown, size = [], [], [], 0
    for name, version in pins.items():
        offered = files.get(name, ())
        wheel = _smallest([f for f in offered if _is_wheel(f.filename, version, tags)])
        source = _smallest([f for f in offered if _is_source(f.filename, version)])
        if version is None or not offered:
            unknown.append(name)
        elif wheel is None and source is None:
            impossible.append(name)
        else:
            size += (wheel or source or IndexFile(filename="")).size_bytes
            if wheel is None:
                compiled.append(name)
    why = [
        *_reasons(offer, compiled, impossible),
        *(_brought(name, offer, need) for name in pins if (need := _lacks(name, offer))),
        *([f"the index says nothing of {_few(unknown)}"] if unknown else []),
    ]
    return BaseJudgement(
        offer=offer, fits=not impossible, why=tuple(why), compiled=tuple(compiled),
        impossible=tuple(impossible), packages_bytes=size,
    )  # fmt: skip


def _reasons(offer: BaseOffer, compiled: Sequence[str], impossible: Sequence[str]) -> list[str]:
    kind = "musl" if offer.libc == "musl" else "manylinux"
    why = []
    if impossible:
        needs = "they need glibc" if offer.libc == "musl" else "this machine is not served"
        why.append(f"no {kind} wheel and no source: {_few(impossible)}; {needs}")
    if compiled:
        why.append(f"no {kind} wheel: {_few(compiled)}; compiled in a stage of its own")
    if not why:
        why.append(f"every package has a {kind} wheel")
    if offer.libc == "musl":
        why.append("musl allocates and resolves names otherwise than what models are tested on")
    if offer.name == "full":
        why.append("brings compilers and headers that nothing of a running model needs")
    return why


def _choose(judged: Mapping[str, BaseJudgement]) -> tuple[str, str]:
    slim, alpine = judged.get("slim"), judged.get("alpine")
    if slim is None or not slim.fits:
        fitting = [one for one in judged.values() if one.fits]
        if not fitting:
            return "", "no base fits: a package is missing everywhere"
        best = min(fitting, key=_total)
        reason = slim.why[0] if slim else "no slim"
        return best.offer.name, f"slim does not fit: {reason}"
    if alpine is not None and alpine.fits and not alpine.compiled and not slim.compiled:
        share = _total(alpine) / max(1, _total(slim))
        if share < SMALLER_MIN:
            saved = (_total(slim) - _total(alpine)) / 1e6
            return "alpine", f"every package has a musl wheel, and {saved:.0f} MB are saved"
    if alpine is None:
        return "slim", "everything fits"
    missing = (*alpine.impossible, *alpine.compiled)
    if missing:
        return "slim", f"everything fits; alpine has no wheels of {_few(missing)}"
    difference = (_total(slim) - _total(alpine)) / 1e6
    return "slim", f"everything fits; alpine would save only {difference:.0f} MB"


def _total(judged: BaseJudgement) -> int:
    return judged.offer.size_bytes + judged.packages_bytes


def _lacks(name: str, offer: BaseOffer) -> SystemLibrary | None:
    need = library_of(name)
    return None if need is None or (offer.name == "full" and need.in_full) else need


def _brought(name: str, offer: BaseOffer, need: SystemLibrary) -> str:
    package = need.alpine if offer.libc == "musl" else need.debian
    return f"{name} needs {need.file}, so the system's package {package} is installed"


def _version(entry: str) -> Version | None:
    match = _PIN.match(entry)
    try:
        return Version(match[1]) if match else None
    except InvalidVersion:
        return None


def _is_wheel(filename: str, version: Version | None, tags: frozenset[Tag]) -> bool:
    if not filename.endswith(".whl"):
        return False
    try:
        _, found, _, offered = parse_wheel_filename(filename)
    except (InvalidWheelFilename, InvalidVersion):
        return False
    return found == version and not tags.isdisjoint(offered)


def _is_source(filename: str, version: Version | None) -> bool:
    try:
        return parse_sdist_filename(filename)[1] == version
    except (InvalidSdistFilename, InvalidVersion):
        return False


def _smallest(files: Sequence[IndexFile]) -> IndexFile | None:
    return min(files, key=lambda one: one.size_bytes, default=None)


def _few(names: Sequence[str]) -> str:
    more = len(names) - NAMED_MAX
    return ", ".join(names[:NAMED_MAX]) + (f" and {more} more" if more > 0 else "")
