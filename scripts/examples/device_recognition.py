#!/usr/bin/env python3
"""Recognises devices by their flows: a random forest on a lake, as an example of training without leakage.

    pip install polars scikit-learn
    python device_recognition.py LAKE

LAKE is the directory of a lake of the recipe `flows`, `encoded` or `full`; `flowlake demo` makes one. A forest learns
the class of the device (deviceClass), another one the device (deviceName), each from single flows. What is done so that
the figures mean something:

- Columns are chosen by their roles in manifest.json: features only. Identifiers, times and targets stay out, and so do
  the features that LEFT_OUT names, with reasons. What never varies in the training part is left out too; and what
  varies between devices but never within one, for that is a device's name in other words.
- Training and test are whole days, and all days of training come before those of the test. No day is in both.
- Categories of text are learnt from the training part alone. A null is not 0: it stays null, which the trees know.
- Beside the accuracy stands that of always answering the most frequent class of the training part.

Of each device at most --max-flows-per-device flows are used, evenly over time, so that one busy device does not drown
the others; the shares of classes are then not those of the network. Ports of the other end (serverTransportPort) stay
in: they say which service a device uses. Whoever doubts the split runs it with --permute-labels.

The same lake and arguments give the same output. Exit code 2 says that nothing could be learnt, and why.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

try:
    import numpy as np
    import polars as pl
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.metrics import confusion_matrix, f1_score
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder
except ImportError as error:
    print(f"error: {error}\nhint: pip install polars scikit-learn", file=sys.stderr)
    raise SystemExit(2) from None

TARGETS = ("deviceClass", "deviceName")
TREES = 100
# Columns that are features by their role, and would all the same tell what a model is to find out, or only when.
LEFT_OUT = {
    r"Address$": "an address: it names the device, or its network",
    r"^(IoT|source)TransportPort$": "chosen anew for each connection, at random or by a counter, which tells time",
    r"SequenceNumber$": "drawn at random for each connection",
    r"^flow(Start|End)(Month|Day|Hour|Minute|Second|Millisecond)$": "a time: days of the test are not in the training",
    r"^(ingressInterface|egressInterface|vlanId|collectorName|observationDomainId)$": "where the flow was observed",
}
# Text with more values than this is no category; the rarer ones count as one.
MOST_CATEGORIES = 32
# Of deviceName there are too many pairs to show all.
SHOWN_CONFUSIONS = 10
WIDEST_MATRIX = 12
SHOWN_FEATURES = 10


class Unusable(Exception):
    """Nothing can be learnt from this lake in this way."""


@dataclass(frozen=True)
class Split:
    """Whole days, those of training before those of the test."""

    train_days: list[date]
    test_days: list[date]


def read_manifest(lake: Path) -> dict[str, Any]:
    path = lake / "manifest.json"
    try:
        manifest = json.loads(path.read_text())
        columns, files = manifest["schema"]["columns"], manifest["files"]
    except FileNotFoundError:
        raise Unusable(f"{lake} is no lake: it has no manifest.json") from None
    except OSError as error:
        raise Unusable(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise Unusable(f"{path} is no manifest of a lake") from None
    if not columns or not files:
        raise Unusable(f"{lake} is empty: its manifest lists no files")
    return manifest


def choose_features(columns: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """The columns to learn from, by role and by LEFT_OUT; and why the others are not."""
    kept, left_out = [], {}
    for column in columns:
        name = column["name"]
        reason = next((reason for pattern, reason in LEFT_OUT.items() if re.search(pattern, name)), None)
        if column["role"] != "feature":
            left_out[name] = f"role {column['role']}"
        elif reason:
            left_out[name] = reason
        else:
            kept.append(column)
    if not kept:
        raise Unusable("the manifest has no column to learn from")
    return kept, left_out


def start_of(columns: set[str], month: str) -> pl.Expr:
    """When a flow started. The recipe `encoded` has that in numbers, and the year in the directory's month alone."""
    if "flowStartMilliseconds" in columns:
        return pl.col("flowStartMilliseconds").dt.replace_time_zone(None)
    parts = [f"flowStart{part}" for part in ("Day", "Hour", "Minute", "Second", "Millisecond")]
    if missing := [part for part in parts if part not in columns]:
        raise Unusable(f"the lake has neither flowStartMilliseconds nor {missing[0]}: flows cannot be put in order")
    year, number = map(int, month.split("-"))
    day, hour, minute, second, millisecond = map(pl.col, parts)
    return pl.datetime(year, number, day, hour, minute, second, millisecond.cast(pl.Int64) * 1000, time_unit="us")


