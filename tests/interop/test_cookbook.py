"""docs/reading.md does what it says: every block on it is run, and the answers of its cookbook are right.

Each question there is answered in DuckDB and in Polars. The two know nothing of each other, so they must agree row by
row; and each answer is recomputed in plain Python from the rows that pyarrow reads from the files of the manifest.
"""

from __future__ import annotations

import ipaddress
import json
import math
import subprocess
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import lakes
from cookbook import Block, Reader, Row, java_is_missing, read_blocks, slug

PAGE = lakes.REPOSITORY / "docs" / "reading.md"
BLOCKS = read_blocks(PAGE.read_text())
COOKBOOK = [block for block in BLOCKS if block.section == "Cookbook" and block.question]
QUESTIONS = list(dict.fromkeys(block.question for block in COOKBOOK))


def is_query(block: Block) -> bool:
    return block.engine == "sh" and block.code.startswith("flowlake query ")


def answers_in(question: str, engine: str) -> list[Block]:
    return [block for block in COOKBOOK if block.question == question and block.engine == engine]


def by_name(block: Block) -> str:
    return block.name


PAIRS = [
    pytest.param(left, right, id=left.name.replace("-duckdb", ""))
    for question in QUESTIONS
    for left, right in zip(answers_in(question, "duckdb"), answers_in(question, "polars"), strict=False)
]
QUERIES = [
    pytest.param(answers_in(block.question, "duckdb")[0], block, id=block.name) for block in COOKBOOK if is_query(block)
]


@dataclass
class Sample:
    """The lake of the page, read without any engine of the page."""

    root: Path
    manifest: dict[str, Any]
    rows: list[Row]

    def counts(self, *names: str) -> Counter[tuple]:
        """Flows by the columns of these names."""
        return Counter(tuple(row[name] for name in names) for row in self.rows)


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """A lake of every device, class and month. Its seed is one with flows that run on from one part to the next."""
    directory = tmp_path_factory.mktemp("cookbook")
    dumps, root = directory / "dumps", directory / "lake"
    lakes.run("sample", "--scale", "0.001", "--seed", "4", "--output", dumps)
    lakes.run("build", "--config", dumps / "catalogue.toml", "--input", dumps, "--output", root)
    manifest = json.loads((root / "manifest.json").read_text())
    rows = []
    for file in manifest["files"]:
        place = {"month": file["month"], "deviceClass": file["deviceClass"]}
        rows += [row | place for row in pq.read_table(root / file["path"], partitioning=None).to_pylist()]
    return Sample(root, manifest, rows)


