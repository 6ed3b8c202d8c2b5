"""Snippets of a page of documentation: finds them, runs them in order, and gives what they answer.

Snippets in DuckDB's SQL and in Python run in this process, those of one section one after the other, as somebody would
who reads the page from its top. Engines that bring a process or a machine of their own run in another process, which is
this module as a program.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

Row = dict[str, Any]

# What is written between these lines is not prose with snippets: tests write it.
GENERATED = re.compile(r"<!-- (\w+): begin -->.*?<!-- \1: end -->", re.DOTALL)
# Commands that only print: no snippet needs what they leave.
QUERY_COMMANDS = re.compile(r"^flowlake (query|head|files|sql)\b", re.MULTILINE)
# Engines of snippets in Python, by what they cannot do without; the first that fits.
PYTHON_ENGINES = {
    "spark": r"\bspark\b",
    "clickhouse": r"\bchdb\b",
    "polars": r"\bpl\.|\bpolars\b",
    "pandas": r"\bpandas\b",
    "pyarrow": r"\bpyarrow\b",
}
# Too long a wait for any snippet; what hangs must end all the same.
TIMEOUT_SECONDS = 300


@dataclass(frozen=True)
class Block:
    """A fenced block: where it stands, and what is to run it. No engine: nobody knows how."""

    name: str
    section: str
    question: str
    language: str
    engine: str | None
    code: str
    line: int

    @property
    def needs_query_command(self) -> bool:
        return self.engine == "sh" and QUERY_COMMANDS.search(self.code) is not None


@dataclass
class Outcome:
    """What came of a block: an error, or its answer and what it printed."""

    rows: list[Row] | None = None
    printed: str = ""
    error: str | None = None


def slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def engine_of(language: str, section: str, code: str) -> str | None:
    """What runs a block: its language says, and in Python what it uses."""
    if language == "sh":
        return "sh"
    if language == "sql":
        return "clickhouse" if section == "ClickHouse" else "duckdb"
    if language == "python":
        return next((engine for engine, sign in PYTHON_ENGINES.items() if re.search(sign, code)), None)
    return None


def read_blocks(page: str) -> list[Block]:
    """Every fenced block of a page, in order, under a name that tells where it stands and what runs it."""
    # Lines are kept, so that a block's line is that of the page.
    text = GENERATED.sub(lambda found: "\n" * found[0].count("\n"), page)
    blocks: list[Block] = []
    names: Counter[str] = Counter()
    section = question = ""
    opened: tuple[str, int] | None = None
    code: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if opened is None and line.startswith("## "):
            section, question = line.removeprefix("## "), ""
        elif opened is None and line.startswith("### "):
            question = line.removeprefix("### ")
        elif opened is None and line.lstrip().startswith("```"):
            opened, code = (line.strip().removeprefix("```"), number), []
        elif opened is not None and line.strip() == "```":
            language, begin = opened
            source = "\n".join(code)
            engine = engine_of(language, section, source)
            place, runner = slug(question or section), engine or language or "no-language"
            name = place if place == runner else f"{place}-{runner}"
            names[name] += 1
            numbered = name if names[name] == 1 else f"{name}-{names[name]}"
            blocks.append(Block(numbered, section, question, language, engine, source, begin))
            opened = None
        elif opened is not None:
            code.append(line)
    assert opened is None, f"the block at line {opened[1] if opened else 0} does not end"
    return blocks


def plain(value: Any) -> Any:
    """A value as every engine can have it: sums of some are decimals, dates are text in JSON."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value.isoformat() if isinstance(value, date) else value


def plain_rows(answer: Any) -> list[Row] | None:
    """The rows of whatever an engine in Python gives; none of what is no table."""
    kind = f"{type(answer).__module__.partition('.')[0]}.{type(answer).__name__}"
    if kind == "polars.LazyFrame":
        rows = answer.collect().to_dicts()
    elif kind == "polars.DataFrame":
        rows = answer.to_dicts()
    elif kind == "pandas.DataFrame":
        rows = answer.to_dict("records")
    elif kind == "pyspark.DataFrame":
        rows = [row.asDict() for row in answer.collect()]
    elif kind == "pyarrow.Table":
        rows = answer.to_pylist()
    elif kind == "pyarrow.FileSystemDataset":
        rows = answer.to_table().to_pylist()
    else:
        return None
    return [{name: plain(value) for name, value in row.items()} for row in rows]


