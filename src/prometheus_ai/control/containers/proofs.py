"""Proving what an analysis suggests: the image is written without the files, loaded and tried."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from prometheus_ai.domain.image import LABEL_RELEASE
from prometheus_ai.domain.image_contents import (
    Check,
    ImageAnalysis,
    ImageContents,
    Proof,
    Risk,
    Suggestion,
)
from prometheus_ai.images import DEAD, Importable, dropped, importable
from prometheus_ai.ports.image_files import ImageFiles, ImageTrial, Tried

ATTEMPTS_MAX = 10
PREDICT = "predict"
_RISKS = (Risk.LOW, Risk.MEDIUM, Risk.HIGH)
_WORDS_MAX = 300
# Each module is imported in turn; what a module prints is not the answer.
_IMPORTS = """
import importlib, json, os, sys
out = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
found = {}
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
        found[name] = ""
    except BaseException as error:
        found[name] = f"{type(error).__name__}: {error}"[:200]
out.write("\\n" + json.dumps(found) + "\\n")
out.flush()
os._exit(0)
"""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What a proof is made with."""

    files: ImageFiles
    trial: ImageTrial
    folder: Path
    """For archives; with room for the image once more."""
    say: Callable[[str], None]
    command: Sequence[str] = ()
    """Predicts, in an image that is not ours; must end with code 0."""
    risk: Risk = Risk.LOW
    """What is riskier is not tried."""


def prove(bench: Bench, archive: Path, contents: ImageContents, analysis: ImageAnalysis) -> Proof:
    """Apply suggestions; take back what breaks imports or predictions that worked before.

    Raises:
        Unavailable: the engine or the disk cannot do it.
    """
    allowed = _RISKS[: _RISKS.index(bench.risk) + 1]
    wanted = [one for one in analysis.suggestions if one.can_be_proved and one.risk in allowed]
    name = f"pai-trimmed/{analysis.image.removeprefix('sha256:')[:12]}"
    trying = _Trying(bench=bench, archive=archive, contents=contents, name=name)
    try:
        return trying.prove(wanted)
    finally:
        bench.trial.remove(f"{name}:whole")


@dataclass(kw_only=True)
class _Trying:
    """One image in several versions."""

    bench: Bench
    archive: Path
    contents: ImageContents
    name: str

    def prove(self, wanted: Sequence[Suggestion]) -> Proof:
        """Try all at once; when that breaks, the safest first and then one after the other."""
        self._write((), "whole")
        everything = tuple(one.kind for one in wanted)
        # Only what the largest attempt keeps is tried: an installer that goes need not be importable.
        gone = frozenset[str]().union(
            *dropped(self.contents, [kind for kind in everything if kind != DEAD])
        )
        python = importable(self.contents, gone)
        self.bench.say("trying the image as it is")
        before = self._try("whole", python)
        kept: tuple[str, ...] = ()
        checks: tuple[Check, ...] = ()
        for batch in islice(_batches(wanted), ATTEMPTS_MAX):
            kinds = (*kept, *batch)
            self.bench.say(f"writing the image without: {', '.join(kinds)}")
            self._write(kinds, "trial")
            self.bench.say("trying what is left")
            made = _checks(before, self._try("trial", python))
            if all(one.works_after for one in made if one.worked_before):
                kept, checks = kinds, made
                self.bench.trial.rename(f"{self.name}:trial", f"{self.name}:latest")
                if kept == everything:
                    break
            else:
                first = next(one for one in made if one.worked_before and not one.works_after)
                self.bench.say(f"broke {first.name}: {first.words} ({', '.join(batch)})")
                self.bench.trial.remove(f"{self.name}:trial")
                checks = checks or made
        return self._proof(kept, everything, checks)

    def _proof(
        self, kept: tuple[str, ...], everything: tuple[str, ...], checks: tuple[Check, ...]
    ) -> Proof:
        tag = f"{self.name}:latest" if kept else ""
        before = self.bench.trial.size_bytes(f"{self.name}:whole")
        has_predicted = any(one.name == PREDICT and one.worked_before for one in checks)
        return Proof(
            verdict="breaks" if not kept else "safe" if has_predicted else "imports-only",
            applied=kept,
            left_out=tuple(kind for kind in everything if kind not in kept),
            tag=tag,
            size_before_bytes=before,
            size_after_bytes=self.bench.trial.size_bytes(tag) if tag else before,
            checks=checks,
        )

    def _write(self, kinds: Sequence[str], tag: str) -> None:
        target = self.bench.folder / "written.tar"
        gone = dropped(self.contents, kinds)
        try:
            self.bench.files.write(self.archive, target, gone, f"{self.name}:{tag}")
            self.bench.trial.load(target)
        finally:
            target.unlink(missing_ok=True)

    def _try(self, tag: str, python: Importable) -> dict[str, str]:
        """Return what was tried with the words of its failure, empty when it worked."""
        tried: dict[str, str] = {}
        trial, image = self.bench.trial, f"{self.name}:{tag}"
        if python.modules:
            ran = trial.run(image, [python.python, "-B", "-c", _IMPORTS, *python.modules])
            found = _imports(ran, python.modules)
            tried |= {f"import {name}": words for name, words in found.items()}
        if self.bench.command:
            tried[PREDICT] = _words(trial.run(image, self.bench.command))
        elif LABEL_RELEASE in self.contents.labels:
            tried[PREDICT] = _words(trial.serve(image))
        return tried


def _batches(wanted: Sequence[Suggestion]) -> Iterator[tuple[str, ...]]:
    """Yield all; then, where that breaks, those of low risk together and the others one by one."""
    yield tuple(one.kind for one in wanted)
    low = [one.kind for one in wanted if one.risk is Risk.LOW]
    others = [one for one in wanted if one.risk is not Risk.LOW]
    if low and others:
        yield tuple(low)
        others.sort(key=lambda one: (_RISKS.index(one.risk), -one.saves_bytes))
        yield from ((one.kind,) for one in others)
    elif len(wanted) > 1:
        yield from ((one.kind,) for one in wanted)


def _imports(ran: Tried, modules: Sequence[str]) -> dict[str, str]:
    last = (ran.output.strip().splitlines() or [""])[-1]
    try:
        found = json.loads(last)
    except ValueError:
        return dict.fromkeys(modules, f"the interpreter ended with code {ran.code}: {last[:200]}")
    return {str(name): str(words) for name, words in found.items()}


def _words(tried: Tried) -> str:
    if tried.code == 0:
        return ""
    return f"code {tried.code}: {tried.output.strip()[-_WORDS_MAX:]}"


def _checks(before: dict[str, str], after: dict[str, str]) -> tuple[Check, ...]:
    """Say what changed; imports that work both times are one line."""
    same = [n for n, words in before.items() if n.startswith("import ") and not (words or after[n])]
    checks = [
        Check(
            name=name, worked_before=not words, works_after=not after[name],
            words=after[name] or words,
        )
        for name, words in before.items()
        if name not in same
    ]  # fmt: skip
    if same:
        first = Check(name=f"import of {len(same)} modules", worked_before=True, works_after=True)
        checks.insert(0, first)
    return tuple(checks)