@pytest.fixture(scope="session")
def reader(sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> Reader:
    directory = tmp_path_factory.mktemp("reader")
    (directory / "lake").symlink_to(sample.root)
    return Reader(directory, lakes.binary(), BLOCKS)


def rows_of(reader: Reader, block: Block) -> list[Row]:
    """The rows a block answers with."""
    outcome = reader.outcome(block)
    assert outcome.error is None, f"{PAGE.name}, line {block.line}\n{outcome.error}"
    assert outcome.rows, f"{PAGE.name}, line {block.line}: no rows"
    return outcome.rows


def assert_same(left: list[Row], right: list[Row]) -> None:
    """Row by row, in order, by names of columns. Only of floating-point numbers may the last digits differ."""
    if left != right:
        assert left == [{name: approximately(value) for name, value in row.items()} for row in right]


def approximately(value: Any) -> Any:
    return pytest.approx(value, rel=1e-9) if isinstance(value, float) else value


def ordered(block: Block, rows: list[Row]) -> list[Row]:
    """The rows in the order the block asks for; if it asks for none, in one that both engines have."""
    if "ORDER BY" in block.code.rsplit(";", 2)[-2]:
        return rows
    return sorted(rows, key=lambda row: repr(list(row.values())))


@pytest.mark.parametrize("block", BLOCKS, ids=by_name)
def test_cookbook(block: Block, reader: Reader):
    """Each block of the page runs as it stands there."""
    assert block.engine is not None, f"{PAGE.name}, line {block.line}: nobody knows how to run `{block.language}`"
    if block.engine == "spark" and (reason := java_is_missing()):
        pytest.skip(reason)
    outcome = reader.outcome(block)
    assert outcome.error is None, f"{PAGE.name}, line {block.line}\n{outcome.error}"
    if outcome.rows is not None:
        assert outcome.rows, f"{PAGE.name}, line {block.line}: no rows"
    if block.engine == "sh" and block.code.startswith("flowlake "):
        assert outcome.printed or "--output" in block.code, f"{PAGE.name}, line {block.line}: nothing printed"


def test_every_question_is_asked_of_both_engines_and_has_an_oracle():
    assert {question: len(answers_in(question, "duckdb")) for question in QUESTIONS} == {
        question: len(answers_in(question, "polars")) for question in QUESTIONS
    }
    assert all(answers_in(question, "duckdb") for question in QUESTIONS)
    assert list(ORACLES) == QUESTIONS
    assert len(QUERIES) >= 5


@pytest.mark.parametrize(("in_duckdb", "in_polars"), PAIRS)
def test_duckdb_and_polars_agree(in_duckdb: Block, in_polars: Block, reader: Reader):
    left, right = rows_of(reader, in_duckdb), rows_of(reader, in_polars)
    assert_same(ordered(in_duckdb, left), ordered(in_duckdb, right))


@pytest.mark.parametrize(("in_duckdb", "query"), QUERIES)
def test_flowlake_query_agrees(in_duckdb: Block, query: Block, reader: Reader):
    lines = reader.shell(query.code + " --format ndjson").splitlines()
    assert_same(rows_of(reader, in_duckdb), [json.loads(line) for line in lines])


# What the page says of the SQL of `flowlake query`, beside its snippets.

NOON = datetime(2019, 7, 29, 12, tzinfo=UTC)


def asked(sample: Sample, sql: str) -> subprocess.CompletedProcess[str]:
    command = [lakes.binary(), "query", sample.root, sql, "--format", "ndjson"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("moment", "begin"),
    [
        ("'2019-07-29 12:00:00'", NOON),
        ("TIMESTAMP '2019-07-29 12:00:00'", NOON),
        ("'2019-07-29T12:00:00Z'", NOON),
        ("'2019-07-29T21:00:00+09:00'", NOON),
        ("TIMESTAMPTZ '2019-07-29 12:00:00+00'", NOON),
        ("DATE '2019-07-29'", NOON.replace(hour=0)),
    ],
)
def test_flowlake_query_takes_times_in_utc(moment: str, begin: datetime, sample: Sample):
    found = asked(sample, f"SELECT COUNT(*) AS flows FROM flows WHERE flowStartMilliseconds >= {moment}")
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout) == {"flows": sum(row["flowStartMilliseconds"] >= begin for row in sample.rows)}


def test_flowlake_query_divides_whole_numbers(sample: Sample):
    sql = "SELECT 7 / 2 AS a, SUM(100.0 * 7 / 2) AS b, CAST(7 AS DOUBLE) / 2 AS c FROM flows"
    found = asked(sample, sql)
    assert json.loads(found.stdout) == {"a": 3, "b": 350.0 * len(sample.rows), "c": 3.5}, found.stderr


def test_flowlake_query_has_nulls_first(sample: Sample):
    values = "(VALUES (1), (NULL), (2)) AS t (x)"
    for order, expected in {"DESC": [None, 2, 1], "DESC NULLS LAST": [2, 1, None]}.items():
        found = asked(sample, f"SELECT x FROM {values} ORDER BY x {order}")
        assert [json.loads(line)["x"] for line in found.stdout.splitlines()] == expected, found.stderr


def test_flowlake_query_names_columns_after_their_expression(sample: Sample):
    assert json.loads(asked(sample, "SELECT COUNT(*) FROM flows").stdout) == {"count(*)": len(sample.rows)}


@pytest.mark.parametrize(
    ("sql", "marked"),
    [
        ("SELECT devicename FROM flows", "       ^^^^^^^^^^"),
        ("SELECT deviceName FROM flows WHERE flowStartMilliseconds > '2019-07-29 12:00'", None),
        ("SELECT deviceClass, deviceName, COUNT(*) AS n FROM flows GROUP BY deviceClass", " " * 20 + "^" * 10),
    ],
)
def test_flowlake_query_quotes_what_is_wrong(sql: str, marked: str | None, sample: Sample):
    found = asked(sample, sql)
    assert (found.returncode, found.stdout) == (2, "")
    assert f"  1 | {sql}\n" in found.stderr
    assert marked is None or f"\n    | {marked}\n" in found.stderr, found.stderr


