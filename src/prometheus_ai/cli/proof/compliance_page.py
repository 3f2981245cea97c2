"""The compliance report as one page that needs nothing beside itself: readable on a phone, on paper, in the dark."""

import re
from html import escape

from prometheus_ai.client.records import Record

_STYLE = """
:root { color-scheme: light dark; --back: #fff; --card: #f6f7f9; --text: #16181d; --dim: #5a6270;
  --line: #d9dde3; --good: #0b6b3a; --some: #8a5a00; --bad: #a4262c; --off: #5a6270; }
@media (prefers-color-scheme: dark) { :root { --back: #14161a; --card: #1d2026; --text: #e8eaee;
  --dim: #a2aab8; --line: #343a44; --good: #5fd39a; --some: #f0b860; --bad: #ff8a8f; --off: #a2aab8; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--text); line-height: 1.5;
  font-family: system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 72rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; } h2 { font-size: 1.25rem; margin: 2.5rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.75rem 0 .5rem; }
p, dd { margin: 0; } .dim, dt { color: var(--dim); }
code { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .82em; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .3rem 1.25rem; margin: .75rem 0;
  background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: 1rem; }
.sum { display: flex; flex-wrap: wrap; gap: .5rem; margin: 1rem 0; padding: 0; list-style: none; }
.sum li { border: 1px solid var(--line); border-radius: 1rem; padding: .15rem .75rem; background: var(--card); }
table { width: 100%; border-collapse: collapse; font-size: .92rem; }
th, td { text-align: left; vertical-align: top; padding: .5rem .6rem; border-bottom: 1px solid var(--line); }
th { color: var(--dim); font-weight: 600; } td ul { margin: .25rem 0 0; padding: 0; list-style: none; }
.state { font-weight: 650; white-space: nowrap; }
.met { color: var(--good); } .partly { color: var(--some); } .not { color: var(--bad); } .does { color: var(--off); }
.flag { border-left: .3rem solid var(--some); background: var(--card); padding: .6rem 1rem; margin: 1rem 0; }
@media (max-width: 44rem) {
  dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .6rem; }
  thead { display: none; } tr { display: block; padding: .6rem 0; border-bottom: 1px solid var(--line); }
  td { display: block; border: 0; padding: .1rem 0; }
  td[data-name]::before { content: attr(data-name) ": "; color: var(--dim); } }
@media print { main { max-width: none; } h2 { break-before: page; } h2:first-of-type { break-before: auto; } }
"""
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_COMMAND = re.compile(r"`([^`]+)`")
_STATES = ("met", "partly", "not met", "does not apply")


def page(found: Record) -> str:
    """Return the whole page."""
    name = escape(found.backend)
    problem = (
        f'<p class="flag">The audit log cannot be vouched for: {escape(found.log_problem)}</p>'
        if found.log_problem
        else ""
    )
    releases = "".join(_release(one) for one in found.releases)
    log = _list(
        {
            "records": str(found.log_size),
            "Merkle root": _code(found.log_root),
            "how to check": "<code>pai audit verify</code>, or <code>pai audit export</code> and any "
            "implementation of RFC 6962",
        }
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Compliance of {name}</title><style>{_STYLE}</style></head><body><main>"
        f"<header><h1>Compliance of {name}</h1>"
        f'<p class="dim">Made {_moment(found.made_at)} by {escape(found.platform)}, '
        f"installation {escape(found.installation or 'unknown')}</p></header>"
        f"{problem}{releases}<h2>Audit log</h2>{log}</main></body></html>\n"
    )


def _moment(at: object) -> str:
    """Return a moment to the second, as people read it."""
    text = str(at)
    return (
        escape(f"{text[:10]} {text[11:19]} UTC") if text.endswith(("Z", "+00:00")) else escape(text)
    )


def _prose(text: str) -> str:
    """Return a sentence whose commands stand in backticks."""
    return _COMMAND.sub(r"<code>\1</code>", escape(text))


