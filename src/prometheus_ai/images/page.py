"""An analysis as one page that needs nothing else; pure."""

from collections.abc import Iterator, Sequence
from html import escape

from prometheus_ai.domain.image_contents import ImageAnalysis, Proof, TreeNode
from prometheus_ai.images.kinds import KINDS
from prometheus_ai.images.page_style import STYLE
from prometheus_ai.images.treemap import squarified

PACKAGES_MAX = 40
DEPTH_MAX = 6
WIDE_ASPECT, TALL_ASPECT = 1.9, 0.7
# Of the whole picture: cells that are smaller are not divided, or not named.
DIVIDED_MIN, NAMED_MIN = 0.004, 0.002
_DEAD = "files that later layers delete or replace"
_VERDICTS = {
    "safe": ("good", "Proved safe: imports and predictions work in the trimmed image as before."),
    "imports-only": ("warn", "Imports work as before; nothing was there to predict with."),
    "breaks": ("bad", "Breaks: nothing of it is safe to leave out."),
}


def page(analysis: ImageAnalysis) -> str:
    """Return a whole HTML document without scripts or links to elsewhere."""
    parts = [
        _head(analysis),
        _proof(analysis.proof) if analysis.proof else "",
        _suggestions(analysis),
        _findings(analysis),
        _treemaps(analysis),
        _layers(analysis),
        _packages(analysis),
    ]
    title = f"{analysis.name} – what is in it"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>"
        + "\n".join(part for part in parts if part)
        + "</main></body></html>\n"
    )


def _megabytes(size: int) -> str:
    # A space that does not break.
    return f"{size / 1e6:,.1f}\u00a0MB" if size < 1e8 else f"{size / 1e6:,.0f}\u00a0MB"


def _head(analysis: ImageAnalysis) -> str:
    numbers = (
        ("size of all layers", _megabytes(analysis.size_bytes)),
        ("seen by a container", _megabytes(analysis.live_bytes)),
        ("dead", _megabytes(analysis.dead_bytes)),
        ("could go", _megabytes(analysis.saves_bytes)),
        ("layers", str(len(analysis.layers))),
        ("packages", str(len(analysis.packages))),
    )
    tiles = "".join(
        f'<div class="tile"><b>{escape(value)}</b><span>{escape(name)}</span></div>'
        for name, value in numbers
    )
    return (
        f'<h1>{escape(analysis.name)}</h1><p class="digest">{escape(analysis.image)}</p>'
        f'<div class="tiles">{tiles}</div>'
    )


def _proof(proof: Proof) -> str:
    colour, words = _VERDICTS[proof.verdict]
    rows = "".join(
        f"<tr><td>{escape(one.name)}</td><td>{_mark(one.worked_before)}</td>"
        f"<td>{_mark(one.works_after)}</td><td>{escape(one.words)}</td></tr>"
        for one in proof.checks
    )
    sizes = f"{_megabytes(proof.size_before_bytes)} → {_megabytes(proof.size_after_bytes)}"
    applied = ", ".join(proof.applied) or "nothing"
    taken_back = f"; taken back: {', '.join(proof.left_out)}" if proof.left_out else ""
    table = _table(("tried", "before", "after", ""), rows)
    return (
        f'<section class="proof {colour}"><h2>Rebuilt and tried</h2><p>{escape(words)} {sizes}.</p>'
        f"<p>Applied: {escape(applied + taken_back)}</p>{table}</section>"
    )


def _mark(worked: bool) -> str:
    return "works" if worked else "fails"


def _suggestions(analysis: ImageAnalysis) -> str:
    if not analysis.suggestions:
        return "<section><h2>Suggestions</h2><p>Nothing to suggest.</p></section>"
    largest = max(one.saves_bytes for one in analysis.suggestions) or 1
    items = []
    for one in analysis.suggestions:
        saves = (
            _megabytes(one.saves_bytes)
            if one.saves_bytes
            else f"{_megabytes(one.rebuilds_bytes)} each edit"
        )
        bar = f'<i class="bar" style="width:{100 * one.saves_bytes / largest:.1f}%"></i>'
        examples = "".join(f"<li><code>{escape(path)}</code></li>" for path in one.examples)
        more = f"<ul>{examples}</ul>" if examples else ""
        items.append(
            f'<details><summary><span class="risk {one.risk.value}">{one.risk.value} risk</span>'
            f"<strong>{escape(one.title)}</strong><em>{saves}</em>{bar}</summary>"
            f"<p>{escape(one.why)}.</p><p><b>Instead:</b> {escape(one.remedy)}.</p>{more}</details>"
        )
    return f"<section><h2>Suggestions</h2>{''.join(items)}</section>"