def test_flowlake_query_adds_in_64_bits(sample: Sample):
    case = "CASE WHEN octetTotalCount > 0 THEN 2000000000 ELSE 0 END"
    sql = f"SELECT SUM({case}) AS total, 1000000 * COUNT(*) AS flows FROM flows"
    found = asked(sample, sql)
    assert found.returncode == 0, found.stderr
    sent = sum(row["octetTotalCount"] > 0 for row in sample.rows)
    assert json.loads(found.stdout) == {"total": 2_000_000_000 * sent, "flows": 1_000_000 * len(sample.rows)}


# What the sections before the cookbook must answer, by plain Python.


def speakers(sample: Sample, month: str | None = "2019-07") -> list[Row]:
    return [row for row in sample.rows if row["deviceClass"] == "smartSpeaker" and month in (None, row["month"])]


def by_hour(rows: list[Row]) -> list[Row]:
    flows = Counter(row["flowStartMilliseconds"].hour for row in rows)
    return [{"hour": hour, "flows": flows[hour]} for hour in sorted(flows)]


def speaker_services(sample: Sample) -> list[Row]:
    flows = Counter(row["serviceType"] for row in speakers(sample))
    octets: Counter[str] = Counter()
    for row in speakers(sample):
        octets[row["serviceType"]] += both_ways(row)
    services = sorted(flows, key=lambda service: (-flows[service], service))
    return [{"serviceType": service, "flows": flows[service], "bytes": octets[service]} for service in services]


def speaker_devices(sample: Sample) -> list[Row]:
    octets: Counter[str] = Counter()
    for row in speakers(sample):
        octets[row["deviceName"]] += row["octetTotalCount"]
    return [{"deviceName": name, "octetTotalCount": octets[name]} for name in sorted(octets)]


def speaker_hours_unanswered(sample: Sample) -> list[Row]:
    silent = Counter(
        row["flowStartMilliseconds"].hour for row in speakers(sample) if row["reversePacketTotalCount"] == 0
    )
    return [row | {"unanswered": silent[row["hour"]]} for row in by_hour(speakers(sample))]


