#!/usr/bin/env python3
"""Builds a lake on a cluster of Apache Spark: the bytes are those of `flowlake build` on one machine.

    spark-submit --master spark://HOST:7077 scripts/spark_build.py \
        --config kddi-iot-2019 --input s3://flows/raw --output s3://flows/lake
    python scripts/spark_build.py --master 'local[4]' --config … --input … --output …      # pip install pyspark

The driver runs `flowlake plan`, Spark runs `flowlake task` for each task that is not done, and the driver runs
`flowlake commit`, whose table and exit code are those of this script. Places are URLs, or paths on a file system that
all machines share under the same name. A build that failed or was stopped goes on where it ended when the same command
is given again.

- A task is one dump. It has --jobs cores (spark.task.cpus), and writes the same bytes wherever and however often it
  runs: lost executors, retries and speculation (spark.speculation) change nothing.
- Executors run --flowlake if that path is there, else a copy that Spark ships to them; without --flowlake the one that
  FLOWLAKE_BIN or PATH of the executor names. All have to be of one version; a task refuses the plan of another.
- A task that fails is tried again (--retries), but for failures that every machine would meet: exit codes 1 and 2, 3
  when the message names the dump, and 4 when a lake is at the target. These end the build when all other tasks have
  ended, and nothing is published.
- When somebody else has published a lake meanwhile, this build can never be (exit code 4): what its tasks made is
  removed, unless --replace is given. When somebody else is just publishing (5), it is kept, with the plan.
- Ctrl-C and SIGTERM stop the tasks; nothing is published, and the exit code is 130. Under spark-submit the virtual
  machine that gets the signal has the last word: after SIGTERM it says 143.
- The variables of PASSED go with each task, so that executors reach the stores that the driver reaches. They are in no
  setting of Spark, and are not printed; whoever may read the memory of executors may read them. Files that they name
  have to be on every machine. Executors that have a role of their own need none of them: leave them unset.
- Files of the moment lie in Spark's local directories (spark.local.dir).

Exit codes are those of flowlake; 6 says that Spark itself failed, or that a signal ended a flowlake.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

try:
    from pyspark import AccumulatorParam, InheritableThread, SparkConf, SparkContext, SparkFiles
except ImportError as error:
    print(f"error: {error}\nhint: run it with spark-submit, or pip install pyspark", file=sys.stderr)
    raise SystemExit(2) from None

USAGE, INPUT, OUTPUT, CONFLICT, INTERRUPTED = 2, 3, 4, 5, 130
SPARK_FAILED = SIGNALLED = 6
# What a store may need on an executor; docs/object-stores.md says what each is for. Proxies and authorities of the
# system belong to a machine and are not passed.
PASSED = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_CA_BUNDLE",
    "AWS_SKIP_SIGNATURE",
    "AWS_VIRTUAL_HOSTED_STYLE_REQUEST",
    "AWS_REQUEST_PAYER",
    "AWS_SERVER_SIDE_ENCRYPTION",
    "AWS_SSE_KMS_KEY_ID",
    "AWS_SSE_BUCKET_KEY_ENABLED",
    "AWS_SSE_CUSTOMER_KEY_BASE64",
    "AWS_CHECKSUM_ALGORITHM",
    "AWS_UNSIGNED_PAYLOAD",
    "AWS_DISABLE_BULK_DELETE",
    "AWS_CONDITIONAL_PUT",
    "AWS_S3_EXPRESS",
    "GOOGLE_BEARER_TOKEN",
    "GOOGLE_SERVICE_ACCOUNT",
    "GOOGLE_SERVICE_ACCOUNT_KEY",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_BASE_URL",
    "GOOGLE_SKIP_SIGNATURE",
    "AZURE_STORAGE_ACCOUNT_NAME",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_TOKEN",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_CLIENT_ID",
    "AZURE_CLIENT_SECRET",
    "AZURE_TENANT_ID",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_CREDENTIAL_TYPE",
    "AZURE_STORAGE_ENDPOINT",
    "AZURE_AUTHORITY_HOST",
    "AZURE_SKIP_SIGNATURE",
    "AZURE_STORAGE_USE_EMULATOR",
    "AZURITE_BLOB_STORAGE_URL",
    "AZURE_STORAGE_ENCRYPTION_KEY",
    "FLOWLAKE_STORE_TIMEOUT",
    "FLOWLAKE_STORE_RETRIES",
    "FLOWLAKE_STORE_RETRY_TIMEOUT",
    "FLOWLAKE_STORE_PART_BYTES",
)
DONE = re.compile(r", (done|done before): (\d+) rows read, \d+ kept, \d+ rejected, \d+ files$", re.MULTILINE)
# Begins what a task says when somebody else has published.
LATE = "a lake is at "
# Begins the line of an exception that is for the driver.
FAILURE = "flowlake-failure "
MOST_TEXT = 4000
MOST_SHOWN = 20
# After this long without an executor somebody should know: Spark itself would wait for ever, and say nothing.
WAITING_SECONDS = 15
GROUP = "flowlake"
# Set for a program that spark-submit has started.
UNDER_SUBMIT = "PYSPARK_GATEWAY_PORT"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
GO_ON = "the same command goes on where this one ended"


class Failed(Exception):
    """The build ends here; what there was to say has been said."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Interrupted(BaseException):
    """Somebody asked for the end. No Exception: what talks to Java makes errors of the network of all of those."""


