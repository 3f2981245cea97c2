"""The analysis itself; pure."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_ai.domain.gate import SecretFinding
from prometheus_ai.domain.image_contents import (
    ImageAnalysis,
    ImageContents,
    ImageFinding,
    LayerShare,
    PackageShare,
    Risk,
    StoredFile,
    Suggestion,
)
from prometheus_ai.images.findings import findings_of
from prometheus_ai.images.history import late_installs, plain, steps_of
from prometheus_ai.images.kinds import KINDS, bytecode_parts, kind_of
from prometheus_ai.images.owners import Package, owner_of, owners_of
from prometheus_ai.images.picture import picture
from prometheus_ai.images.view import Dead, View, duplicates_of, view_of, wasted

EXAMPLES_MAX = 5
SAVES_BYTES_MIN = 50_000
"""What saves less is not worth a sentence."""
DEAD = "dead-bytes"


@dataclass(kw_only=True)
class _Sorted:
    """Every seen file with its owner and kind."""

    view: View
    owner: dict[str, Package] = field(default_factory=dict)
    kind: dict[str, str] = field(default_factory=dict)


def analyze(
    contents: ImageContents, name: str, secrets: Sequence[SecretFinding] = ()
) -> ImageAnalysis:
    """Say what an image is made of and what could go."""
    found = _sort(contents)
    groups = duplicates_of(found.view, found.kind)
    dead = found.view.dead
    suggestions = [
        *_of_dead(dead, contents),
        *_of_kinds(found),
        *_of_duplicates(groups),
        *_of_order(contents),
    ]
    suggestions.sort(key=lambda one: (-one.saves_bytes, -one.rebuilds_bytes, one.kind))
    return ImageAnalysis(
        image=contents.image,
        name=name,
        size_bytes=sum(layer.size_bytes for layer in contents.layers),
        live_bytes=sum(file.size_bytes for _, file in found.view.live.values()),
        dead_bytes=sum(one.file.size_bytes for one in dead),
        duplicate_bytes=sum(wasted(group) for group in groups),
        files=len(found.view.live),
        layers=_layers(contents, dead),
        packages=_packages(found),
        suggestions=tuple(suggestions),
        findings=_findings(contents, secrets),
        tree=picture(found.view, found.kind),
    )


def dropped(contents: ImageContents, kinds: Collection[str]) -> tuple[frozenset[str], ...]:
    """Return, for each layer, the paths that suggestions of these kinds leave out."""
    found = _sort(contents)
    gone: list[set[str]] = [set() for _ in contents.layers]
    if DEAD in kinds:
        for one in found.view.dead:
            gone[one.layer].add(one.file.path)
    for path, (layer, _) in found.view.live.items():
        if found.kind.get(path) in kinds:
            gone[layer].add(path)
            # A lower version of the file would show through again.
            for lower in gone[:layer]:
                lower.add(path)
    return tuple(frozenset(one) for one in gone)


def _sort(contents: ImageContents) -> _Sorted:
    found = _Sorted(view=view_of(contents.layers))
    owners = owners_of(contents.databases)
    for path in found.view.live:
        owner = owner_of(path, owners)
        if owner is not None:
            found.owner[path] = owner
        kind = kind_of(path, owner)
        if kind:
            found.kind[path] = kind
    _tell_stale(found)
    return found


def _tell_stale(found: _Sorted) -> None:
    """Tell bytecode that nothing reads from the rest."""
    parts = {
        path: parts
        for path, kind in found.kind.items()
        if kind == "bytecode" and (parts := bytecode_parts(path)) is not None
    }
    tags = Counter(tag for _, tag in parts.values())
    usual = tags.most_common(1)[0][0] if tags else ""
    for path, (source, tag) in parts.items():
        if tag != usual or source not in found.view.live:
            found.kind[path] = "stale-bytecode"


def _layers(contents: ImageContents, dead: Sequence[Dead]) -> tuple[LayerShare, ...]:
    hidden: Counter[int] = Counter()
    for one in dead:
        hidden[one.layer] += one.file.size_bytes
    return tuple(
        LayerShare(
            digest=layer.digest,
            made_by=plain(layer.made_by),
            size_bytes=layer.size_bytes,
            files=len(layer.files),
            dead_bytes=hidden[number],
        )
        for number, layer in enumerate(contents.layers)
    )


def _packages(found: _Sorted) -> tuple[PackageShare, ...]:
    sizes: dict[Package, Counter[str]] = defaultdict(Counter)
    layers: dict[Package, Counter[int]] = defaultdict(Counter)
    for path, owner in found.owner.items():
        layer, file = found.view.live[path]
        sizes[owner].update(all=file.size_bytes, files=1)
        layers[owner][layer] += file.size_bytes
        if path.endswith(".pyc"):
            sizes[owner]["bytecode"] += file.size_bytes
        if found.kind.get(path) in ("test-trees", "other-tests"):
            sizes[owner]["tests"] += file.size_bytes
    shares = [
        PackageShare(
            name=package.name, version=package.version, kind=package.kind, size_bytes=counted["all"],
            files=counted["files"], layer=layers[package].most_common(1)[0][0] + 1,
            bytecode_bytes=counted["bytecode"], test_bytes=counted["tests"],
        )
        for package, counted in sizes.items()
    ]  # fmt: skip
    return tuple(sorted(shares, key=lambda one: (-one.size_bytes, one.name)))


def _of_kinds(found: _Sorted) -> list[Suggestion]:
    files: dict[str, list[StoredFile]] = defaultdict(list)
    for path, kind in found.kind.items():
        files[kind].append(found.view.live[path][1])
    return [
        Suggestion(
            kind=kind.name, title=kind.title, why=kind.why, remedy=kind.remedy, risk=kind.risk,
            saves_bytes=size, files=len(files[kind.name]),
            examples=_examples(files[kind.name]),
        )
        for kind in KINDS.values()
        if (size := sum(file.size_bytes for file in files[kind.name])) >= SAVES_BYTES_MIN
    ]  # fmt: skip


def _of_dead(dead: Sequence[Dead], contents: ImageContents) -> list[Suggestion]:
    size = sum(one.file.size_bytes for one in dead)
    if size < SAVES_BYTES_MIN:
        return []
    by: Counter[int] = Counter()
    reasons: Counter[str] = Counter()
    for one in dead:
        by[one.by] += one.file.size_bytes
        reasons[one.reason] += one.file.size_bytes
    worst, _ = by.most_common(1)[0]
    step = plain(contents.layers[worst].made_by)[:100]
    said = ", ".join(f"{size / 1e6:.1f} MB {reason}" for reason, size in reasons.most_common())
    remedies = {
        "deleted": "delete in the RUN that made the files, or bring them by RUN --mount=type=bind",
        "rewritten": "COPY --chown=… instead of a later chown or chmod, which stores every file again",
        "overwritten": "write each file in one layer only",
    }
    return [
        Suggestion(
            kind=DEAD, title="files that later layers delete or replace", risk=Risk.LOW,
            why=f"every pull carries them and no container sees them ({said}); most by layer {worst + 1}: {step}",
            remedy=remedies[reasons.most_common(1)[0][0]], saves_bytes=size, files=len(dead),
            examples=_examples([one.file for one in dead]),
        )
    ]  # fmt: skip


def _of_duplicates(groups: Sequence[Sequence[StoredFile]]) -> list[Suggestion]:
    size = sum(wasted(group) for group in groups)
    if size < SAVES_BYTES_MIN:
        return []
    return [
        Suggestion(
            kind="duplicates", title="the same content at several places", risk=Risk.MEDIUM,
            why=f"{len(groups)} files lie in the image more than once",
            remedy="install once, into one environment; link instead of copying", saves_bytes=size,
            files=sum(len(group) - 1 for group in groups), can_be_proved=False,
            examples=tuple(" = ".join(f"/{f.path}" for f in group[:2]) for group in groups[:EXAMPLES_MAX]),
        )
    ]  # fmt: skip


def _of_order(contents: ImageContents) -> list[Suggestion]:
    first, installs = late_installs(steps_of(contents.history))
    if first is None:
        return []
    size = sum(
        contents.layers[step.layer].size_bytes
        for step in installs
        if step.layer < len(contents.layers)
    )
    return [
        Suggestion(
            kind="order", title="code is copied before packages are installed", risk=Risk.LOW,
            why=f"every edit of the code installs and pushes all packages anew: {first.words[:80]!r} comes before"
            f" {installs[0].words[:80]!r}",
            remedy="COPY the list of requirements, install, and COPY the code last", rebuilds_bytes=size,
            can_be_proved=False,
        )
    ]  # fmt: skip


def _findings(
    contents: ImageContents, secrets: Sequence[SecretFinding]
) -> tuple[ImageFinding, ...]:
    numbers: Mapping[str, int] = {
        layer.digest: number for number, layer in enumerate(contents.layers, 1)
    }
    return findings_of(contents, secrets, numbers)


def _examples(files: Sequence[StoredFile]) -> tuple[str, ...]:
    largest = sorted(files, key=lambda file: (-file.size_bytes, file.path))[:EXAMPLES_MAX]
    return tuple(f"/{file.path}" for file in largest)
