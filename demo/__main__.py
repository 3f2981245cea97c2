"""Run the demonstration: ``python -m demo FOLDER [--keep]``."""

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from demo.acts import (
    KNOWN_S,
    Figures,
    control_plane_dies,
    log_is_intact,
    promoted_by_verdict,
    rolled_back_by_verdict,
)
from demo.models import better
from demo.scaling import burst_sleep_and_wake
from demo.stage import Stage, open_stage
from demo.traffic import Traffic, load_held_out, tally

ACTS = (
    promoted_by_verdict,
    rolled_back_by_verdict,
    burst_sleep_and_wake,
    control_plane_dies,
    log_is_intact,
)
"""Played in this order; each leaves the stage to the next with all traffic on one release."""
TRAIN = Path(__file__).parent.parent / "examples" / "01-digits" / "train.py"

ROLLOUT = """\
rollout:
  strategy: canary
  steps: [25, 50, 100]
  step_s: 2
  step_requests: 30
  bake_s: 3
  gates:
    warm_up_s: 1
    errors: {negligible: 0.05}
    latency: {tolerated: 2, harmful: 10, floor_ms: 25}
"""
"""Few and quick steps: a demonstration has a minute for what deserves an hour."""
SPECS = {
    "v1": "name: digits\nmodel:\n  path: v1/model.onnx\n  engine: onnx\n" + ROLLOUT,
    "v2": "name: digits\nmodel:\n  path: v2/model.onnx\n  engine: onnx\n" + ROLLOUT,
    "v3": "name: digits\nmodel:\n  path: v3/model.py\n  engine: python\n" + ROLLOUT,
}


def main() -> int:
    """Run the demonstration; return the exit code."""
    parser = argparse.ArgumentParser(prog="demo", description="Show the product on real input.")
    parser.add_argument("folder", type=Path, help="a folder to make; removed at the end")
    parser.add_argument("--keep", action="store_true", help="leave everything running")
    options = parser.parse_args()
    console = Console(width=110)
    root = options.folder.absolute()
    stop_left_over(root)
    root.mkdir(parents=True)
    stage = open_stage(root, console)
    try:
        lost = perform(stage)
    except BaseException:
        stage.pai("down", quiet=True)
        raise
    if options.keep:
        keep(stage)
    else:
        stage.pai("down", quiet=True)
        shutil.rmtree(root)
    return 1 if lost else 0


def stop_left_over(root: Path) -> None:
    """End what an earlier demonstration with KEEP=1 left in this folder."""
    if not root.exists():
        return
    pai = Path(sys.executable).parent / "pai"
    subprocess.run(
        [pai, "down"],
        env={"PAI_HOME": str(root / "home"), "PATH": "/usr/bin:/bin"},
        check=False,
        capture_output=True,
        timeout=120,
    )
    shutil.rmtree(root)


def perform(stage: Stage) -> int:
    """Play every scene; return how many requests were lost."""
    started = time.monotonic()
    stage.say("Training three classifiers of handwritten digits")
    subprocess.run([sys.executable, TRAIN, stage.folder], check=True, timeout=120)
    better(stage.folder)
    for name, text in SPECS.items():
        (stage.folder / f"{name}.yaml").write_text(text)
    stage.pai("up", "--detach")

    stage.say("v1: the first release takes all traffic once it is ready")
    stage.pai("deploy", "v1.yaml", "--wait")
    images, labels = load_held_out(stage.folder / "held_out.npz")
    url = stage.ask("status", "digits")["summary"]["url"]
    traffic = Traffic(url=url, images=images, labels=labels)
    traffic.start()
    figures = Figures()
    try:
        time.sleep(KNOWN_S)
        for act in ACTS:
            act(stage, traffic, figures)
    finally:
        traffic.stop()
    return report(stage, traffic, figures, time.monotonic() - started)


def report(stage: Stage, traffic: Traffic, figures: Figures, took_s: float) -> int:
    """Print the table; return how many requests were lost."""
    tallies, failures = tally(traffic.answers)
    lost = sum(failures.values())
    table = Table(title="What the traffic saw", title_justify="left")
    columns = ("release", "requests", "accuracy", "p50 ms", "p95 ms", "p99 ms", "errors")
    for column in columns:
        table.add_column(column, justify="left" if column == "release" else "right")
    for one in tallies:
        table.add_row(
            one.release,
            f"{one.requests}",
            f"{one.accuracy:.1%}",
            f"{one.p50_ms:.1f}",
            f"{one.p95_ms:.1f}",
            f"{one.p99_ms:.1f}",
            "0",
        )
    if lost:
        table.add_row("(no release)", f"{lost}", "", "", "", "", f"{lost}")
    console = stage.console
    console.print()
    console.print(table)
    facts = Table.grid(padding=(0, 2))
    facts.add_row(
        "v2 promoted", f"after {figures.promoted_s:.0f} s, by evidence: {figures.promoted_because}"
    )
    facts.add_row(
        "v3 rolled back",
        f"{figures.judged_bad_s:.1f} s after its first traffic: {figures.judged_bad_because}",
    )
    facts.add_row("Rollback", f"in force after {figures.flip_ms:.0f} ms, as rehearsed on each step")
    facts.add_row("Decisions", figures.replayed)
    facts.add_row("Burst", figures.burst)
    facts.add_row("Sleep and wake", figures.woken)
    facts.add_row(
        "Control plane killed",
        f"{figures.answered_while_dead} requests answered without it; back {figures.back_s:.1f} s after"
        f" its restart, {figures.adopted} replicas adopted",
    )
    facts.add_row("Requests lost", f"{lost} of {len(traffic.answers)}")
    facts.add_row("Audit log", figures.audit.partition(";")[0])
    facts.add_row("Whole demonstration", f"{took_s:.0f} s")
    console.print(facts)
    for words, count in failures.items():
        console.print(f"[red]{count} x {words}[/]")
    return lost + figures.failed_beside


def keep(stage: Stage) -> None:
    """Say what is left running, and what to try."""
    status = stage.ask("status")
    stage.console.print(
        f"\nStill running: gateway {status['gateway_url']}, try:\n"
        f"  export PAI_HOME={stage.home}\n"
        "  pai status digits        what runs\n"
        "  pai why digits           why it runs that way\n"
        "  pai events digits        everything that happened\n"
        "  pai route digits v1=50 v2=50\n"
        "  pai down                 end it all",
        highlight=False,
    )


if __name__ == "__main__":
    sys.exit(main())