def _release(one: Record) -> str:
    weak = "unknown, no advisory database" if one.weaknesses is None else str(one.weaknesses)
    decided = "allowed" if one.allowed else "refused"
    replays = (
        "and replays from its record" if one.replays else "and does not replay: the record changed"
    )
    facts = {
        "traffic": f"{one.weight:g} %",
        "target": escape(one.target),
        "made": f"{_moment(one.created_at)} by {escape(one.created_by)}",
        "release": _code(one.digest),
        "model": f"{escape(one.model)} {_code(one.model_digest)}",
        "packages": f"{one.packages} from lock {_code(one.lock_digest)}",
        "image": _code(one.image) if one.image else "none: its target runs processes",
        "model server": _code(one.runtime),
        "known weaknesses": weak,
        "gate": f"{decided} {_moment(one.decided_at)}, {replays}",
        "decision": _code(one.document),
        "policy": _code(one.policy_digest),
    }
    counts = {state: sum(c.state == state for c in one.controls) for state in _STATES}
    summary = "".join(
        f'<li><span class="{_class(state)}">{count}</span> {state}</li>'
        for state, count in counts.items()
        if count
    )
    flag = f'<p class="flag">Flagged: {escape(one.flag)}</p>' if one.flag else ""
    return (
        f'<section><h2>Release {escape(one.version)}</h2>{flag}<ul class="sum">{summary}</ul>'
        f"{_list(facts)}<h3>Controls</h3>{_controls(one)}"
        f"<h3>Signatures and attestations</h3>{_signatures(one)}"
        f"<h3>Who approved it</h3>{_approvals(one)}</section>"
    )


def _controls(one: Record) -> str:
    rows = []
    for control in one.controls:
        proofs = "".join(f"<li>{_short(proof)}</li>" for proof in control.proofs)
        rows.append(
            f"<tr><td>{escape(control.framework)} <b>{escape(control.id)}</b></td>"
            f"<td>{escape(control.title)}</td>"
            f'<td class="state {_class(control.state)}">{escape(control.state)}</td>'
            f"<td>{_prose(control.why)}<ul>{proofs}</ul></td></tr>"
        )
    return _table(("control", "what it asks", "state", "why, and proof"), rows)


def _signatures(one: Record) -> str:
    rows = [
        f'<tr><td data-name="key">{escape(sign.key or "unknown")}</td>'
        f'<td data-name="says">{_code(sign.problem or sign.predicate)}</td>'
        f'<td data-name="about">{_code(sign.subject)}</td></tr>'
        for sign in one.signatures
    ]
    return _table(("key", "what it says", "about"), rows) if rows else "<p>There are none.</p>"


def _approvals(one: Record) -> str:
    rows = [
        f'<tr><td data-name="record">{row.index} <code>{escape(row.leaf_hash[:16])}…</code></td>'
        f'<td data-name="when">{_moment(row.at)}</td><td data-name="who">{escape(row.actor)}</td>'
        f'<td data-name="what">{escape(row.kind)}</td><td data-name="why">{escape(row.reason)}</td></tr>'
        for row in one.approvals
    ]
    return _table(("record", "when", "who", "what", "why"), rows)


def _table(columns: tuple[str, ...], rows: list[str]) -> str:
    head = "".join(f"<th>{escape(one)}</th>" for one in columns)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _list(facts: dict[str, str]) -> str:
    return f"<dl>{''.join(f'<dt>{escape(k)}</dt><dd>{v}</dd>' for k, v in facts.items())}</dl>"


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"


def _short(proof: str) -> str:
    """Return a proof with its digests shortened: they stand in full above and below, and in its title."""
    shown = _DIGEST.sub(lambda found: found[0][:19] + "…", proof)
    return f'<code title="{escape(proof, quote=True)}">{escape(shown)}</code>'


def _class(state: str) -> str:
    return state.partition(" ")[0]