def die_with_parent() -> None:
    """Has this process told to end when its parent ends, however that ends. Linux only; elsewhere nothing happens."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


# ---- on executors


class Outcome(NamedTuple):
    """What became of a task. `code` is the exit code of flowlake, and negative for a signal."""

    index: int
    code: int
    rows: int
    host: str
    message: str


class Work(NamedTuple):
    """What an executor has to know beside the number of a task; the plan is apart, as it may be large."""

    digest: str
    dumps: dict[int, str]
    # The binary, if it was named, and how Spark ships it.
    flowlake: str | None
    options: tuple[str, ...]
    environment: dict[str, str]


def binary_here(named: str | None) -> str:
    """The binary on the machine of an executor."""
    if named:
        return named if os.access(named, os.X_OK) else SparkFiles.get(Path(named).name)
    found = os.environ.get("FLOWLAKE_BIN") or shutil.which("flowlake")
    if not found:
        raise FileNotFoundError("no flowlake there: give --flowlake, or set FLOWLAKE_BIN on executors")
    return found


def local_directory() -> str:
    """Where Spark has room for files that go with the application."""
    return os.environ.get("SPARK_LOCAL_DIRS", "").split(",")[0]


def plan_here(digest: str, text: Callable[[], bytes]) -> Path:
    """The plan as a file of this executor, written once."""
    directory = Path(local_directory() or SparkFiles.getRootDirectory())
    path = directory / f"flowlake-plan-{digest}.json"
    if not path.exists():
        # Other workers of the executor may do the same at the same time.
        with tempfile.NamedTemporaryFile(dir=directory, delete=False) as file:
            file.write(text())
        Path(file.name).replace(path)
    return path


def run_task(index: int, work: Work, plan_text: Callable[[], bytes]) -> Outcome:
    """Runs a task. Failures that a retry may cure are exceptions, so that Spark tries again and counts."""
    dump, host = work.dumps[index], socket.gethostname()
    try:
        outcome = flowlake_task(index, work, plan_text, host)
    except Exception as error:
        outcome = Outcome(index, SPARK_FAILED, 0, host, f"{type(error).__name__}: {error}"[:MOST_TEXT])
    lasting = {0: "", 1: "", USAGE: "", INPUT: f"dump {dump}:", OUTPUT: LATE}
    if outcome.code in lasting and outcome.message.startswith(lasting[outcome.code]):
        return outcome
    raise RuntimeError(f"dump {dump} on {host}: {outcome.message}\n{FAILURE}{json.dumps(outcome)}\n")


def flowlake_task(index: int, work: Work, plan_text: Callable[[], bytes], host: str) -> Outcome:
    environment = os.environ | work.environment
    if local := local_directory():
        environment["TMPDIR"] = local
    command = [binary_here(work.flowlake), "task", "--plan", str(plan_here(work.digest, plan_text))]
    command += ["--index", str(index), "--progress", "none", *work.options]
    ended = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        # Spark kills the worker of a task that is not wanted any more.
        preexec_fn=die_with_parent,
    )
    if ended.returncode == 0:
        told = DONE.search(ended.stdout)
        return Outcome(index, 0, int(told[2]) if told else 0, host, "")
    _, _, error = ("\n" + ended.stderr).rpartition("\nerror: ")
    message = error.strip()[:MOST_TEXT] or f"flowlake was ended by signal {-ended.returncode}"
    return Outcome(index, ended.returncode, 0, host, message)


class Collected(AccumulatorParam[list]):
    """Outcomes as they come. Spark counts what a task adds once, however often the task ran."""

    def zero(self, value: list) -> list:
        return []

    def addInPlace(self, value1: list, value2: list) -> list:
        value1 += value2
        return value1


# ---- on the driver


def arguments_of(arguments: list[str] | None) -> argparse.Namespace:
    summary, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    planned = parser.add_argument_group("what to build, as for `flowlake plan`")
    planned.add_argument("--config", required=True, metavar="FILE")
    planned.add_argument("--input", required=True, metavar="DIR|URL")
    planned.add_argument("--output", default="lake", metavar="DIR|URL")
    planned.add_argument("--recipe", metavar="NAME|FILE")
    planned.add_argument("--device", action="append", default=[], metavar="NAME")
    planned.add_argument("--class", action="append", default=[], metavar="CLASS", dest="classes")
    planned.add_argument("--from", metavar="TIME", dest="since")
    planned.add_argument("--to", metavar="TIME")
    planned.add_argument("--replace", action="store_true")
    planned.add_argument("--strict", action="store_true")
    run = parser.add_argument_group("how")
    run.add_argument("--flowlake", metavar="PATH", help="the binary; shipped to executors that have none at this path")
    run.add_argument(
        "--jobs", type=at_least(1), metavar="N", help="cores and threads of a task [spark.task.cpus, or 1]"
    )
    run.add_argument("--memory-limit", metavar="SIZE", help="memory of a task, as for `flowlake task`")
    run.add_argument(
        "--retries", type=at_least(0), metavar="N", help="tries after the first [spark.task.maxFailures - 1]"
    )
    run.add_argument("--master", metavar="URL", help="the cluster, unless spark-submit names it [local[*]]")
    run.add_argument("--progress", choices=["auto", "plain", "none"], default="auto")
    run.add_argument("--spark-log-level", default="ERROR", metavar="LEVEL", help="what Spark itself says [ERROR]")
    return parser.parse_args(arguments)


def at_least(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"not a number of {least} or more: {text}")
        return int(text)

    return number


def plan_options(arguments: argparse.Namespace) -> list[str]:
    options = ["--config", arguments.config, "--input", arguments.input, "--output", arguments.output]
    for name, value in [("--recipe", arguments.recipe), ("--from", arguments.since), ("--to", arguments.to)]:
        options += [name, value] if value else []
    for name, values in [("--device", arguments.device), ("--class", arguments.classes)]:
        options += [text for value in values for text in (name, value)]
    return options + [f"--{name}" for name in ("replace", "strict") if getattr(arguments, name)]


def binary_of_driver(arguments: argparse.Namespace) -> str:
    found = arguments.flowlake or os.environ.get("FLOWLAKE_BIN") or "flowlake"
    if path := shutil.which(found):
        return str(Path(path).absolute())
    return end(USAGE, f"no program {found}", "give --flowlake PATH, or set FLOWLAKE_BIN")


def tell(text: str, end: str = "\n") -> None:
    """To standard error. Under spark-submit nobody listens any more once its virtual machine has ended."""
    with contextlib.suppress(OSError):
        print(text, end=end, file=sys.stderr, flush=True)


def end(code: int, message: str, hint: str = "") -> Any:
    tell(f"error: {message}")
    if hint:
        tell(f"hint: {hint}")
    raise Failed(code)


def run_here(command: list[str], stdout: int | None = None, stderr: int | None = None) -> str:
    """Runs flowlake on the driver and gives what it printed to `stdout`. Failures have been told by flowlake itself."""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        text=True,
        # Signals of the terminal come to it by way of this process alone.
        start_new_session=True,
        preexec_fn=die_with_parent,
    ) as process:
        while True:
            try:
                printed, _ = process.communicate()
                break
            except Interrupted:
                # It knows whether it has published, and says so by its exit code.
                process.send_signal(signal.SIGTERM)
    if process.returncode < 0:
        number = -process.returncode
        code = INTERRUPTED if number in SIGNALS else SIGNALLED
        end(code, f"flowlake {command[1]} was ended by signal {number}", f"{GO_ON}, unless a lake is there now")
    if process.returncode:
        raise Failed(process.returncode)
    return printed or ""


def catch_signals() -> list[Any]:
    """Has those that ask for the end raise an exception. Gives what was done with them before."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise Interrupted

    return [signal.signal(number, interrupt) for number in SIGNALS]


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    before = catch_signals()
    try:
        yield
    finally:
        for number, handler in zip(SIGNALS, before, strict=True):
            signal.signal(number, handler)


