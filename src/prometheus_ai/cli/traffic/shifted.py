"""How changes of traffic are told."""

from prometheus_ai.cli import output
from prometheus_ai.client.records import Record


def tell(shifted: Record, *, as_json: bool) -> None:
    """Write what a change of traffic came to."""
    if as_json:
        output.write_json(shifted)
        return
    weights = " ".join(f"{version}={weight / 100:g}" for version, weight in shifted.weights.items())
    if shifted.is_in_force:
        output.write(f"{shifted.backend}: {weights} in force after {shifted.took_ms:.0f} ms")
    else:
        output.write(f"{shifted.backend}: {weights} wanted; waits for: {shifted.waits_for}")
