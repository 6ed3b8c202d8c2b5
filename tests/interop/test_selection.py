"""Lakes of a part of the dumps: each row that a selection leaves out is counted, behind the recipe's own rules."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.dataset as ds
import pytest

import lakes
from lakes import BuildLake
from recompute import RecipeOracle, Rule

# Both are starts of flows in the awkward dumps: the first is kept, the second is not.
FROM = datetime(2019, 7, 1, tzinfo=UTC)
TO = datetime(2020, 1, 1, tzinfo=UTC)


def selected(recipe: RecipeOracle) -> RecipeOracle:
    """The recipe with two more rules behind its own."""

    def rules() -> dict[str, Rule]:
        return recipe.rules() | {
            "before --from 2019-07-01T00:00:00.000Z": lambda flow: flow.values["flowStartMilliseconds"] < FROM,
            "not before --to 2020-01-01T00:00:00.000Z": lambda flow: flow.values["flowStartMilliseconds"] >= TO,
        }

    return replace(recipe, rules=rules)


@pytest.mark.parametrize("recipe", lakes.RECIPES)
def test_a_range_of_time_and_a_class(build_lake: BuildLake, tmp_path: Path, recipe: str):
    whole = build_lake("awkward", recipe)
    (hub,) = (device for device in whole.devices if device.device_class == "iotGatewayHub")
    data_set = whole.data_set
    selection = ["--class", hub.device_class, "--from", "2019-07", "--to", "2020-01-01"]
    config = ["--config", data_set.catalogue, "--input", data_set.input, "--output", tmp_path / "lake"]
    lakes.run("build", "--recipe", recipe, *config, *selection)
    part = lakes.Lake(tmp_path / "lake", replace(data_set, devices=[hub]), selected(lakes.RECIPES[recipe]))

    result = part.expected[hub.dump]
    assert min(list(result.removed.values())[-2:]) > 0, "both ends of the range leave something out"
    account = part.manifest["rowAccounting"]
    removed = [(rule["rule"], rule["rows"]) for rule in account["removed"]]
    assert removed == list(result.removed.items())
    assert (account["read"], account["kept"], account["rejected"]) == (result.read, result.kept, result.rejected)
    assert account["read"] == account["kept"] + sum(rows for _, rows in removed) + account["rejected"]

    # What is kept are the rows of the whole lake, and no others.
    months = {(month, hub.device_class): len(rows) for month, rows in result.months.items()}
    table = ds.dataset(part.root / "data", partitioning="hive").to_table()
    found = Counter(zip(table["month"].to_pylist(), table["deviceClass"].to_pylist(), strict=True))
    assert found == months
    wanted = [row.cells for month in sorted(result.months) for row in result.months[month]]
    for name in part.recipe.columns:
        if part.recipe.columns[name] in ("string", "int32", "int64"):
            assert table[name].to_pylist() == [row[name] for row in wanted], name
