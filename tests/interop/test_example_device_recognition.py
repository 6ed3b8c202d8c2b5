"""The example that learns from a lake: what it prints is true, nothing leaks, and it says why it cannot go on."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import duckdb
import polars as pl
import pytest

from lakes import REPOSITORY, BuildLake, Lake

PROGRAM = REPOSITORY / "scripts" / "examples" / "device_recognition.py"
TARGETS = ("deviceClass", "deviceName")
# Days of `flows` lie in UTC, as everything in a lake.
DAYS = "SELECT {} AS day, deviceClass, deviceName FROM {}"
DAY = {
    "flows": "flowStartMillisecondsDate",
    "encoded": "make_date(month[:4]::INTEGER, flowStartMonth, flowStartDay)",
}


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, PROGRAM, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, stdin=subprocess.DEVNULL)


@cache
def learnt(root: Path, *more: str) -> dict[str, Any]:
    done = run(root, "--json", *more)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


def refused(*arguments: str | Path) -> str:
    """What it says of input that it cannot learn from."""
    done = run(*arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.fixture(scope="session", params=list(DAY))
def lake(request: pytest.FixtureRequest, build_lake: BuildLake) -> Lake:
    return build_lake("sample", request.param)


@pytest.fixture(scope="session")
def flows(build_lake: BuildLake) -> Lake:
    return build_lake("sample", "flows")


@pytest.fixture(scope="module")
def example() -> ModuleType:
    """The program as a module, for what cannot be seen from outside."""
    spec = importlib.util.spec_from_file_location("device_recognition", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Where dataclasses look for what they are made of.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def part_of_lake(lake: Lake, root: Path, keep: Any) -> Path:
    """A lake of some of the files of another."""
    manifest = json.loads((lake.root / "manifest.json").read_text())
    manifest["files"] = [file for file in manifest["files"] if keep(file)]
    for file in manifest["files"]:
        target = root / file["path"]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(lake.root / file["path"], target)
    (root / "manifest.json").write_text(json.dumps(manifest))
    return root


def days(lake: Lake) -> list[tuple[date, str, str]]:
    """Day, class and device of every flow, as DuckDB reads them."""
    with duckdb.connect() as connection:
        return connection.execute(DAYS.format(DAY[lake.recipe.name], lake.duckdb_source())).fetchall()


def macro_f1(matrix: list[list[int]]) -> float:
    """The mean over the classes that there are flows of."""
    taken = [sum(row[label] for row in matrix) for label in range(len(matrix))]
    found = [2 * row[label] / (sum(row) + taken[label]) for label, row in enumerate(matrix) if any(row)]
    return sum(found) / len(found)


def test_days_of_the_test_come_after_those_of_training(lake: Lake) -> None:
    result = learnt(lake.root)
    train, test = result["train"], result["test"]
    assert train["first"] <= train["last"] < test["first"] <= test["last"]
    found = days(lake)
    # Every flow of the lake is in the part that its day is in.
    for part in (train, test):
        first, last = date.fromisoformat(part["first"]), date.fromisoformat(part["last"])
        inside = [day for day, *_ in found if first <= day <= last]
        assert (part["flows"], part["days"]) == (len(inside), len(set(inside)))
    assert train["flows"] + test["flows"] == len(found) == result["flows"]["used"]
    # No day more than the share of training asks for.
    assert train["flows"] >= 0.7 * len(found)
    last = date.fromisoformat(train["last"])
    assert sum(day < last for day, *_ in found) < 0.7 * len(found)


@pytest.mark.parametrize("target", TARGETS)
def test_the_matrix_has_the_flows_of_the_test(lake: Lake, target: str) -> None:
    result = learnt(lake.root)
    shown = result["targets"][target]
    first = date.fromisoformat(result["test"]["first"])
    expected = Counter(row[1 + TARGETS.index(target)] for row in days(lake) if row[0] >= first)
    matrix = shown["confusionMatrix"]
    assert {label: sum(row) for label, row in zip(shown["labels"], matrix, strict=True) if sum(row)} == expected
    assert sum(map(sum, matrix)) == result["test"]["flows"]


@pytest.mark.parametrize("target", TARGETS)
def test_accuracy_and_f1_follow_from_the_matrix(lake: Lake, target: str) -> None:
    shown = learnt(lake.root)["targets"][target]
    matrix = shown["confusionMatrix"]
    size = range(len(matrix))
    total = sum(map(sum, matrix))
    assert shown["accuracy"] == pytest.approx(sum(matrix[label][label] for label in size) / total)
    assert shown["macroF1"] == pytest.approx(macro_f1(matrix))
    always = shown["labels"].index(shown["baseline"]["label"])
    right = sum(matrix[always])
    assert shown["baseline"]["accuracy"] == pytest.approx(right / total)
    assert shown["baseline"]["macroF1"] == pytest.approx(2 * right / (right + total) / sum(map(any, matrix)))


@pytest.mark.parametrize("target", TARGETS)
def test_the_forest_is_better_than_the_most_frequent_class(lake: Lake, target: str) -> None:
    result = learnt(lake.root)
    shown = result["targets"][target]
    in_train = Counter(
        row[1 + TARGETS.index(target)] for row in days(lake) if row[0] <= date.fromisoformat(result["train"]["last"])
    )
    assert shown["baseline"]["label"] == in_train.most_common(1)[0][0]
    assert shown["accuracy"] > shown["baseline"]["accuracy"] + 0.2
    assert shown["macroF1"] > shown["baseline"]["macroF1"] + 0.2


def test_what_names_a_device_is_no_feature(lake: Lake) -> None:
    result = learnt(lake.root)
    features = result["features"]
    roles = {column["name"]: column["role"] for column in lake.manifest["schema"]["columns"]}
    assert {roles[name] for name in features} == {"feature"}
    # Some are features by the manifest, and give devices or times away.
    tells = re.compile(
        "address|deviceName|device_type|deviceClass|month|day|hour|minute|second$|date|^(IoT|source).*port"
    )
    assert [name for name in features if tells.search(name.replace("Address", "address"))] == []
    # Everything is accounted for, and what was used is a good part of it.
    assert {*features, *result["leftOut"]} == roles.keys()
    assert not set(features) & result["leftOut"].keys()
    assert {"octetTotalCount", "reversePacketTotalCount", "flowDurationMilliseconds"} < set(features)
    for shown in result["targets"].values():
        assert shown["importances"].keys() == set(features)
        assert sum(shown["importances"].values()) == pytest.approx(1)


def test_the_same_input_gives_the_same_output(flows: Lake) -> None:
    first, second = (run(flows.root, "--max-flows-per-device", "200") for _ in range(2))
    assert first.returncode == 0, first.stderr
    assert first.stdout == second.stdout
    assert "macro F1" in first.stdout
    assert "confusion matrix" in first.stdout
    other = run(flows.root, "--max-flows-per-device", "200", "--seed", "2")
    assert other.stdout != first.stdout


def test_shuffled_targets_leave_nothing_to_find(flows: Lake) -> None:
    # A forest knows by heart what it was trained on: flows that are in both parts would be recognised all the same.
    for shown in learnt(flows.root, "--permute-labels")["targets"].values():
        assert shown["accuracy"] < shown["baseline"]["accuracy"] + 0.02


def test_at_most_so_many_flows_of_a_device_are_used(flows: Lake) -> None:
    result = learnt(flows.root, "--max-flows-per-device", "50", "--target", "deviceName")
    rows = Counter(name for *_, name in days(flows))
    assert result["flows"] == {"inLake": rows.total(), "used": sum(min(count, 50) for count in rows.values())}
    assert list(result["targets"]) == ["deviceName"]
    # From the first days to the last ones.
    found = [day for day, *_ in days(flows)]
    assert date.fromisoformat(result["train"]["first"]) - min(found) < timedelta(days=2)
    assert max(found) - date.fromisoformat(result["test"]["last"]) < timedelta(days=2)


def test_flows_are_chosen_in_order_of_time(flows: Lake, example: ModuleType) -> None:
    features, _ = example.choose_features(flows.manifest["schema"]["columns"])
    all_flows = example.read_flows(flows.root, flows.manifest, features, 0)
    some = example.read_flows(flows.root, flows.manifest, features, 10)
    for (device,), chosen in some.group_by("deviceName", maintain_order=True):
        starts = all_flows.filter(pl.col("deviceName") == device)["start"]
        assert starts.is_sorted()
        expected = [starts[number * len(starts) // 10] for number in range(10)] if len(starts) > 10 else list(starts)
        assert chosen["start"].to_list() == expected


def test_nulls_stay_nulls(flows: Lake, example: ModuleType) -> None:
    features, _ = example.choose_features(flows.manifest["schema"]["columns"])
    read = example.read_flows(flows.root, flows.manifest, features, 0)
    names = [column["name"] for column in features]
    selected = ", ".join(f'count(*) - count("{name}")' for name in names)
    with duckdb.connect() as connection:
        expected = connection.execute(f"SELECT {selected} FROM {flows.duckdb_source()}").fetchone()
    assert read.select(names).null_count().row(0) == expected
    assert sum(expected) > 0
    rows = example.table(read, ["averageInterarrivalTime", "flowEndReason"])
    assert sum(value != value for value in rows[:, 0]) == read["averageInterarrivalTime"].null_count()


def test_a_name_in_other_words_is_no_feature(example: ModuleType) -> None:
    flows = pl.DataFrame(
        {
            "deviceName": ["a", "a", "b", "b"],
            "serial": ["x1", "x1", "x2", "x2"],
            "modelNumber": [1.0, 1.0, None, None],
            "constant": [0.0, 0.0, 0.0, 0.0],
            "bytes": [1.0, 2.0, 1.0, 1.0],
        }
    )
    found = example.give_away(flows, ["serial", "modelNumber", "constant", "bytes"])
    assert found.keys() == {"serial", "modelNumber", "constant"}
    assert "one value" in found["constant"]


def test_a_class_that_is_in_one_part_only_is_said(flows: Lake, tmp_path: Path) -> None:
    def keep(file: dict[str, Any]) -> bool:
        months = {"doorLock": ["2019-10"], "plug": ["2019-07"], "tv": ["2019-07", "2019-10"]}
        return file["month"] in months.get(file["deviceClass"], [])

    root = part_of_lake(flows, tmp_path / "lake", keep)
    rows: Counter[str] = Counter()
    for file in filter(keep, flows.manifest["files"]):
        rows[file["month"]] += file["rows"]
    # Training takes July to its last flow, and nothing of October.
    share = ("--train-share", str((rows["2019-07"] - 0.5) / rows.total()))
    result = learnt(root, "--target", "deviceClass", *share)
    shown = result["targets"]["deviceClass"]
    assert shown["onlyInTest"] == ["doorLock"]
    assert shown["onlyInTraining"] == ["plug"]
    assert shown["labels"] == ["doorLock", "plug", "tv"]
    matrix = shown["confusionMatrix"]
    # Nothing was taken for what was never seen, and nothing is of what is not there.
    assert [row[0] for row in matrix] == [0, 0, 0]
    assert matrix[1] == [0, 0, 0]
    assert sum(matrix[0]) > 0
    # What is not there has no share in the mean, even where flows are taken for it.
    assert matrix[0][1] + matrix[2][1] > 0
    assert shown["macroF1"] == pytest.approx(macro_f1(matrix))
    text = run(root, "--target", "deviceClass", *share).stdout
    assert "only in the test part, so never recognised and F1 0: doorLock" in text
    assert "only in the training part, so not in macro F1: plug" in text


def test_no_lake(tmp_path: Path) -> None:
    assert "has no manifest.json" in refused(tmp_path)
    (tmp_path / "manifest.json").write_text("{}")
    assert "no manifest of a lake" in refused(tmp_path)


def test_a_file_that_is_gone(flows: Lake, tmp_path: Path) -> None:
    root = part_of_lake(flows, tmp_path / "lake", lambda file: file["deviceClass"] == "light")
    next((root / "data").rglob("xiaomiMijiaLed-*.parquet")).unlink()
    assert "the files of xiaomiMijiaLed cannot be read" in refused(root)


def test_one_class_has_nothing_to_be_told_from(flows: Lake, tmp_path: Path) -> None:
    root = part_of_lake(flows, tmp_path / "lake", lambda file: file["deviceClass"] == "light")
    assert "deviceClass: the training part has light alone" in refused(root)
    assert learnt(root, "--target", "deviceName")["targets"]["deviceName"]["accuracy"] > 0


def test_one_day_cannot_be_split(flows: Lake, tmp_path: Path, example: ModuleType) -> None:
    with pytest.raises(example.Unusable, match="1 day"):
        example.split_by_day(pl.Series([date(2019, 7, 1)] * 5), 0.7)
    root = part_of_lake(flows, tmp_path / "lake", lambda file: file["month"] == "2019-07")
    for path in (root / "data").rglob("*.parquet"):
        day = pl.read_parquet(path, hive_partitioning=False).filter(
            pl.col("flowStartMillisecondsDate") == date(2019, 7, 10)
        )
        day.write_parquet(path)
    assert "all flows are of 1 day" in refused(root)


def test_no_feature(flows: Lake, tmp_path: Path) -> None:
    root = part_of_lake(flows, tmp_path / "lake", lambda file: file["deviceClass"] == "light")
    manifest = json.loads((root / "manifest.json").read_text())
    for column in manifest["schema"]["columns"]:
        column["role"] = "identifier"
    (root / "manifest.json").write_text(json.dumps(manifest))
    assert "no column to learn from" in refused(root)


@pytest.mark.parametrize(
    "argument", [("--train-share", "1"), ("--max-flows-per-device", "-1"), ("--seed", "-1"), ("--target", "month")]
)
def test_wrong_arguments(
    tmp_path: Path, example: ModuleType, capsys: pytest.CaptureFixture[str], argument: tuple[str, str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        example.arguments([str(tmp_path), *argument])
    assert ended.value.code == 2
    assert argument[0] in capsys.readouterr().err
