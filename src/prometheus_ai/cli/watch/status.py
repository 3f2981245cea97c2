"""``pai status``."""

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import as_json, command, with_client
from prometheus_ai.cli.watch.words import (
    count,
    errors,
    latency_cells,
    moment,
    traffic,
)
from prometheus_ai.client.records import Record
from prometheus_ai.client.session import Client

_LATENCY = ("requests", "errors", "p50", "p95", "p99")


@command()
@click.argument("name", required=False)
@as_json
@with_client
def status(client: Client, name: str | None, as_json: bool) -> None:
    """Show all backends, or backend NAME with its releases and replicas.

    Requests, errors and latency are those of the last minutes, as the gateway saw them.

    Examples:
      pai status
      pai status digits
      pai status --json | jq '.backends[] | select(.state != "ready")'
    """
    found = client.backend(name) if name else client.status()
    if as_json:
        output.write_json(found)
    elif name:
        _write_backend(found)
    else:
        _write_all(found)


def _write_all(found: Record) -> None:
    state = "serving" if found.gateway_serving else "down"
    detail = f" ({found.gateway_detail})" if found.gateway_detail else ""
    output.write(f"gateway {found.gateway_url} {output.paint_state(state)}{detail}")
    for target, said in found.targets.items():
        if said != "ok":
            output.write(f"target {target} cannot be seen: {said}")
    if found.audit_problem:
        output.write(f"audit log {output.paint('corrupted', 'red')}: {found.audit_problem}")
    if not found.backends:
        output.say("no backends yet: pai init MODEL_FILE, then pai deploy pai.yaml")
        return
    rows = [
        (
            one.name,
            output.paint_state(one.state),
            traffic(one),
            f"{one.replicas_ready}/{one.replicas_wanted}",
            count(one.traffic.requests),
            errors(one.traffic),
            *latency_cells(one.traffic),
        )
        for one in found.backends
    ]
    output.write_table(("backend", "state", "traffic", "replicas", *_LATENCY), rows)
    for one in found.backends:
        for flag in one.flags:
            output.write(f"{output.paint('flagged', 'yellow')}  {one.name} {flag}")


def _rollout_fields(found: Record) -> dict[str, str]:
    """Return what is shown of a rollout under way."""
    rollout = found.rollout
    if rollout is None:
        return {}
    steps = " ".join(f"{step:g}" for step in rollout.steps)
    paused = ", paused" if rollout.is_paused else ""
    due = f", decided in about {rollout.decide_in_s:.0f} s" if rollout.decide_in_s else ""
    return {
        "rollout": f"{rollout.candidate} {rollout.phase}{paused} at {rollout.weight:g} % of {steps}",
        "verdict": f"{rollout.verdict or 'none yet'}{due}: {rollout.reason}",
        "way back": _way_back(rollout),
    }


def _way_back(rollout: Record) -> str:
    if rollout.rollback_s > 0:
        return f"in about {rollout.rollback_s:.0f} s: stopped replicas have to start again"
    if rollout.flip_ms is None:
        return "at once; rehearsed with the first step"
    return f"in {rollout.flip_ms:g} ms, as rehearsed"


def _write_backend(found: Record) -> None:
    summary = found.summary
    output.write_fields(
        {
            "backend": summary.name,
            "state": output.paint_state(summary.state),
            "traffic": traffic(summary),
            "stable": summary.stable or "-",
            "replicas": f"{summary.replicas_ready} of {summary.replicas_wanted} ready",
            "url": summary.url,
            **_rollout_fields(found),
        }
    )
    output.write()
    rows = [
        (
            one.version,
            output.paint_state(one.phase),
            f"{one.weight:g} %",
            f"{one.replicas_ready}/{one.replicas_wanted}",
            one.engine,
            str(one.restarts_24h),
            count(one.traffic.requests),
            errors(one.traffic),
            *latency_cells(one.traffic),
        )
        for one in found.releases
    ]
    columns = ("release", "phase", "traffic", "replicas", "engine", "failed 24h", *_LATENCY)
    output.write_table(columns, rows)
    for flag in summary.flags:
        output.write(f"{output.paint('flagged', 'yellow')}  {flag}")
    for one in found.releases:
        if one.starts:
            output.write(f"{one.version} {_starts(one.starts)}")
        if one.failure:
            output.write(f"{one.version} failed: {one.failure}")
    if found.replicas:
        output.write()
        _write_replicas(found)
    for line in found.progress[-5:]:
        output.write(output.paint(line, "dim"))


def _starts(starts: Record) -> str:
    items = (
        f"schedule {starts.schedule_s:.2f}, environment {starts.environment_s:.2f},"
        f" load {starts.load_s:.2f}, warm-up {starts.warm_up_s:.2f} s"
    )
    return f"starts in {starts.typical_s:.2f} s (90 % within {starts.expected_s:.2f} s): {items}"


def _write_replicas(found: Record) -> None:
    rows = [
        (
            one.id,
            one.version,
            output.paint_state(one.phase),
            one.endpoint or "-",
            str(one.pid or "-"),
            moment(one.created_at),
            one.detail,
        )
        for one in found.replicas
    ]
    output.write_table(("replica", "release", "phase", "endpoint", "pid", "since", "detail"), rows)
