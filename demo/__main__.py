"""Run the demonstration: ``python -m demo FOLDER [--keep]``."""

import argparse
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from demo.stage import Stage, kill_for, open_stage, wait_until_back
from demo.traffic import Traffic, load_held_out, tally

CANARY_S = 6.0
SETTLED_S = 3.0
ABSENCE_S = 5.0
TRAIN = Path(__file__).parent.parent / "examples" / "01-digits" / "train.py"

SPECS = {
    "v1": "name: digits\nmodel:\n  path: v1/model.onnx\n  engine: onnx\n",
    # scikit-learn models take any floating-point type: v2 says that it takes what v1 takes.
    "v2": (
        "name: digits\nmodel:\n  path: v2/model.skops\n  engine: sklearn\n"
        "  signature:\n"
        "    inputs: [{name: input, datatype: FP32, shape: [-1, 64]}]\n"
        "    outputs: [{name: label, datatype: INT64, shape: [-1]}]\n"
        f"environment:\n  requirements: [scikit-learn=={version('scikit-learn')}]\n"
    ),
    "v3": "name: digits\nmodel:\n  path: v3/model.py\n  engine: python\n",
}


@dataclass(kw_only=True)
class Figures:
    """What the demonstration measured."""

    promote_ms: float = 0.0
    rollback_ms: float = 0.0
    back_s: float = 0.0
    answered_while_dead: int = 0
    adopted: int = 0
    audit: str = ""


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
    say(stage, "Training three classifiers of handwritten digits")
    subprocess.run([sys.executable, TRAIN, stage.folder], check=True, timeout=120)
    for name, text in SPECS.items():
        (stage.folder / f"{name}.yaml").write_text(text)
    stage.pai("up", "--detach")

    say(stage, "v1: the first release takes all traffic once it is ready")
    stage.pai("deploy", "v1.yaml", "--wait")
    images, labels = load_held_out(stage.folder / "held_out.npz")
    url = stage.ask("status", "digits")["summary"]["url"]
    traffic = Traffic(url=url, images=images, labels=labels)
    traffic.start()
    figures = Figures()
    try:
        time.sleep(SETTLED_S)
        play(stage, traffic, figures)
    finally:
        traffic.stop()
    return report(stage, traffic, figures, time.monotonic() - started)


def play(stage: Stage, traffic: Traffic, figures: Figures) -> None:
    """Canary, promotion, a bad release and its rollback, and the death of the control plane."""
    say(stage, "v2: another engine, at 10 % first, then promoted")
    stage.pai("deploy", "v2.yaml", "--weight", "10", "--wait")
    time.sleep(CANARY_S)
    figures.promote_ms = stage.ask("promote", "digits")["took_ms"]
    stage.console.print(
        f"[bold cyan]$ pai promote digits[/]  [dim]in force after {figures.promote_ms:.0f} ms[/]"
    )
    time.sleep(SETTLED_S)

    say(stage, "v3: a bad release, wrong and slow, at 10 %, then rolled back")
    stage.pai("deploy", "v3.yaml", "--weight", "10", "--wait")
    time.sleep(CANARY_S)
    stage.pai("status", "digits")
    figures.rollback_ms = stage.ask("rollback", "digits")["took_ms"]
    stage.console.print(
        f"[bold cyan]$ pai rollback digits[/]  [dim]in force after {figures.rollback_ms:.0f} ms[/]"
    )
    time.sleep(SETTLED_S)

    say(stage, f"The control plane is killed with SIGKILL and stays dead for {ABSENCE_S:g} s")
    died_at = time.monotonic()
    pid = kill_for(stage, ABSENCE_S)
    figures.answered_while_dead = len(traffic.since(died_at))
    figures.back_s = wait_until_back(stage)
    events = stage.ask("events", "digits")
    figures.adopted = sum(event["kind"] == "replica:adopted" for event in events)
    stage.console.print(
        f"  [dim]process {pid} died; {figures.answered_while_dead} requests were answered meanwhile;"
        f" it is back, and adopted {figures.adopted} running replicas[/]"
    )
    time.sleep(SETTLED_S)
    figures.audit = stage.pai("audit", "verify").strip().splitlines()[0]


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
        "Promotion of v2", f"new weights in force {figures.promote_ms:.0f} ms after the call"
    )
    facts.add_row(
        "Rollback of v3", f"old weights in force {figures.rollback_ms:.0f} ms after the call"
    )
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
    return lost


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


def say(stage: Stage, words: str) -> None:
    """Announce a scene."""
    stage.console.print(f"\n[bold]{words}[/]", highlight=False)


if __name__ == "__main__":
    sys.exit(main())
