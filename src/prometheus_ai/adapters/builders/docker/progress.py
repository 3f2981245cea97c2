"""From BuildKit's plain progress to steps; pure but for the lines it is fed."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from prometheus_ai.domain.image import BuildStep

_LINE = re.compile(r"^#(\d+) (.*)$")
_NAME = re.compile(r"^\[(.+?)\] (.*)$")
_SAID = re.compile(r"^#\d+ \d+\.\d+ (.*)$")
_DONE = re.compile(r"^DONE (\d+(?:\.\d+)?)s$")
WORDS_MAX = 120
LINES_KEPT = 400
REASON_CHARS_MAX = 800


@dataclass
class Progress:
    """What was heard of a build so far."""

    say: Callable[[str], None]
    steps: dict[str, BuildStep] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    last: list[str] = field(default_factory=list)
    """The last lines, for the words of a failure."""

    def feed(self, line: str) -> None:
        """Take one line."""
        line = line.rstrip()
        if line:
            self.last = [*self.last[-LINES_KEPT:], line]
        match = _LINE.match(line)
        if match is None:
            return
        number, text = match.groups()
        named = _NAME.match(text)
        if number not in self.names and named and named[1].split()[0] != "internal":
            self.names[number] = _short(f"{named[1]}: {named[2]}")
            return
        name = self.names.get(number)
        if name is None:
            return
        done = _DONE.match(text)
        if text == "CACHED":
            self._end(number, name, 0.0, is_cached=True)
        elif done:
            self._end(number, name, float(done[1]), is_cached=False)

    def _end(self, number: str, name: str, took_s: float, *, is_cached: bool) -> None:
        if number in self.steps:
            return
        self.steps[number] = BuildStep(name=name, took_s=took_s, is_cached=is_cached)
        self.say(f"{name} ({'cached' if is_cached else f'{took_s:.1f} s'})")

    def reason(self) -> str:
        """Return the failed step's own words, from where it first speaks of an error."""
        said = [match[1].strip() for line in self.last if (match := _SAID.match(line))]
        first = next((n for n, text in enumerate(said) if "error" in text.lower()), 0)
        words = " ".join(said[first:]) or " ".join(self.last[-3:])
        if len(words) <= REASON_CHARS_MAX:
            return words
        half = REASON_CHARS_MAX // 2
        return f"{words[:half]} … {words[-half:]}"


def _short(text: str) -> str:
    return text if len(text) <= WORDS_MAX else f"{text[: WORDS_MAX - 1]}…"
