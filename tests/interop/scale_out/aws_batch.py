"""Files for AWS Batch: which fields they may have, by the model of its operations."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from scale_out.desk import RECIPES, Call, Desk


def batch_file(name: str) -> dict[str, Any]:
    return json.loads((RECIPES / name).read_text())


def unknown(value: Any, shape: Any) -> Iterator[str]:
    """Fields that the model of a service does not have."""
    if shape.type_name == "structure":
        for name, inner in value.items():
            if name in shape.members:
                yield from (f"{name}.{found}" for found in unknown(inner, shape.members[name]))
            else:
                yield name
    elif shape.type_name == "list":
        for inner in value:
            yield from unknown(inner, shape.member)


def from_file(desk: Desk, call: Call) -> dict[str, Any]:
    return json.loads((desk.root / call.option("--cli-input-json").removeprefix("file://")).read_text())
