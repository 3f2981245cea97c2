"""Documents keep their form, and what they point at exists."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    file
    for pattern in ("*.md", "docs/**/*.md", "runtime/*.md", "examples/**/*.md", "bench/**/*.md")
    for file in ROOT.glob(pattern)
)
DECISIONS = sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))
SECTIONS = (
    "## Context",
    "## Options",
    "## Choice",
    "## Consequences",
    "## How we would know it was wrong",
)

FENCE = re.compile(r"^\s*(```|~~~)")
TWO_SENTENCES = re.compile(r"[a-z0-9)`*\"'][.!?] +[A-Z`\"*]")
ABBREVIATIONS = re.compile(r"\b(?:e\.g|i\.e|etc|vs|cf|No|pp?)\. ")
MARKER = re.compile(r"^\s*(?:\d+\.|[-*]) +")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#([^)\s]+))?\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def prose(document: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines that carry sentences: no code, tables, headings or pictures."""
    inside = False
    for number, line in enumerate(document.read_text().splitlines(), 1):
        if FENCE.match(line):
            inside = not inside
        elif not inside and not line.lstrip().startswith(("|", "#", "<", "![", "    ")):
            yield number, MARKER.sub("", line)


def anchor(heading: str) -> str:
    """Return the fragment that a heading gets on GitHub."""
    kept = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return kept.replace(" ", "-")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_line_holds_one_sentence(document: Path) -> None:
    crowded = [
        f"{number}: {line}"
        for number, line in prose(document)
        if TWO_SENTENCES.search(ABBREVIATIONS.sub("", re.sub(r"`[^`]*`", "`x`", line)))
    ]
    assert not crowded, "\n" + "\n".join(crowded)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(document: Path) -> None:
    broken = []
    for path, fragment in LINK.findall(document.read_text()):
        if "://" in path or path.startswith("mailto:"):
            continue
        target = (document.parent / path).resolve()
        if not target.exists():
            broken.append(path)
        elif fragment and fragment not in map(anchor, HEADING.findall(target.read_text())):
            broken.append(f"{path}#{fragment}")
    assert not broken


@pytest.mark.parametrize("record", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_says_why_and_when_it_would_be_wrong(record: Path) -> None:
    text = record.read_text()
    positions = [text.find(f"\n{section}\n") for section in SECTIONS]
    assert -1 not in positions, f"sections: {SECTIONS}"
    assert positions == sorted(positions)
    assert re.search(r"^Status: (proposed|accepted|replaced by)", text, re.MULTILINE)
    assert re.search(r"^Date: (\d{4}-\d{2}-\d{2}|YYYY)", text, re.MULTILINE)


def test_decisions_are_numbered_without_gaps() -> None:
    assert [int(record.name[:4]) for record in DECISIONS] == list(range(len(DECISIONS)))


def test_the_index_leads_to_every_page() -> None:
    index = (ROOT / "docs/index.md").read_text()
    pages = [
        page.relative_to(ROOT / "docs").as_posix()
        for folder in ("guides", "concepts", "reference", "architecture")
        for page in (ROOT / "docs" / folder).glob("*.*")
        if page.suffix in (".md", ".json")
    ]
    assert not [page for page in pages if f"({page})" not in index]
