"""The command line of `scripts/bench_reading`."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import textwrap
from dataclasses import asdict
from pathlib import Path

from reading_bytes import questions, report
from reading_bytes.engines import LOCAL_ENGINES, STORE_ENGINES, versions
from reading_bytes.measure import Failed, Lake, Reading, agree, ask
from reading_bytes.store import CountingStore

_REPOSITORY = Path(__file__).resolve().parents[2]
_PAGE = _REPOSITORY / "docs" / "reading.md"
# What month and class are to leave, in percent of the lake's bytes.
_AIM = 2.0
# Dumps and lake of a scale of 1, and some room.
_BYTES_OF_SCALE_1 = 2.5e9

_DESCRIPTION = """\
Measures how many bytes each engine reads of a lake for typical questions. The lake is served from an S3 store on this
machine that counts what it sends, because of a local file nobody can tell. Each engine answers each question in a
process of its own. The answers must agree, and agree with the manifest.

Without --lake a lake of synthetic dumps is made once for each scale, and kept.
"""

# Of the engines as they are pinned.
_NOTES = """\
- **DuckDB** reads the footers of the files that month and class leave, that of the first file of all for the types,
  and the columns asked for. A range of time leaves out row groups; so does an address, by their bloom filters. A
  pattern costs a listing, a list of files a HEAD request for each file that is read; the bytes are the same.
- **Polars** looks at the ends of 16 files all over the lake whatever is asked, 64 KiB of each at most. From a store it
  reads columns that lie near each other with all that is between them: fewer requests, more bytes. It does not with
  `POLARS_DOWNLOAD_CHUNK_SIZE_RANDOM_ACCESS=65536` in the environment (*small reads*). It does not use bloom filters.
  Local files it maps into memory.
- **ClickHouse** asks for long stretches of a file and reads on where the next column is near. It does not with
  `SETTINGS remote_read_min_bytes_for_seek = 65536, remote_filesystem_read_prefetch = 0` (*small reads*). What was sent
  and not used is counted, so its figures vary from run to run without them.
