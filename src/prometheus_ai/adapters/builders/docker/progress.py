"""From BuildKit's plain progress, which every client writes, to steps; pure but for the lines it is fed."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from prometheus_ai.domain.image import BuildEvent, BuildEventKind, BuildStep

_LINE = re.compile(r"^#(\d+) (.*)$")
_NAME = re.compile(r"^\[(.+?)\] (.*)$")
_SAID = re.compile(r"^#\d+ \d+\.\d+ (.*)$")
_WORDS = re.compile(r"^\d+\.\d+ (.*)$")
_DONE = re.compile(r"^DONE (\d+(?:\.\d+)?)s$")
_SIZE = r"(\d+(?:\.\d+)?)\s?([kMGT]?)i?B"
_PULLED = re.compile(rf"^sha256:\w+ {_SIZE} / {_SIZE}")
_SENT = re.compile(rf"^transferring (?:context|dockerfile): {_SIZE}")
_SCALE = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
# What every step of ours begins with says nothing about it.
_MOUNTS = re.compile(r"--mount=\S+\s+")
_PRELUDE = re.compile(r"(?<=^RUN )(if \[ -s /dev/pai_network \].*?fi\s+&& )?(export .*?\s+&& )?")
CONTEXT = "load build context"
EXPORT = "exporting to image"
WORDS_MAX = 120
LINES_KEPT = 400
REASON_CHARS_MAX = 800


@dataclass
class Progress:
    """What was heard of a build so far; every change is said at once."""

    say: Callable[[BuildEvent], None]
    steps: dict[str, BuildStep] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    last: list[str] = field(default_factory=list)
    """The last lines, for the words of a failure."""
    _pulled: dict[str, dict[str, tuple[int, int]]] = field(default_factory=dict)

    def feed(self, line: str) -> None:
        """Take one line."""
        line = line.rstrip()
        if line:
            self.last = [*self.last[-LINES_KEPT:], line]
        match = _LINE.match(line)
        if match is None:
            return
        number, text = match.groups()
        if number not in self.names:
            name = _name(text)
            if name:
                self.names[number] = name
                self._tell(number, "started")
            return
        done = _DONE.match(text)
        if text == "CACHED":
            self._end(number, 0.0, is_cached=True)
        elif done:
            self._end(number, float(done[1]), is_cached=False)
        elif text.startswith("ERROR"):
            self._tell(number, "failed", words=_short(text.removeprefix("ERROR: ")))
        else:
            self._within(number, text)

    def reason(self) -> str:
        """Return the failed step's own words, from where it first speaks of an error."""
        said = [match[1].strip() for line in self.last if (match := _SAID.match(line))]
        first = next((n for n, text in enumerate(said) if "error" in text.lower()), 0)
        words = " ".join(said[first:]) or " ".join(self.last[-3:])
        if len(words) <= REASON_CHARS_MAX:
            return words
        half = REASON_CHARS_MAX // 2
        return f"{words[:half]} … {words[-half:]}"

    def _within(self, number: str, text: str) -> None:
        """Tell bytes and words of a step that goes on."""
        pulled = _PULLED.match(text)
        sent = _SENT.match(text)
        if pulled:
            layers = self._pulled.setdefault(number, {})
            layers[text.split(maxsplit=1)[0]] = (
                _bytes(pulled[1], pulled[2]),
                _bytes(pulled[3], pulled[4]),
            )
            have = sum(done for done, _ in layers.values())
            total = sum(total for _, total in layers.values())
            self._tell(number, "bytes", bytes_done=have, bytes_total=total)
        elif sent:
            self._tell(number, "bytes", bytes_done=_bytes(sent[1], sent[2]))
        elif (words := _WORDS.match(text)) and words[1].strip():
            self._tell(number, "words", words=_short(words[1].strip()))

    def _end(self, number: str, took_s: float, *, is_cached: bool) -> None:
        if number in self.steps:
            return
        name = self.names[number]
        step = BuildStep(name=name, took_s=took_s, is_cached=is_cached)
        if name != CONTEXT:
            self.steps[number] = step
        self._tell(number, "cached" if is_cached else "done", took_s=took_s)

    def _tell(
        self,
        number: str,
        kind: BuildEventKind,
        *,
        took_s: float = 0.0,
        bytes_done: int = 0,
        bytes_total: int = 0,
        words: str = "",
    ) -> None:
        event = BuildEvent(
            kind=kind, step=self.names[number], number=int(number), took_s=took_s,
            bytes_done=bytes_done, bytes_total=bytes_total, words=words,
        )  # fmt: skip
        self.say(event)


def _name(text: str) -> str:
    """Return the name of a step that a line begins, empty for what only BuildKit needs."""
    named = _NAME.match(text)
    if named is None:
        return EXPORT if text == EXPORT else ""
    if named[1].split()[0] != "internal":
        return _short(f"{named[1]}: {_PRELUDE.sub('', _MOUNTS.sub('', named[2]))}")
    return CONTEXT if named[2] == CONTEXT else ""


def _bytes(number: str, scale: str) -> int:
    return round(float(number) * _SCALE[scale])


def _short(text: str) -> str:
    return text if len(text) <= WORDS_MAX else f"{text[: WORDS_MAX - 1]}…"