def execute_python(code: str, namespace: dict[str, Any], name: str) -> Any:
    """Runs a snippet and gives its answer as a notebook would: the value of its last line. Where that is nothing, as of
    `show()`, it is what the snippet assigned last."""
    tree = ast.parse(code, filename=name)
    last = tree.body[-1]
    value = None
    if isinstance(last, ast.Expr):
        tree.body.pop()
    exec(compile(tree, name, "exec"), namespace)
    if isinstance(last, ast.Expr):
        value = eval(compile(ast.Expression(last.value), name, "eval"), namespace)
    if value is None:
        targets = [node.targets[0] for node in tree.body if isinstance(node, ast.Assign)]
        names = [target.id for target in targets if isinstance(target, ast.Name)]
        value = namespace[names[-1]] if names else None
    return value


def execute_clickhouse(code: str, session: Any) -> Any:
    """Runs statements as `clickhouse local` does, and gives the table of the last one."""
    answer = None
    for statement in filter(None, map(str.strip, code.split(";"))):
        body = re.sub(r"--.*", "", statement).strip()
        if body.upper().startswith(("SELECT", "WITH")):
            answer = session.query(statement, "ArrowTable")
        else:
            session.query(statement)
    return answer


def java_is_missing() -> str | None:
    """Why Spark cannot run here, if it cannot."""
    java = Path(os.environ["JAVA_HOME"], "bin", "java") if os.environ.get("JAVA_HOME") else shutil.which("java")
    if java is None or not Path(java).exists():
        return "there is no Java here, and Spark needs Java 17"
    said = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60, check=False).stderr
    found = re.search(r'version "(\d+)', said)
    if found is None or int(found[1]) < 17:
        return f"Spark needs Java 17; here is {said.splitlines()[0] if said else 'one that does not say its version'}"
    return None


def spark_environment(directory: Path) -> dict[str, str]:
    """Two threads, nothing but loopback, and nothing left outside of the directory."""
    settings = {
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "1g",
        "spark.local.dir": str(directory),
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.warehouse.dir": str(directory / "warehouse"),
        "spark.ui.enabled": "false",
    }
    options = [word for name, value in settings.items() for word in ("--conf", f"{name}={value}")]
    return os.environ | {
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_SUBMIT_ARGS": " ".join(["--master", "local[2]", *options, "pyspark-shell"]),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "TZ": "Asia/Tokyo",
    }


@dataclass
class Session:
    """What the snippets of a section leave to those after them."""

    namespace: dict[str, Any] = field(default_factory=lambda: {"__name__": "snippet"})

    @cached_property
    def duckdb(self) -> Any:
        import duckdb

        connection = duckdb.connect()
        # As on a machine elsewhere: a page that forgets UTC gives other hours than the other engines.
        connection.execute("SET TimeZone = 'Asia/Tokyo'")
        return connection