def _findings(analysis: ImageAnalysis) -> str:
    if not analysis.findings:
        return ""
    rows = "".join(
        f'<tr><td><span class="risk {one.severity.value}">{one.severity.value}</span></td>'
        f"<td>{escape(one.message)}<br><small>{escape(one.where)}</small></td>"
        f"<td>{escape(one.remedy)}</td></tr>"
        for one in analysis.findings
    )
    return f"<section><h2>Findings</h2>{_table(('severity', 'what', 'instead'), rows)}</section>"


def _treemaps(analysis: ImageAnalysis) -> str:
    shown = set(_kinds_in(analysis.tree))
    titles = {"dead-bytes": _DEAD, **{name: kind.title for name, kind in KINDS.items()}}
    legend = "".join(
        f'<span><i class="k-{name}"></i>{escape(title)}</span>'
        for name, title in titles.items()
        if name in shown
    )
    maps = "".join(
        f'<div class="map {name}">{_cells(analysis.tree.children, aspect, 1.0, 0)}</div>'
        for name, aspect in (("wide", WIDE_ASPECT), ("tall", TALL_ASPECT))
    )
    return (
        "<section><h2>Where the bytes are</h2>"
        f'<p class="legend"><span><i></i>needed, as far as is known</span>{legend}</p>{maps}</section>'
    )


def _kinds_in(node: TreeNode) -> Iterator[str]:
    yield node.kind
    for child in node.children:
        yield from _kinds_in(child)


def _cells(nodes: Sequence[TreeNode], aspect: float, share: float, depth: int) -> str:
    total = sum(node.size_bytes for node in nodes) or 1
    made = []
    for cell in squarified(nodes, aspect):
        node = cell.node
        part = share * node.size_bytes / total
        size = _megabytes(node.size_bytes)
        place = (
            f"left:{100 * cell.left:.3f}%;top:{100 * cell.top:.3f}%;"
            f"width:{100 * cell.width:.3f}%;height:{100 * cell.height:.3f}%"
        )
        inner_aspect = aspect * cell.width / max(cell.height, 1e-9)
        divided = bool(node.children) and depth < DEPTH_MAX and part >= DIVIDED_MIN
        inner = _cells(node.children, inner_aspect, part, depth + 1) if divided else ""
        name = f"<b>{escape(node.name)}</b> <small>{size}</small>" if part >= NAMED_MIN else ""
        kind = f" k-{node.kind}" if node.kind and not divided else ""
        body = f'<div class="in">{inner}</div>' if divided else ""
        made.append(
            f'<div class="cell{kind}{" box" if divided else ""}" style="{place}"'
            f' title="{escape(node.name)} {size}">{name}{body}</div>'
        )
    return "".join(made)


def _layers(analysis: ImageAnalysis) -> str:
    largest = max((layer.size_bytes for layer in analysis.layers), default=0) or 1
    rows = []
    for number, layer in enumerate(analysis.layers, 1):
        live = 100 * (layer.size_bytes - layer.dead_bytes) / largest
        dead = 100 * layer.dead_bytes / largest
        rows.append(
            f"<tr><td>{number}</td><td>{_megabytes(layer.size_bytes)}</td>"
            f'<td class="shares"><i class="live" style="width:{live:.2f}%"></i>'
            f'<i class="gone" style="width:{dead:.2f}%"></i></td>'
            f"<td>{_megabytes(layer.dead_bytes) if layer.dead_bytes else ''}</td>"
            f"<td><code>{escape(layer.made_by[:200]) or 'the base'}</code></td></tr>"
        )
    table = _table(("", "size", "", "dead", "made by"), "".join(rows))
    return f"<section><h2>Layers</h2>{table}</section>"


def _packages(analysis: ImageAnalysis) -> str:
    shown = analysis.packages[:PACKAGES_MAX]
    rows = "".join(
        f"<tr><td>{escape(one.name)}</td><td>{escape(one.version)}</td><td>{one.kind}</td>"
        f"<td>{_megabytes(one.size_bytes)}</td><td>{_small(one.bytecode_bytes)}</td>"
        f"<td>{_small(one.test_bytes)}</td><td>{one.layer}</td></tr>"
        for one in shown
    )
    more = len(analysis.packages) - len(shown)
    note = f"<p>{more} smaller packages are left out.</p>" if more > 0 else ""
    names = ("package", "version", "kind", "size", "bytecode", "tests", "layer")
    return f"<section><h2>Packages</h2>{_table(names, rows)}{note}</section>"


def _small(size: int) -> str:
    return _megabytes(size) if size else ""


def _table(names: Sequence[str], rows: str) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