def medians(sample: Sample) -> list[Row]:
    durations: dict[str, list[int]] = defaultdict(list)
    for row in sample.rows:
        if row["month"] == "2019-07":
            durations[row["deviceClass"]].append(row["flowDurationMilliseconds"])
    return [
        {"deviceClass": name, "median": sorted(values)[len(values) // 2]} for name, values in sorted(durations.items())
    ]


def classes_unanswered(sample: Sample) -> list[Row]:
    silent = Counter(row["deviceClass"] for row in sample.rows if row["reversePacketTotalCount"] == 0)
    return [
        {"deviceClass": name, "flows": flows, "unanswered": silent[name] / flows}
        for (name,), flows in sorted(sample.counts("deviceClass").items())
    ]


FIRST_ANSWERS: dict[str, Callable[[Sample], list[Row]]] = {
    "duckdb": speaker_services,
    "polars": lambda sample: by_hour(speakers(sample, None)),
    "pandas-and-pyarrow-pandas": speaker_devices,
    "clickhouse": speaker_hours_unanswered,
    "clickhouse-2": medians,
    "spark": classes_unanswered,
    "spark-2": lambda sample: by_hour(speakers(sample)),
    "exactly-the-files-of-the-manifest-duckdb": lambda sample: [{"flows": len(sample.rows)}],
}


@pytest.mark.parametrize("name", FIRST_ANSWERS)
def test_the_first_answer_of_each_engine_is_right(name: str, sample: Sample, reader: Reader):
    (block,) = [block for block in BLOCKS if block.name == name]
    if block.engine == "spark" and (reason := java_is_missing()):
        pytest.skip(reason)
    assert_same(rows_of(reader, block), FIRST_ANSWERS[name](sample))


# Every row of July, or every one there is, whatever reads it.
ROWS_READ = {
    "pandas-and-pyarrow-pyarrow": speakers,
    "exactly-the-files-of-the-manifest-polars": lambda sample: sample.rows,
    "exports-duckdb": lambda sample: [row for row in sample.rows if row["month"] == "2019-07"],
    "exports-polars": lambda sample: [row for row in sample.rows if row["month"] == "2019-07"],
    "exports-pyarrow": lambda sample: [
        row for row in sample.rows if (row["month"], row["deviceName"]) == ("2019-07", "sonyBravia")
    ],
}


@pytest.mark.parametrize("name", ROWS_READ)
def test_a_snippet_that_reads_rows_reads_them_all(name: str, sample: Sample, reader: Reader):
    (block,) = [block for block in BLOCKS if block.name == name]
    found = rows_of(reader, block)
    columns = ["deviceName", "octetTotalCount"]
    assert Counter(tuple(row[column] for column in columns) for row in found) == Counter(
        tuple(row[column] for column in columns) for row in ROWS_READ[name](sample)
    )


# What each question's snippets must answer, by plain Python.


def both_ways(row: Row) -> int:
    return row["octetTotalCount"] + row["reverseOctetTotalCount"]


def by_key(rows: list[Row], *names: str) -> dict[tuple, Row]:
    """Rows of an answer by the columns that tell them apart, which they must."""
    keyed = {tuple(row[name] for name in names): row for row in rows}
    assert len(keyed) == len(rows)
    return keyed


def one_device(sample: Sample, answers: list[list[Row]]) -> None:
    files = [file for file in sample.manifest["files"] if file["deviceName"] == "sonyBravia"]
    flows: Counter[str] = Counter()
    for file in files:
        flows[file["month"]] += file["rows"]
    sent: Counter[str] = Counter()
    received: Counter[str] = Counter()
    for row in sample.rows:
        if row["deviceName"] == "sonyBravia":
            sent[row["month"]] += row["octetTotalCount"]
            received[row["month"]] += row["reverseOctetTotalCount"]
    assert answers[0] == [
        {"month": month, "flows": flows[month], "sent": sent[month], "received": received[month]}
        for month in sorted(flows)
    ]


def one_class(sample: Sample, answers: list[list[Row]]) -> None:
    chosen = [row for row in sample.rows if (row["deviceClass"], row["month"]) == ("networkCamera", "2019-08")]
    services = Counter((row["deviceName"], row["serviceType"]) for row in chosen)
    found = by_key(answers[0], "deviceName", "serviceType")
    assert {key: row["flows"] for key, row in found.items()} == services
    assert sum(row["bytes"] for row in answers[0]) == sum(map(both_ways, chosen))
    listed: Counter[str] = Counter()
    for file in sample.manifest["files"]:
        if (file["deviceClass"], file["month"]) == ("networkCamera", "2019-08"):
            listed[file["deviceName"]] += file["rows"]
    devices: Counter[str] = Counter()
    for (device, _), row in found.items():
        devices[device] += row["flows"]
    assert devices == listed


def one_week(sample: Sample, answers: list[list[Row]]) -> None:
    begin = datetime(2019, 7, 29, tzinfo=UTC)
    flows: Counter[str] = Counter()
    octets: Counter[str] = Counter()
    for row in sample.rows:
        if begin <= row["flowStartMilliseconds"] < begin + timedelta(days=7):
            day = row["flowStartMilliseconds"].date().isoformat()
            flows[day] += 1
            octets[day] += both_ways(row)
    assert len(flows) == 7
    assert answers[0] == [{"day": day, "flows": flows[day], "bytes": octets[day]} for day in sorted(flows)]


def hours(sample: Sample, answers: list[list[Row]]) -> None:
    flows: Counter[tuple] = Counter()
    octets: Counter[tuple] = Counter()
    local: dict[str, Counter[int]] = defaultdict(Counter)
    for row in sample.rows:
        hour = row["flowStartMilliseconds"].hour
        flows[row["deviceClass"], hour] += 1
        octets[row["deviceClass"], hour] += both_ways(row)
        # Japan has no summer time.
        local[row["deviceClass"]][(hour + 9) % 24] += both_ways(row)
    found = by_key(answers[0], "deviceClass", "hour")
    assert {key: (row["flows"], row["bytes"]) for key, row in found.items()} == {
        key: (flows[key], octets[key]) for key in flows
    }
    assert {row["deviceClass"]: (row["localHour"], row["bytes"]) for row in answers[1]} == {
        name: max(counted.items(), key=lambda item: (item[1], -item[0])) for name, counted in local.items()
    }


def services(sample: Sample, answers: list[list[Row]]) -> None:
    found = by_key(answers[0], "deviceClass", "serviceType")
    assert {key: row["flows"] for key, row in found.items()} == sample.counts("deviceClass", "serviceType")
    classes = sample.counts("deviceClass")
    for (name, _), row in found.items():
        assert row["percent"] == pytest.approx(100 * row["flows"] / classes[name,])


def servers(sample: Sample, answers: list[list[Row]]) -> None:
    # Made-up flows go to networks for documentation and benchmarks, which are no private ones here.
    home = "0.0.0.0/8 10.0.0.0/8 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.168.0.0/16 224.0.0.0/3 "
    networks = [ipaddress.ip_network(text) for text in (home + "::/127 fc00::/7 fe80::/10 ff00::/8").split()]
    inside = {
        text
        for text in {row["serverIPAddress"] for row in sample.rows}
        if any(ipaddress.ip_address(text) in network for network in networks)
    }
    assert {4, 6} <= {ipaddress.ip_address(text).version for text in inside}
    seen: dict[str, list[str]] = defaultdict(list)
    for row in sample.rows:
        if row["serverIPAddress"] not in inside:
            seen[row["deviceName"]].append(row["serverIPAddress"])
    expected = [
        {"deviceName": name, "servers": len(set(addresses)), "flows": len(addresses)}
        for name, addresses in seen.items()
    ]
    assert answers[0] == sorted(expected, key=lambda row: (-row["servers"], row["deviceName"]))


def quantile(values: list[int], share: float) -> float:
    """Between the two neighbours of the place, in proportion."""
    place = share * (len(values) - 1)
    below, above = values[math.floor(place)], values[math.ceil(place)]
    return below + (above - below) * (place - math.floor(place))


def tails(sample: Sample, answers: list[list[Row]]) -> None:
    found = by_key(answers[0], "deviceClass")
    durations: dict[str, list[int]] = defaultdict(list)
    for row in sample.rows:
        durations[row["deviceClass"]].append(row["flowDurationMilliseconds"])
    cut = Counter(row["deviceClass"] for row in sample.rows if row["flowEndReason"] == "active")
    assert found.keys() == {(name,) for name in durations}
    for name, values in durations.items():
        values.sort()
        row = found[name,]
        assert (row["flows"], row["longest"], row["cut"]) == (len(values), values[-1], cut[name])
        assert row["median"] == pytest.approx(quantile(values, 0.5))
        assert row["p90"] == pytest.approx(quantile(values, 0.9))
        assert row["p99"] == pytest.approx(quantile(values, 0.99))


def unanswered(sample: Sample, answers: list[list[Row]]) -> None:
    found = by_key(answers[0], "deviceClass")
    classes = sample.counts("deviceClass")
    assert found.keys() == classes.keys()
    for (name,), row in found.items():
        flows = [flow for flow in sample.rows if flow["deviceClass"] == name]
        silent = [flow for flow in flows if flow["reversePacketTotalCount"] == 0]
        # As the page says: who looks at the other reverse columns finds null and no 0.
        assert all(flow["reverseDataByteCount"] is None for flow in silent)
        assert row["flows"] == len(flows)
        assert row["unanswered"] == len(silent) > 0
        assert row["unansweredTcp"] == sum(flow["protocolName"] == "TCP" for flow in silent)
        assert row["percent"] == pytest.approx(100 * len(silent) / len(flows))
        octets = sum(flow["reverseOctetTotalCount"] for flow in flows)
        assert row["bytesPerAnswer"] == pytest.approx(octets / sum(flow["reversePacketTotalCount"] for flow in flows))


def split(sample: Sample, answers: list[list[Row]]) -> None:
    days = sorted({row["flowStartMilliseconds"].date() for row in sample.rows})
    names = ["train", "validation", "test"]
    assert [row["part"] for row in answers[0]] == names
    # Every day is in one part, and every flow: the ranges follow one another, and nothing is missing from the sums.
    assert sum(row["days"] for row in answers[0]) == len(days)
    assert sum(row["flows"] for row in answers[0]) == len(sample.rows)
    for earlier, later in zip(answers[0], answers[0][1:], strict=False):
        assert earlier["lastDay"] < later["firstDay"]
    for row, share in zip(answers[0], [0.7, 0.15, 0.15], strict=True):
        assert abs(row["days"] - share * len(days)) < 1
        flows = [
            flow
            for flow in sample.rows
            if row["firstDay"] <= flow["flowStartMilliseconds"].date().isoformat() <= row["lastDay"]
        ]
        late = [flow for flow in flows if flow["flowEndMilliseconds"].date().isoformat() > row["lastDay"]]
        devices = {flow["deviceName"] for flow in flows}
        assert (row["flows"], row["runOn"], row["devices"]) == (len(flows), len(late), len(devices))
    assert sum(row["runOn"] for row in answers[0]) > 0, "the sample has no flow that runs on: choose another seed"


def features(sample: Sample, answers: list[list[Row]]) -> None:
    columns = sample.manifest["schema"]["columns"]
    names = [column["name"] for column in columns if column["role"] == "feature"] + ["deviceClass"]
    others = {column["name"]: column["role"] for column in columns if column["role"] != "feature"}
    assert {"identifier", "time", "target"} == set(others.values())
    assert list(answers[0][0]) == names
    found = Counter(tuple(row.values()) for row in answers[0])
    assert found == sample.counts(*names)


def sampling(sample: Sample, answers: list[list[Row]]) -> None:
    flows: dict[str, list[Row]] = defaultdict(list)
    by_file: Counter[tuple] = Counter()
    for row in sample.rows:
        flows[row["deviceName"]].append(row)
    taken = Counter(row["deviceName"] for row in answers[0])
    assert taken.keys() == flows.keys()
    for name, those in flows.items():
        assert abs(taken[name] - len(those) / 10) < 1
        starts = sorted(row["flowStartMilliseconds"] for row in those)[::10]
        assert [row["flowStartMilliseconds"] for row in answers[0] if row["deviceName"] == name] == [
            start.isoformat() for start in starts
        ]
    for file in sample.manifest["files"]:
        by_file[file["deviceName"], file["month"]] += math.ceil(file["rows"] / 10)
    found = by_key(answers[1], "deviceName", "month")
    assert {key: row["flows"] for key, row in found.items()} == by_file


def labels(sample: Sample, answers: list[list[Row]]) -> None:
    vendors = {"amazonEchoGen2": "Amazon", "googleHomeGen1": "Google", "sonyBravia": "Sony", "sonySmartSpeaker": "Sony"}
    devices = sample.counts("deviceName")
    flows: Counter[str] = Counter()
    named: Counter[str] = Counter()
    for (name,), count in devices.items():
        vendor = vendors.get(name, "(no label)")
        flows[vendor] += count
        named[vendor] += 1
    assert [(row["vendor"], row["devices"], row["flows"]) for row in answers[0]] == [
        (vendor, named[vendor], flows[vendor]) for vendor in sorted(flows)
    ]
    # Nothing is lost or doubled by the join.
    assert named["(no label)"] > 0
    assert sum(row["flows"] for row in answers[0]) == sample.manifest["totals"]["rows"]
    assert sum(row["bytes"] for row in answers[0]) == sum(map(both_ways, sample.rows))


def drift(sample: Sample, answers: list[list[Row]]) -> None:
    used: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for (name, month, service), count in sample.counts("deviceName", "month", "serviceType").items():
        used[name, month][service] = count
    months = sorted({month for _, month in used})
    expected = {}
    for name, earlier in used:
        if earlier == months[-1]:
            continue
        later = months[months.index(earlier) + 1]
        before, after = used[name, earlier], used.get((name, later), Counter())
        if min(before.total(), after.total()) >= 30:
            apart = (abs(before[key] / before.total() - after[key] / after.total()) for key in before | after)
            expected[name, earlier, later] = sum(apart) / 2
    found = by_key(answers[0], "deviceName", "earlier", "later")
    assert {key: row["distance"] for key, row in found.items()} == pytest.approx(expected, abs=0.00006)
    distances = [row["distance"] for row in answers[0]]
    assert distances == sorted(distances, reverse=True)
    assert distances[0] > 0


ORACLES: dict[str, Callable[[Sample, list[list[Row]]], None]] = {
    "One device": one_device,
    "One class": one_class,
    "One week": one_week,
    "Traffic by class and hour of day": hours,
    "Share of services in each class": services,
    "Devices that talk to most servers": servers,
    "Long tails of flow duration": tails,
    "Unanswered flows": unanswered,
    "Train, validation and test by day": split,
    "Features only, for training": features,
    "A sample of every device": sampling,
    "Labels of your own": labels,
    "Devices whose behaviour shifts": drift,
}


@pytest.mark.parametrize("question", QUESTIONS, ids=slug)
def test_plain_python_finds_the_same(question: str, sample: Sample, reader: Reader):
    ORACLES[question](sample, [rows_of(reader, block) for block in answers_in(question, "duckdb")])
