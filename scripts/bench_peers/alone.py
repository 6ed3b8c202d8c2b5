"""flowlake on its own: memory, size and cores."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from bench_peers import corpus as corpora
from bench_peers import measure, report
from bench_peers.compare import flowlake_command
from bench_peers.corpus import Corpus
from bench_peers.measure import Series

_TEN = 10
# What a size needs on disk at most, beside its archives: a lake of them.
_LAKE_PER_ARCHIVE = 2.0


def memory(options: argparse.Namespace) -> int:
    """Peak memory at a scale and at ten times it."""
    scales = [options.scale, _TEN * options.scale]
    made = [corpora.make(options.binary, scale, options.directory) for scale in scales]
    runs = _in_turns(options, [(corpus, options.jobs, None) for corpus in made])
    rows = [["scale", "JSON GB", "archives MB", "wall s", "CPU s", "peak MiB", "min-max MiB"]]
    for corpus, series in zip(made, runs, strict=True):
        peaks = [run.peak_mib for run in series.runs]
        rows.append(
            [
                f"{corpus.scale:g}",
                f"{corpus.gigabytes:.2f}",
                report.megabytes(corpus.archive_bytes),
                f"{series.wall:.2f}",
                f"{series.cpu:.2f}",
                f"{series.peak_mib:.0f}",
                f"{min(peaks):.0f}-{max(peaks):.0f}",
            ]
        )
    small, large = runs
    print(f"\n{options.jobs} threads, {options.rounds} rounds\n\n{report.table(rows)}\n")
    print(f"Ten times the input takes {100 * (large.peak_mib / small.peak_mib - 1):+.1f} % of memory.")
    return 0


def linear(options: argparse.Namespace) -> int:
    """Seconds for each GB, at several sizes."""
    scales = [size * 1e9 / corpora.JSON_BYTES_OF_SCALE_1 for size in options.sizes]
    made = [corpora.make(options.binary, scale, options.directory) for scale in scales if _has_room(scale, options)]
    runs = _in_turns(options, [(corpus, options.jobs, None) for corpus in made])
    rows = [["JSON GB", "archives MB", "wall s", "min-max", "s per GB", "s per GB added", "CPU s per GB", "peak MiB"]]
    before = None
    for corpus, series in zip(made, runs, strict=True):
        # What the input added since the size before takes; free of what any build costs, however small.
        more = (series.wall - before[0]) / (corpus.gigabytes - before[1]) if before else None
        before = (series.wall, corpus.gigabytes)
        rows.append(
            [
                f"{corpus.gigabytes:.2f}",
                report.megabytes(corpus.archive_bytes),
                f"{series.wall:.2f}",
                f"{series.fastest:.2f}-{series.slowest:.2f}",
                f"{series.wall / corpus.gigabytes:.3f}",
                "" if more is None else f"{more:.3f}",
                f"{series.cpu / corpus.gigabytes:.3f}",
                f"{series.peak_mib:.0f}",
            ]
        )
    print(f"\n{options.jobs} threads, medians of {options.rounds} rounds\n\n{report.table(rows)}")
    return 0


def cores(options: argparse.Namespace) -> int:
    """What more threads bring, with many dumps and with one."""
    corpus = corpora.make(options.binary, options.scale, options.directory)
    print(f"corpus: {corpus.describe()}")
    largest = corpus.devices[0]
    cases = [(corpus, jobs, device) for device in (None, largest.name) for jobs in range(1, options.jobs + 1)]
    runs = _in_turns(options, cases)
    rows = [["dumps", "threads", "wall s", "min-max", "times as fast", "CPU s", "peak MiB"]]
    for (_, jobs, device), series in zip(cases, runs, strict=True):
        single = next(other for case, other in zip(cases, runs, strict=True) if case[1:] == (1, device))
        rows.append(
            [
                "all" if device is None else f"{device} alone",
                str(jobs),
                f"{series.wall:.2f}",
                f"{series.fastest:.2f}-{series.slowest:.2f}",
                f"{single.wall / series.wall:.2f}",
                f"{series.cpu:.2f}",
                f"{series.peak_mib:.0f}",
            ]
        )
    print(f"\nmedians of {options.rounds} rounds\n\n{report.table(rows)}")
    return 0


def _in_turns(options: argparse.Namespace, cases: Sequence[tuple[Corpus, int, str | None]]) -> list[Series]:
    """Builds each case (corpus, threads, one device or all) once in every round."""
    lake = options.directory / "products" / "flowlake"
    lake.parent.mkdir(parents=True, exist_ok=True)
    series = [Series(f"{corpus.gigabytes:.2f} GB", []) for corpus, _, _ in cases]
    patience = measure.Patience(options.wait)
    for number in range(options.rounds):
        for (corpus, jobs, device), one in zip(cases, series, strict=True):
            more = () if device is None else ("--device", device)
            command = flowlake_command(options.binary, corpus.path, lake, jobs, *more)

            def anew(command: list[str | Path] = command) -> measure.Run:
                shutil.rmtree(lake, ignore_errors=True)
                return measure.run(command)

            done = patience.run(anew)
            one.runs.append(done)
            print(
                f"round {number + 1}: {one.name}, {jobs} threads: {done.wall:.2f} s, {done.peak_mib:.0f} MiB"
                + report.disturbance(done),
                file=sys.stderr,
            )
    shutil.rmtree(lake.parent)
    report.warn_if_disturbed(series)
    return series


def _has_room(scale: float, options: argparse.Namespace) -> bool:
    needed = scale * corpora.ARCHIVE_BYTES_OF_SCALE_1 * (1 + _LAKE_PER_ARCHIVE)
    if needed < shutil.disk_usage(options.directory).free:
        return True
    print(f"no room for scale {scale:g}: left out", file=sys.stderr)
    return False