class Progress:
    """A line on the driver: tasks done, rows read."""

    def __init__(self, mode: str, tasks: int, done_before: int) -> None:
        self.bar = mode == "auto" and sys.stderr.isatty()
        self.seconds = 0.2 if self.bar else 5
        self.shown = mode != "none"
        self.tasks = tasks
        self.done_before = done_before
        self.last = ("", 0.0)

    def show(self, outcomes: list[Outcome], last: bool = False) -> None:
        done = self.done_before + sum(outcome.code == 0 for outcome in outcomes)
        failed = sum(outcome.code != 0 for outcome in outcomes)
        rows = sum(outcome.rows for outcome in outcomes)
        text = f"{done:,} of {self.tasks:,} tasks done, {rows:,} rows read"
        text += f", {failed:,} failed" if failed else ""
        before, when = self.last
        if (
            not self.shown
            or (text == before and not (last and self.bar))
            or (not last and time.monotonic() - when < self.seconds)
        ):
            return
        self.last = (text, time.monotonic())
        if self.bar:
            width = 24
            filled = width * done // max(self.tasks, 1)
            tell(f"\r\033[K[{'#' * filled}{'.' * (width - filled)}] {text}", end="\n" if last else "")
        else:
            tell(text)


def context(arguments: argparse.Namespace) -> SparkContext:
    # Spark's own bar would be in the way of ours.
    conf = SparkConf().setAppName("flowlake").set("spark.ui.showConsoleProgress", "false")
    # spark-submit has said where; on its own this script is a driver like any other.
    master = arguments.master or (None if UNDER_SUBMIT in os.environ else "local[*]")
    if arguments.jobs:
        conf.set("spark.task.cpus", str(arguments.jobs))
    if arguments.retries is not None:
        conf.set("spark.task.maxFailures", str(arguments.retries + 1))
    if master:
        # Within one process nothing is tried again unless the master's name says so.
        local = re.fullmatch(r"local\[([^,\]]+)\]", master)
        if local and arguments.retries is not None:
            master = f"local[{local[1]},{arguments.retries + 1}]"
        conf.setMaster(master)
    return SparkContext(conf=conf)


