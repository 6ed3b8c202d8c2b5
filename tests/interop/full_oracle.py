"""The recipe `full`: every usable flow of both directions with every raw field, and where it is from."""

from __future__ import annotations

from typing import Any

from raw_flows import FIELDS, INT64, REPAIRS, STRING, Flow
from recompute import RecipeOracle

_COLUMNS: dict[str, str] = {
    "deviceName": STRING,
    "direction": STRING,
    "dump": STRING,
    "line": INT64,
    **{name: field.type for name, field in FIELDS.items()},
}


def _row(flow: Flow) -> dict[str, Any]:
    made = {"deviceName": flow.device, "dump": flow.dump, "line": flow.line, "direction": flow.direction}
    return {name: made[name] if name in made else flow.values[name] for name in _COLUMNS}


# The repaired duration is made from the two times, which are always there.
_NULLABLE = {name for name, field in FIELDS.items() if not field.required and name != "flowDurationMilliseconds"}

# Nothing is removed and nothing is left out.
FULL = RecipeOracle(
    name="full",
    columns=_COLUMNS,
    nullable=_NULLABLE,
    ipv4_numbers=[],
    repairs=REPAIRS,
    dropped=[],
    rules=dict,
    row=_row,
)
