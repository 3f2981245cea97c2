"""``pai feedback``."""

import json
from pathlib import Path
from typing import Any

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import as_json, command, with_client
from prometheus_ai.client.session import Client
from prometheus_ai.domain.errors import InvalidInput

ITEMS_AT_ONCE = 1000
LINES_MAX = 1_000_000


@command()
@click.argument("name")
@click.argument("request_id", required=False)
@click.option("--label", metavar="LABEL", help="The true label; the answer's own is compared.")
@click.option(
    "--score", type=click.FloatRange(0, 1), help="How good the answer was: 0 wrong, 1 right."
)
@click.option(
    "--file", "-f", "path", type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="JSON lines with request_id and label or score.",
)  # fmt: skip
@as_json
@with_client
def feedback(
    client: Client,
    name: str,
    request_id: str | None,
    label: str | None,
    score: float | None,
    path: Path | None,
    as_json: bool,
) -> None:
    """Say whether answers of backend NAME were right, by request id.

    REQUEST_ID is the x-request-id of an answer. Labels are joined with what the release answered;
    its accuracy counts in rollouts and is shown here.

    Examples:
      pai feedback digits 0b6a2c57-3d1e-4f7b-9a53-0c1c2f6f8a11 --label 7
      pai feedback digits --file labels.jsonl
    """
    items = _items(request_id, label, score, path)
    taken: Any = None
    counts = dict.fromkeys(("judged", "waiting", "repeated", "unusable", "refused"), 0)
    for start in range(0, len(items), ITEMS_AT_ONCE):
        taken = client.feedback(name, items[start : start + ITEMS_AT_ONCE])
        counts = {key: count + taken[key] for key, count in counts.items()}
    if as_json:
        output.write_json({**taken, **counts})
        return
    said = [f"{counts['judged']} judged"]
    said += [f"{count} {key}" for key, count in counts.items() if count and key != "judged"]
    output.write(", ".join(said))
    if counts["waiting"]:
        output.say("waiting: the answers are not known yet; they are within seconds, if ever")
    for each in taken.releases:
        right = each.labelled - each.wrong
        output.write(
            f"{each.version}: {right} of {each.labelled} labelled answers are right"
            f" ({100 * each.accuracy:.1f} %)"
        )


def _items(
    request_id: str | None, label: str | None, score: float | None, path: Path | None
) -> list[dict[str, Any]]:
    if (request_id is None) == (path is None):
        raise InvalidInput(
            "give either a request id or a file",
            hint="pai feedback NAME REQUEST_ID --label LABEL, or pai feedback NAME --file labels.jsonl",
        )
    if path is not None:
        return _lines(path)
    if (label is None) == (score is None):
        raise InvalidInput("give either --label or --score")
    said = {"label": label} if score is None else {"score": score}
    return [{"request_id": request_id, **said}]


def _lines(path: Path) -> list[dict[str, Any]]:
    items = []
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            if number > LINES_MAX:
                raise InvalidInput(f"{path} has more than {LINES_MAX} lines")
            try:
                item = json.loads(line)
            except ValueError as error:
                raise InvalidInput(f"{path}, line {number} is no JSON: {error}") from error
            if not isinstance(item, dict):
                raise InvalidInput(f"{path}, line {number} must be an object")
            items.append(item)
    if not items:
        raise InvalidInput(f"{path} holds no feedback")
    return items