def run_tasks(spark: SparkContext, missing: list[int], work: Work, plan: bytes, progress: Progress) -> list[Outcome]:
    """Has the cluster run the tasks, and gives what became of them. Failures of Spark itself end the build."""
    text = spark.broadcast(plan)
    outcomes = spark.accumulator([], Collected())
    raised: list[Exception] = []

    def run_partition(indexes: Iterator[int]) -> None:
        for index in indexes:
            outcomes.add([run_task(index, work, lambda: text.value)])

    def job() -> None:
        try:
            spark.setJobGroup(GROUP, "flowlake task", interruptOnCancel=True)
            # One task a partition: each is scheduled, retried and speculated on its own, the largest first.
            spark.parallelize(missing, len(missing)).foreachPartition(run_partition)
        except Exception as error:
            raised.append(error)

    thread = InheritableThread(target=job, daemon=True)
    thread.start()
    waiting_until = time.monotonic() + WAITING_SECONDS
    try:
        while thread.is_alive():
            thread.join(0.1)
            progress.show(list(outcomes.value))
            if waiting_until and time.monotonic() > waiting_until:
                waiting_until = 0
                if not at_work(spark):
                    tell(f"no executor has begun a task within {WAITING_SECONDS} s; waiting for one")
                    tell("hint: see whether the cluster has workers with enough free cores (--jobs) and memory")
    except Interrupted:
        progress.show(list(outcomes.value), last=True)
        raise
    found = list(outcomes.value)
    if raised:
        last = [line for line in str(raised[0]).splitlines() if FAILURE in line]
        if not last:
            progress.show(found, last=True)
            raise raised[0]
        told = last[0].partition(FAILURE)[2]
        found.append(Outcome(*json.JSONDecoder().raw_decode(told)[0]))
    progress.show(found, last=True)
    return found