- **Spark** is not here: its package alone cannot read from a store, and of local files it does not count all it
  reads."""


def main() -> int:
    options = _arguments()
    try:
        lake = Lake(options.lake or _make(options))
        said = _measure(lake, options)
    except Failed as failure:
        print(f"error: {failure}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if options.write_docs:
        report.write_docs(_PAGE, said)
        print(f"wrote {_PAGE}", file=sys.stderr)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench_reading",
        description=_DESCRIPTION,
        epilog="FLOWLAKE_BIN names the binary; without it one is built.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--lake", type=Path, metavar="DIR", help="measure this lake, of the recipe `flows`")
    parser.add_argument(
        "--scale",
        type=float,
        default=0.86,
        metavar="F",
        help="size of the lake to make; 0.86 keeps 10 million flows, and takes some minutes [default: 0.86]",
    )
    parser.add_argument(
        "--work-dir", type=Path, metavar="DIR", help="where lakes are kept [default: bench in Cargo's target directory]"
    )
    parser.add_argument("--keep", action="store_true", help="keep the dumps that the lake is made of")
    parser.add_argument(
        "--engines",
        metavar="LIST",
        help="only engines whose names contain one of these, of " + "; ".join([*STORE_ENGINES, *LOCAL_ENGINES]),
    )
    parser.add_argument("--no-sweep", action="store_true", help="leave out the questions about every month and class")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured to this file")
    parser.add_argument("--write-docs", action="store_true", help="write the tables into docs/reading.md")
    parser.add_argument("--binary", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.lake is None and (options.binary is None or options.work_dir is None):
        parser.error("--lake or --work-dir is needed, and FLOWLAKE_BIN for the latter")
    if options.lake is not None and not (options.lake / "manifest.json").is_file():
        parser.error(f"{options.lake} is no lake: it has no manifest.json")
    if options.scale <= 0:
        parser.error("--scale must be above 0")
    names = [*STORE_ENGINES, *LOCAL_ENGINES]
    if options.engines:
        wanted = [part.strip().lower() for part in options.engines.split(",")]
        names = [name for name in names if any(part in name.lower() for part in wanted)]
        if not names:
            parser.error(f"--engines: no engine is called {options.engines}")
    options.engines = names
    return options


def _make(options: argparse.Namespace) -> Path:
    """The lake of a scale: the one that is there, or a new one."""
    home = options.work_dir / f"reading-{options.scale:g}"
    dumps, lake = home / "dumps", home / "lake"
    if (lake / "manifest.json").is_file():
        return lake
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    needed, free = options.scale * _BYTES_OF_SCALE_1, shutil.disk_usage(home).free
    if free < needed:
        raise Failed(f"{home} has {free / 1e9:.1f} GB left, and dumps and lake take up to {needed / 1e9:.1f} GB")
    print(f"making a lake of scale {options.scale:g} in {lake}", file=sys.stderr)
    commands = (
        ["sample", "--scale", f"{options.scale:g}", "--output", dumps],
        ["build", "--config", dumps / "catalogue.toml", "--input", dumps, "--output", lake, "--progress", "none"],
    )
    for command in commands:
        done = subprocess.run([options.binary, *command], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Failed(f"flowlake {command[0]} ended with {done.returncode}\n{done.stderr}")
    if not options.keep:
        shutil.rmtree(dumps)
    return lake


def _measure(lake: Lake, options: argparse.Namespace) -> str:
    answered: list[list[Reading]] = []
    pairs: list[list[Reading]] = []
    with CountingStore(lake.root) as store:
        for question in questions.choose(lake.root, lake.manifest):
            print(f"asking: {question.title}", file=sys.stderr)
            answered.append([ask(engine, question, lake, store) for engine in options.engines])
            agree(answered[-1], lake)
        swept = [engine for engine in report.SWEPT if engine in options.engines]
        if swept and not options.no_sweep:
            for question in questions.every_pair(lake.manifest):
                print(f"asking: {question.title}", file=sys.stderr)
                pairs.append([ask(engine, question, lake, store) for engine in swept])
                agree(pairs[-1], lake)
    if options.json:
        kept = [asdict(reading) for readings in [*answered, *pairs] for reading in readings]
        options.json.write_text(json.dumps({"bytes": lake.bytes, "rows": lake.rows, "readings": kept}, indent=1) + "\n")
    text = _text(lake, answered, pairs)
    print(text)
    return text


def _text(lake: Lake, answered: list[list[Reading]], pairs: list[list[Reading]]) -> str:
    tool = lake.manifest["tool"]
    sums = "` and `".join(questions.SUMS)
    parts = [
        f"Bytes that engines read of a lake of {lake.rows:,} flows, {lake.bytes:,} bytes in {len(lake.files)} files,"
        f" made by {tool['name']} {tool['version']} of synthetic dumps. `scripts/bench_reading` measures that: it"
        f" serves the lake from a store on the same machine that counts what it sends. {versions()}, with the"
        " settings they come with but for *small reads*.",
        f"Each question asks for the number of flows and the sums of `{sums}` by `{questions.GROUP}`; the whole lake is"
        " asked for the first sum alone. *Its columns* is what these columns and those of the condition take, in the"
        " files that month and class leave. Shares are of the lake's bytes.",
        report.markdown(report.by_question(answered, lake)),
    ]
    if pairs:
        parts += [
            "The first question, of every month and class:",
            report.markdown(report.swept(pairs, lake, _AIM)),
            report.above(pairs, lake, _AIM),
        ]
    largest = max(
        (readings for readings in answered if lake.rows_of(readings[0].question) not in (None, lake.rows)),
        key=lambda readings: lake.rows_of(readings[0].question) or 0,
    )
    parts += [
        f"What was read for {largest[0].question.title}, in bytes:",
        report.markdown(report.by_engine(largest, lake)),
    ]
    wrapped = [
        part if part.startswith("|") else textwrap.fill(part, 120, break_long_words=False, break_on_hyphens=False)
        for part in parts
    ]
    return "\n\n".join([*wrapped, _NOTES])


if __name__ == "__main__":
    sys.exit(main())