@dataclass
class Reader:
    """Runs the blocks of a page, each once, in a directory where `lake` is a lake and `flowlake` is on the path."""

    directory: Path
    binary: Path
    blocks: list[Block]
    sessions: dict[str, Session] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    def session(self, section: str) -> Session:
        return self.sessions.setdefault(section, Session())

    def outcome(self, block: Block) -> Outcome:
        """What came of a block, after those of its section that stand before it."""
        if block.name not in self.outcomes:
            if block.engine in ("spark", "clickhouse"):
                self.run_apart([other for other in self.of_section(block) if other.engine == block.engine])
            else:
                for earlier in self.before(block):
                    self.outcomes.setdefault(earlier.name, self.run_here(earlier))
        return self.outcomes[block.name]

    def of_section(self, block: Block) -> list[Block]:
        return [other for other in self.blocks if other.section == block.section]

    def before(self, block: Block) -> Iterator[Block]:
        """The blocks to run in this process up to this one. Commands that only print are not needed by others."""
        for other in self.of_section(block):
            here = other.engine is not None and other.engine not in ("spark", "clickhouse")
            if other == block or (
                here and other.line < block.line and not other.needs_query_command and other.name not in self.outcomes
            ):
                yield other

    def run_here(self, block: Block) -> Outcome:
        printed = io.StringIO()
        try:
            with contextlib.chdir(self.directory), contextlib.redirect_stdout(printed):
                rows = self.answer(block, printed)
        except Exception:
            return Outcome(error=traceback.format_exc(), printed=printed.getvalue())
        return Outcome(rows, printed.getvalue())

    def answer(self, block: Block, printed: io.StringIO) -> list[Row] | None:
        if block.engine == "sh":
            printed.write(self.shell(block.code))
            return None
        session = self.session(block.section)
        if block.engine == "duckdb":
            return self.duckdb_answer(block.code, session)
        name = f"<{block.name}, line {block.line}>"
        return plain_rows(execute_python(block.code, session.namespace, name))

    @staticmethod
    def duckdb_answer(code: str, session: Session) -> list[Row] | None:
        import duckdb

        rows = None
        for statement in session.duckdb.extract_statements(code):
            done = session.duckdb.execute(statement)
            if statement.type == duckdb.StatementType.SELECT:
                rows = plain_rows(done.to_arrow_table())
                assert rows, f"no rows: {statement.query}"
        return rows

    def shell(self, code: str) -> str:
        """What commands print; anything but success is an error that shows it."""
        tools = self.directory / "bin"
        tools.mkdir(exist_ok=True)
        with contextlib.suppress(FileExistsError):
            (tools / "flowlake").symlink_to(self.binary.resolve())
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", code],
            cwd=self.directory,
            env=os.environ | {"PATH": f"{tools}:{os.environ['PATH']}", "TZ": "Asia/Tokyo"},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        if done.returncode != 0:
            raise AssertionError(f"ended with {done.returncode}\n{code}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def run_apart(self, blocks: list[Block]) -> None:
        """Runs blocks one after the other in another process."""
        found = run_apart([(block.engine or "", block.language, block.code) for block in blocks], self.directory)
        self.outcomes |= {block.name: outcome for block, outcome in zip(blocks, found, strict=True)}


def run_apart(blocks: list[tuple[str, str, str]], directory: Path) -> list[Outcome]:
    """What comes of blocks, each (engine, language, code), in a process of their own that works in the directory."""
    scratch = directory / "apart"
    scratch.mkdir(exist_ok=True)
    answers = scratch / "answers.json"
    answers.unlink(missing_ok=True)
    done = subprocess.run(
        [sys.executable, Path(__file__).resolve(), answers],
        input=json.dumps(blocks),
        cwd=directory,
        env=spark_environment(scratch),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert answers.is_file(), f"ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return [Outcome(**outcome) for outcome in json.loads(answers.read_text())]


def main() -> None:
    """Runs blocks from standard input, and leaves what came of them in the file that is named."""
    namespace: dict[str, Any] = {"__name__": "snippet"}
    outcomes = []
    clickhouse = None
    for engine, language, code in json.load(sys.stdin):
        printed = io.StringIO()
        outcome: dict[str, Any] = {"rows": None, "error": None}
        try:
            with contextlib.redirect_stdout(printed):
                if language == "sql":
                    if clickhouse is None:
                        from chdb.session import Session as ClickHouse

                        clickhouse = ClickHouse()
                    answer = execute_clickhouse(code, clickhouse)
                else:
                    answer = execute_python(code, namespace, f"<{engine}>")
                outcome["rows"] = plain_rows(answer)
        except Exception:
            outcome["error"] = traceback.format_exc()
        outcomes.append(outcome | {"printed": printed.getvalue()})
    if "pyspark" in sys.modules:
        from pyspark.sql import SparkSession

        if (spark := SparkSession.getActiveSession()) is not None:
            spark.stop()
    Path(sys.argv[1]).write_text(json.dumps(outcomes))


if __name__ == "__main__":
    main()