def at_work(spark: SparkContext) -> bool:
    """Whether an executor has a task, or had one."""
    tracker = spark.statusTracker()
    jobs = [tracker.getJobInfo(job) for job in tracker.getJobIdsForGroup(GROUP)]
    stages = [tracker.getStageInfo(stage) for job in jobs if job for stage in job.stageIds]
    return any(stage.numActiveTasks or stage.numCompletedTasks or stage.numFailedTasks for stage in stages if stage)


def first_line(text: str) -> str:
    """What an exception of Java says, without where and without what it calls itself."""
    lines = [line.strip(": ") for line in text.splitlines() if not re.match(r"\s+at |An error occurred", line)]
    return re.sub(r"^([a-z]+\.)+", "", next(filter(None, lines), "no reason is given"))[:MOST_TEXT]


def judge(outcomes: list[Outcome], dumps: dict[int, str]) -> None:
    """Ends the build if a task failed: with the exit code of the first of them."""
    failed = sorted(outcome for outcome in outcomes if outcome.code)
    late = [outcome for outcome in failed if outcome.code == OUTPUT and outcome.message.startswith(LATE)]
    if late:
        # That of all others. The hint is for those who have a plan in their hands.
        end(OUTPUT, f"{late[0].message.partition(chr(10))[0]}; it appeared while tasks were at work")
    for outcome in failed[:MOST_SHOWN]:
        tell(f"error: task {outcome.index}, dump {dumps[outcome.index]}, on {outcome.host}")
        tell(f"caused by: {outcome.message}")
    if len(failed) > MOST_SHOWN:
        tell(f"… and {len(failed) - MOST_SHOWN} more")
    if failed:
        tell(f"nothing was published; {len(failed)} of {len(dumps)} tasks failed, {GO_ON}")
        # A signal has no exit code of its own.
        raise Failed(failed[0].code if failed[0].code > 0 else SIGNALLED)


