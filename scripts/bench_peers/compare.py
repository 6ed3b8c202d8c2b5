"""flowlake beside its peers."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench_peers import corpus as corpora
from bench_peers import measure, report
from bench_peers.measure import Failed, Run, Series

# Name on the command line: name in the table, module.
PEERS = {
    "duckdb": ("DuckDB", "bench_peers.with_duckdb"),
    "polars": ("Polars", "bench_peers.with_polars"),
    "clickhouse": ("ClickHouse (chdb)", "bench_peers.with_clickhouse"),
    "pandas": ("pandas", "bench_peers.with_pandas"),
}
DEFAULT_PEERS = ("duckdb", "polars", "clickhouse")


@dataclass
class Contestant:
    """Somebody who is measured."""

    series: Series
    run: Callable[[], Run]
    # Where it writes, if it builds the product.
    output: Path | None = None
    versions: set[str] = field(default_factory=set)


def run(options: argparse.Namespace) -> int:
    """Measures everyone in turns, prints the table, and is 1 if somebody built something else."""
    corpus = corpora.make(options.binary, options.scale, options.directory)
    print(f"corpus: {corpus.describe()}")
    products = options.directory / "products"
    builders = [_flowlake(options, corpus, products / "flowlake")]
    builders += [_peer(options, corpus, name, products / name) for name in options.peers]
    floors = _floors(options, corpus)
    everyone = builders + floors
    wrong: list[str] = []
    for number in range(options.rounds):
        # Everybody follows everybody else once in a while.
        shift = number % len(everyone)
        for contestant in everyone[shift:] + everyone[:shift]:
            _measure(contestant, number + 1, measure.Patience(options.wait))
        wrong += _check(options, builders)
    shutil.rmtree(products)
    _print(builders, floors, options)
    report.warn_if_disturbed([contestant.series for contestant in everyone])
    for text in dict.fromkeys(wrong):
        print(f"error: {text}", file=sys.stderr)
    if not wrong and options.peers:
        print("Every peer's product has flowlake's rows in each month and class, and the same values in each column.")
    return 1 if wrong else 0


def flowlake_command(binary: Path, corpus: Path, output: Path, jobs: int, *more: str) -> list[str | Path]:
    command = [binary, "build", "--config", corpus / "catalogue.toml", "--input", corpus, "--output", output]
    return [*command, "--jobs", str(jobs), "--progress", "none", *more]


def _flowlake(options: argparse.Namespace, corpus: corpora.Corpus, output: Path) -> Contestant:
    command = flowlake_command(options.binary, corpus.path, output, options.jobs)
    return Contestant(Series("flowlake", []), lambda: measure.run(command), output)


def _peer(options: argparse.Namespace, corpus: corpora.Corpus, name: str, output: Path) -> Contestant:
    title, module = PEERS[name]
    command = [options.peer_python, "-m", module, corpus.path, output, str(options.jobs)]
    # Polars reads this when it is imported; the others are told by the program.
    environment = {"POLARS_MAX_THREADS": str(options.jobs)}
    return Contestant(Series(title, []), lambda: measure.run(command, environment), output)


def _floors(options: argparse.Namespace, corpus: corpora.Corpus) -> list[Contestant]:
    """Ways only to decompress the archives."""
    floors = []
    for program in ("gzip", "igzip"):
        if shutil.which(program):
            command = corpora.feed_command(corpus.devices, options.jobs, f"{program} -dc > /dev/null")
            floors.append(Contestant(Series(f"{program} -dc", []), lambda command=command: measure.run(command)))
    command = [options.peer_python, "-m", "bench_peers.floor", corpus.path, str(options.jobs)]
    floors.append(Contestant(Series("ISA-L in Python", []), lambda: measure.run(command)))
    return floors


def _measure(contestant: Contestant, number: int, patience: measure.Patience) -> None:
    def anew() -> Run:
        if contestant.output is not None:
            shutil.rmtree(contestant.output, ignore_errors=True)
            contestant.output.parent.mkdir(parents=True, exist_ok=True)
        return contestant.run()

    done = patience.run(anew)
    contestant.series.runs.append(done)
    if "version" in done.said:
        contestant.versions.add(done.said["version"])
    print(
        f"round {number}: {contestant.series.name}: {done.wall:.2f} s, {done.cpu:.2f} s CPU{report.disturbance(done)}",
        file=sys.stderr,
    )


def _check(options: argparse.Namespace, builders: list[Contestant]) -> list[str]:
    """What is wrong with the products, after their sizes were noted."""
    for builder in builders:
        builder.series.bytes_out = measure.parquet_bytes(builder.output)
    command = [options.peer_python, "-m", "bench_peers.check", *(builder.output for builder in builders)]
    said = measure.run(command).said
    if not said:
        raise Failed("the comparison of the products said nothing")
    for builder, rows in zip(builders, said["rows"], strict=True):
        builder.series.rows_out = rows
    return said["wrong"]


def _print(builders: list[Contestant], floors: list[Contestant], options: argparse.Namespace) -> None:
    own = builders[0].series
    rows = [["", "wall s", "min-max", "ratio", "CPU s", "peak MiB", "out MB", "rows"]]
    for contestant in builders + floors:
        series = contestant.series
        rows.append(
            [
                " ".join([series.name, *sorted(contestant.versions)]),
                f"{series.wall:.2f}",
                f"{series.fastest:.2f}-{series.slowest:.2f}",
                f"{series.wall / own.wall:.2f}",
                f"{series.cpu:.2f}",
                f"{series.peak_mib:.0f}",
                report.megabytes(series.bytes_out),
                "" if series.rows_out is None else f"{series.rows_out:,}",
            ]
        )
    print(f"\n{options.jobs} threads, medians of {options.rounds} rounds\n\n{report.table(rows)}\n")
    if peers := builders[1:]:
        best = min((peer.series for peer in peers), key=lambda series: series.wall)
        print(f"The fastest peer, {best.name}, takes {best.wall / own.wall:.1f} times as long as flowlake.")
    lowest = min((floor.series for floor in floors), key=lambda series: series.wall)
    for series in dict.fromkeys((floors[0].series.name, lowest.name)):
        floor = next(floor.series for floor in floors if floor.series.name == series)
        print(f"flowlake takes {own.wall / floor.wall:.1f} times as long as decompressing alone ({floor.name}).")