def evenly(rows: int, limit: int) -> list[int]:
    """Places of at most as many rows as the limit says, evenly over all; no limit is 0."""
    if limit == 0 or rows <= limit:
        return list(range(rows))
    return [number * rows // limit for number in range(limit)]


def read_device(
    lake: Path, files: list[dict[str, Any]], names: list[str], columns: set[str], limit: int
) -> pl.DataFrame:
    """Flows of a device in order of time. First the times alone are read, then the features of the flows chosen."""
    scans = [
        pl.scan_parquet(lake / file["path"], hive_partitioning=False, glob=False, row_index_name="row")
        for file in files
    ]
    if "direction" in columns:
        # Of the recipe `full`. Flows that others started say more about those.
        scans = [scan.filter(pl.col("direction") == "fromDevice") for scan in scans]
    starts = [start_of(columns, file["month"]).cast(pl.Datetime("ms")).alias("start") for file in files]
    order = pl.concat(
        scan.select(pl.lit(number).alias("file"), "row", start).collect()
        for number, (scan, start) in enumerate(zip(scans, starts, strict=True))
    ).sort("start", "file", "row")
    chosen = order[evenly(order.height, limit)]
    read = []
    for number, scan in enumerate(scans):
        rows = chosen.filter(pl.col("file") == number)["row"]
        wanted = scan.filter(pl.col("row").is_in(rows.implode())) if chosen.height < order.height else scan
        read.append(wanted.select(pl.lit(number).alias("file"), "row", *names).collect())
    return chosen.join(pl.concat(read), on=["file", "row"], how="left", maintain_order="left", validate="1:1")


def read_flows(lake: Path, manifest: dict[str, Any], features: list[dict[str, Any]], limit: int) -> pl.DataFrame:
    """Flows of every device with the columns chosen, and the two targets, which the manifest knows of each file."""
    columns = {column["name"] for column in manifest["schema"]["columns"]}
    names = [column["name"] for column in features]
    numbers = [column["name"] for column in features if column["type"] != "string"]
    devices: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for file in manifest["files"]:
        devices.setdefault((file["deviceName"], file["deviceClass"]), []).append(file)
    flows = []
    for (device, device_class), files in sorted(devices.items()):
        try:
            read = read_device(lake, files, names, columns, limit)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise Unusable(f"the files of {device} cannot be read: {error}") from None
        flows.append(
            read.select(
                "start", pl.lit(device).alias("deviceName"), pl.lit(device_class).alias("deviceClass"), pl.col(names)
            )
        )
    return pl.concat(flows).with_columns(pl.col("start").dt.date().alias("day"), pl.col(numbers).cast(pl.Float64))


def split_by_day(days: pl.Series, share: float) -> Split:
    """The first days that have at least a share of the flows, and the others; each part has a day at least."""
    counts = pl.DataFrame({"day": days}).group_by("day").len().sort("day")
    if counts.height < 2:
        raise Unusable(f"all flows are of {counts.height} day: there is nothing to test on that is later")
    enough = (counts["len"].cum_sum() >= share * counts["len"].sum()).arg_max() or 0
    kept = min(enough + 1, counts.height - 1)
    ordered = counts["day"].to_list()
    return Split(ordered[:kept], ordered[kept:])


def give_away(train: pl.DataFrame, names: list[str]) -> dict[str, str]:
    """Columns that say nothing about a flow, as the training part has them: constants, and names in other words."""
    found = {}
    within = train.group_by("deviceName").agg(pl.col(names).n_unique()).select(pl.col(names).max()).row(0, named=True)
    overall = train.select(pl.col(names).n_unique()).row(0, named=True)
    for name in names:
        if overall[name] == 1:
            found[name] = "has one value in the training part"
        elif within[name] == 1:
            found[name] = "varies between devices and never within one: a device's name in other words"
    return found


def learn(
    target: str, train: pl.DataFrame, test: pl.DataFrame, names: list[str], texts: list[str], seed: int
) -> dict[str, Any]:
    """A forest for a target, and what it is worth on later days."""
    in_train, in_test = train[target].to_numpy(), test[target].to_numpy()
    labels, counts = np.unique(in_train, return_counts=True)
    if len(labels) < 2:
        raise Unusable(f"{target}: the training part has {labels[0]} alone, and nothing to tell it from")
    model = Pipeline(
        [
            (
                "columns",
                ColumnTransformer(
                    # What is only in the test part is none of the categories.
                    [
                        (
                            "text",
                            OneHotEncoder(handle_unknown="ignore", max_categories=MOST_CATEGORIES, sparse_output=False),
                            [names.index(name) for name in texts],
                        )
                    ],
                    remainder="passthrough",
                ),
            ),
            ("forest", RandomForestClassifier(TREES, random_state=seed, n_jobs=-1)),
        ]
    )
    model.fit(table(train, names), in_train)
    forest = model.named_steps["forest"]
    # Threads add up votes in any order, and sums of fractions depend on it: one thread, one answer.
    forest.set_params(n_jobs=1)
    said = model.predict(table(test, names))
    guess = labels[counts.argmax()]
    shown = sorted({*in_train, *in_test})
    # A class without a flow in the test part cannot be found there, and has no share in the mean.
    present = sorted({*in_test})

    def macro_f1(answers: Any) -> float:
        return float(f1_score(in_test, answers, labels=present, average="macro", zero_division=0))

    return {
        "accuracy": float((said == in_test).mean()),
        "macroF1": macro_f1(said),
        "baseline": {
            "label": str(guess),
            "accuracy": float((in_test == guess).mean()),
            "macroF1": macro_f1(np.full_like(in_test, guess)),
        },
        "labels": shown,
        # A row what flows are, a column what the forest took them for.
        "confusionMatrix": confusion_matrix(in_test, said, labels=shown).tolist(),
        "onlyInTest": sorted({*in_test} - {*in_train}),
        "onlyInTraining": sorted({*in_train} - {*in_test}),
        "importances": importances(model, names, texts),
    }


def table(flows: pl.DataFrame, names: list[str]) -> Any:
    """Flows for scikit-learn: a null is None in text, and NaN in numbers."""
    rows = np.empty((flows.height, len(names)), dtype=object)
    for number, name in enumerate(names):
        column = flows[name]
        rows[:, number] = column.to_list() if column.dtype == pl.String else column.to_numpy()
    return rows


def importances(model: Pipeline, names: list[str], texts: list[str]) -> dict[str, float]:
    """How much of the impurity each column took away, all categories of a text together; the largest first."""
    made = model.named_steps["columns"].get_feature_names_out(names)
    found = dict.fromkeys(names, 0.0)
    for name, importance in zip(made, model.named_steps["forest"].feature_importances_, strict=True):
        kind, _, column = name.partition("__")
        if kind == "text":
            column = max((text for text in texts if column.startswith(f"{text}_")), key=len)
        found[column] += float(importance)
    return dict(sorted(found.items(), key=lambda entry: (-entry[1], entry[0])))


def run(options: argparse.Namespace) -> dict[str, Any]:
    manifest = read_manifest(options.lake)
    features, left_out = choose_features(manifest["schema"]["columns"])
    flows = read_flows(options.lake, manifest, features, options.max_flows_per_device)
    targets = list(TARGETS) if options.target == "both" else [options.target]
    if options.permute_labels:
        order = np.random.default_rng(options.seed).permutation(flows.height)
        flows = flows.with_columns(flows.select(pl.col(TARGETS).gather(order)))
    split = split_by_day(flows["day"], options.train_share)
    first_test = split.test_days[0]
    train, test = flows.filter(pl.col("day") < first_test), flows.filter(pl.col("day") >= first_test)
    names = [column["name"] for column in features]
    given_away = give_away(train, names)
    left_out |= given_away
    names = [name for name in names if name not in given_away]
    if not names:
        raise Unusable("no column varies in the training part")
    texts = [name for name in names if train[name].dtype == pl.String]
    return {
        "dataset": manifest["dataset"]["name"],
        "recipe": manifest["recipe"]["name"],
        "flows": {"inLake": manifest["totals"]["rows"], "used": flows.height},
        "train": part(split.train_days, train),
        "test": part(split.test_days, test),
        "features": names,
        "leftOut": left_out,
        "targets": {target: learn(target, train, test, names, texts, options.seed) for target in targets},
    }


def part(days: list[date], flows: pl.DataFrame) -> dict[str, Any]:
    return {"first": str(days[0]), "last": str(days[-1]), "days": len(days), "flows": flows.height}


def show(result: dict[str, Any]) -> str:
    """The result for people."""
    flows = result["flows"]
    lines = [
        f"{result['dataset']}, recipe {result['recipe']}: {flows['used']:,} of {flows['inLake']:,} flows",
        *(
            f"{name:5} {part['first']} to {part['last']}: {part['days']} days, {part['flows']:,} flows"
            for name, part in (("train", result["train"]), ("test", result["test"]))
        ),
        "",
        f"{len(result['features'])} features: {', '.join(result['features'])}",
        "",
        "left out",
        *(f"  {name:32} {reason}" for name, reason in result["leftOut"].items()),
    ]
    for target, learnt in result["targets"].items():
        baseline = learnt["baseline"]
        lines += [
            "",
            f"== {target}",
            f"{'':28} accuracy  macro F1",
            f"{'random forest':28} {learnt['accuracy']:8.3f}  {learnt['macroF1']:8.3f}",
            f"{'always ' + baseline['label']:28} {baseline['accuracy']:8.3f}  {baseline['macroF1']:8.3f}",
            "",
            *show_matrix(learnt["labels"], learnt["confusionMatrix"]),
        ]
        for names, text in (
            (learnt["onlyInTest"], "only in the test part, so never recognised and F1 0"),
            (learnt["onlyInTraining"], "only in the training part, so not in macro F1"),
        ):
            if names:
                lines += ["", f"{text}: {', '.join(names)}"]
        lines += ["", "features that told most (impurity; favours those with many values)"]
        lines += [f"  {share:.3f}  {name}" for name, share in list(learnt["importances"].items())[:SHOWN_FEATURES]]
    return "\n".join(lines)


def show_matrix(labels: list[str], matrix: list[list[int]]) -> list[str]:
    """What flows are in rows, what they were taken for in columns; of many classes only what was mistaken most."""
    width = max(map(len, labels))
    if len(labels) <= WIDEST_MATRIX:
        cell = max(4, len(str(max(map(max, matrix)))))
        head = " ".join(f"{number:>{cell}}" for number in range(1, len(labels) + 1))
        rows = [
            f"{number:3} {label:{width}} {' '.join(f'{count:>{cell}}' for count in row)}"
            for number, (label, row) in enumerate(zip(labels, matrix, strict=True), 1)
        ]
        return [f"confusion matrix: is in rows, taken for in columns\n{'':{width + 4}} {head}", *rows]
    pairs = [
        (count, labels[row], labels[column])
        for row, counts in enumerate(matrix)
        for column, count in enumerate(counts)
        if count and row != column
    ]
    pairs.sort(key=lambda pair: (-pair[0], *pair[1:]))
    right = sum(matrix[number][number] for number in range(len(labels)))
    return [
        f"{right:,} flows recognised, {sum(pair[0] for pair in pairs):,} mistaken; most often (--json has all):",
        *(f"{count:8,}  {is_it:{width}}  taken for {taken}" for count, is_it, taken in pairs[:SHOWN_CONFUSIONS]),
    ]


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Recognises devices by their flows: a random forest on a lake of flowlake.",
        epilog="Needs polars and scikit-learn 1.4 or newer.",
    )
    parser.add_argument("lake", type=Path, metavar="LAKE", help="directory of a lake")
    parser.add_argument("--target", choices=[*TARGETS, "both"], default="both", help="what to learn [default: both]")
    parser.add_argument(
        "--max-flows-per-device",
        type=int,
        default=5000,
        metavar="N",
        help="use at most so many flows of each device, evenly over time; 0 for all [default: 5000]",
    )
    parser.add_argument(
        "--train-share",
        type=float,
        default=0.7,
        metavar="F",
        help="train on the first days that have this share of the flows [default: 0.7]",
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the forest [default: 1]")
    parser.add_argument(
        "--permute-labels",
        action="store_true",
        help="shuffle the targets over all flows first: a sound split leaves no more than the baseline",
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    options = parser.parse_args(given)
    if options.max_flows_per_device < 0:
        parser.error("--max-flows-per-device must not be below 0")
    if not 0 < options.train_share < 1:
        parser.error("--train-share must be between 0 and 1")
    if not 0 <= options.seed < 2**32:
        parser.error("--seed must be from 0 to 4294967295")
    return options


def main() -> int:
    options = arguments()
    try:
        result = run(options)
    except Unusable as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    try:
        print(json.dumps(result, indent=1) if options.json else show(result), flush=True)
    except BrokenPipeError:
        # Whoever read, as in `| head`, has read enough. Python would complain when it closes the output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


if __name__ == "__main__":
    sys.exit(main())