def run_on_spark(arguments: argparse.Namespace, flowlake: str, plan: bytes, missing: list[int]) -> None:
    """Runs tasks on the cluster. Ends the build if one failed, or Spark did."""
    dumps = {index: task["dump"] for index, task in enumerate(json.loads(plan)["tasks"])}
    spark = None
    try:
        spark = context(arguments)
        # Spark has put a handler of its own there.
        catch_signals()
        spark.setLogLevel(arguments.spark_log_level)
        if arguments.flowlake:
            spark.addFile(flowlake)
        cores = arguments.jobs or int(spark.getConf().get("spark.task.cpus") or 1)
        options = ["--jobs", str(cores)]
        options += ["--memory-limit", arguments.memory_limit] if arguments.memory_limit else []
        work = Work(
            hashlib.sha256(plan).hexdigest(),
            {index: dumps[index] for index in missing},
            flowlake if arguments.flowlake else None,
            tuple(options),
            {name: os.environ[name] for name in PASSED if name in os.environ},
        )
        progress = Progress(arguments.progress, len(dumps), len(dumps) - len(missing))
        outcomes = run_tasks(spark, missing, work, plan, progress)
    except (Interrupted, KeyboardInterrupt):
        # First of all: the virtual machine that passes it on may be about to end.
        tell(f"error: interrupted; nothing was published\nhint: {GO_ON}")
        raise Failed(INTERRUPTED) from None
    except Exception as error:
        end(
            SPARK_FAILED,
            f"Spark failed, and nothing was published: {first_line(str(error))}",
            f"Spark may have said more above. {GO_ON.capitalize()}",
        )
    finally:
        if spark:
            # It may have gone already. What is said then would be about that.
            with contextlib.suppress(Exception), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                spark.cancelAllJobs()
                spark.stop()
    judge(outcomes, dumps)


def give_up(code: int, arguments: argparse.Namespace, flowlake: str, plan: Path) -> None:
    """After a failure: what becomes of what the tasks made, and what to do about it."""
    if code == CONFLICT:
        # Somebody is publishing, perhaps what these very tasks made.
        kept, name = tempfile.mkstemp(prefix="flowlake-plan-", suffix=".json")
        os.close(kept)
        shutil.copyfile(plan, name)
        tell("hint: what the tasks made is kept. If a lake is there when the other one has ended, remove it:")
        tell(f"    flowlake commit --abandon --plan {name}")
        tell(f"hint: if none is there, {GO_ON}")
    elif code in (INPUT, OUTPUT) and not arguments.replace:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        try:
            run_here([flowlake, "inspect", arguments.output], **quiet)
        except Failed:
            # None is there: no space, for instance.
            return
        # A plan without --replace can never be committed any more.
        run_here([flowlake, "commit", "--abandon", "--plan", str(plan)])
        tell("what the tasks of this build made was removed; with --replace it is built over the lake")


def build(arguments: argparse.Namespace, flowlake: str, directory: Path) -> None:
    plan = directory / "plan.json"
    run_here([flowlake, "plan", *plan_options(arguments), "--output-plan", str(plan)], stdout=subprocess.DEVNULL)
    try:
        listed = run_here([flowlake, "task", "--plan", str(plan), "--missing"], stdout=subprocess.PIPE)
        if missing := [int(line) for line in listed.split()]:
            run_on_spark(arguments, flowlake, plan.read_bytes(), missing)
        run_here([flowlake, "commit", "--plan", str(plan)])
    except Failed as failed:
        give_up(failed.code, arguments, flowlake, plan)
        raise


def main(given: list[str] | None = None) -> int:
    arguments = arguments_of(given)
    if UNDER_SUBMIT in os.environ:
        # Nobody would hear of what a driver publishes whose virtual machine has ended.
        die_with_parent()
    try:
        with interruptible(), tempfile.TemporaryDirectory(prefix="flowlake-spark-") as directory:
            build(arguments, binary_of_driver(arguments), Path(directory))
    except Failed as failed:
        return failed.code
    except (Interrupted, KeyboardInterrupt):
        tell(f"error: interrupted; nothing was published\nhint: {GO_ON}")
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
