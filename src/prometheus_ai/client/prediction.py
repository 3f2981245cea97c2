"""A model's answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

ROWS_SHOWN_MAX = 20


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Outputs by name, and what is known about how they came to be."""

    outputs: Mapping[str, Any]
    """Nested lists, one item for each row."""
    release: str
    """``backend/version`` that answered."""
    latency_ms: float
    """From sending the request to having the whole answer, seen by this client."""
    server: Mapping[str, float]
    """Times and sizes that the model server reported, such as ``queue_us`` and ``batch_rows``."""
    request_id: str = ""
    """Names the answer in feedback."""

    def __getitem__(self, name: str) -> Any:
        return self.outputs[name]

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(name)}</th>" for name in self.outputs)
        columns = [
            values if isinstance(values, list) else [values] for values in self.outputs.values()
        ]
        count = max((len(column) for column in columns), default=0)
        rows = "".join(
            "<tr>"
            + "".join(
                f"<td>{escape(str(column[row])) if row < len(column) else ''}</td>"
                for column in columns
            )
            + "</tr>"
            for row in range(min(count, ROWS_SHOWN_MAX))
        )
        more = f"<p>… {count - ROWS_SHOWN_MAX} more rows</p>" if count > ROWS_SHOWN_MAX else ""
        caption = f"{escape(self.release)} in {self.latency_ms:.1f} ms"
        return f"<table><caption>{caption}</caption><tr>{head}</tr>{rows}</table>{more}"
