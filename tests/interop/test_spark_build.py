"""A build whose tasks run on a cluster of Spark, a master and two workers, gives the lake of one machine."""

from __future__ import annotations

import fcntl
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from engines.spark_cluster import SparkCluster
from lakes import binary, run
from object_stores import stores
from object_stores.stores import Store, local_environment
from spark_build.drivers import Built, Driver
from spark_build.stand_in import StandIn, wait_until
from spark_build.targets import InStore, OnDisk, Sample, Target, assert_same, beside, contents

# Two addresses of this machine, which Spark takes for two machines.
HOSTS = ("127.0.0.1", "127.0.0.2")
# Every idle executor runs what another is at.
SPECULATION = {
    "spark.speculation": "true",
    "spark.speculation.interval": "20ms",
    "spark.speculation.multiplier": "1.01",
    "spark.speculation.quantile": "0.01",
    "spark.speculation.minTaskRuntime": "1ms",
}
CONFLICTS = (4, 5)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return Sample.make(tmp_path_factory.mktemp("spark-build-sample"))


@pytest.fixture(scope="module")
def cluster(java: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkCluster]:
    scratch = tmp_path_factory.mktemp("spark-build-cluster")
    with SparkCluster(scratch, workers=2, memory="512m", hosts=HOSTS) as cluster:
        yield cluster


@pytest.fixture(params=["disk", "store"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    """Each kind of place in turn. Without a store to test on, that one is skipped."""
    if request.param == "disk":
        return OnDisk(tmp_path / "lake")
    return InStore(request.getfixturevalue("conditional_store"), request.getfixturevalue("prefix"))


def build(
    cluster: SparkCluster | None,
    scratch: Path,
    arguments: list[str | Path],
    flowlake: Path | None = None,
    environment: dict[str, str] | None = None,
    settings: dict[str, str] | None = None,
    submit: bool = True,
    here: Path | None = None,
) -> Driver:
    """Starts a driver. Without `flowlake` its executors find the binary in their environment. `here` is its own."""
    found = str(binary().absolute())
    environment = (environment or local_environment()) | {"FLOWLAKE_BIN": str(here or found)}
    settings = {"spark.executorEnv.FLOWLAKE_BIN": found} | (settings or {})
    named = ["--flowlake", flowlake] if flowlake else []
    return Driver(cluster, scratch / "driver", [*arguments, *named], environment, settings, submit)


def table(built: Built) -> dict[str, str]:
    """The table at the end: names and figures."""
    lines = [line.strip().rsplit("  ", 1) for line in built.stdout.splitlines()]
    return {line[0].strip(): line[1].strip() for line in lines if len(line) == 2}


def missing(sample: Sample, lake: Path) -> list[int]:
    """Tasks that the next run has to do, by flowlake itself."""
    plan = lake.parent / "next.json"
    run("plan", *sample.arguments(lake), "--output-plan", plan)
    return [int(line) for line in run("task", "--plan", plan, "--missing").stdout.split()]


# ---- what is asked for


def test_the_lake_of_one_machine(cluster: SparkCluster, sample: Sample, tmp_path: Path):
    stand_in = StandIn(tmp_path)
    target = OnDisk(tmp_path / "lake")
    built = build(cluster, tmp_path, target.arguments(sample), stand_in.path).end()
    assert built.code == 0, str(built)
    assert_same(target, sample)
    # Each task once, and both workers had some.
    assert stand_in.tried() == list(range(len(sample.tasks)))
    used = [any(call.directory.is_relative_to(cluster.work_directory(n)) for call in stand_in.calls()) for n in (0, 1)]
    assert used == [True, True]
    # The table of `flowlake commit`, and the progress of the driver.
    assert table(built)["rows read"] == f"{sample.rows:,}"
    tasks = len(sample.tasks)
    assert f"{tasks} of {tasks} tasks done, {sample.rows:,} rows read" in built.said


def test_a_driver_without_spark_submit_and_a_binary_that_executors_find(
    cluster: SparkCluster, sample: Sample, tmp_path: Path
):
    target = OnDisk(tmp_path / "lake")
    arguments = [*target.arguments(sample), "--jobs", "1", "--memory-limit", "256MiB", "--progress", "none"]
    built = build(cluster, tmp_path, arguments, submit=False).end()
    assert built.code == 0, str(built)
    assert_same(target, sample)
    assert "tasks done" not in built.said
    # A second time it is in the way, and Spark is not even asked.
    again = build(None, tmp_path, arguments, submit=False).end()
    assert again.code == 4, str(again)
    assert "--replace" in again.said
    assert_same(target, sample)


def test_a_store_and_a_binary_that_is_shipped(
    cluster: SparkCluster, sample: Sample, conditional_store: Store, prefix: str, tmp_path: Path
):
    stand_in = StandIn(tmp_path)
    (tmp_path / "driver" / "here").mkdir(parents=True)
    shutil.copy(stand_in.path, tmp_path / "driver" / "here" / "shipped")
    # There for the driver alone: executors have other working directories.
    named = Path("/proc/self/cwd/here/shipped")
    target = InStore(conditional_store, prefix)
    # The workers were started with credentials and a region, but were told no endpoint: that comes with the tasks.
    built = build(cluster, tmp_path, target.arguments(sample), named, target.environment).end()
    assert built.code == 0, str(built)
    assert_same(target, sample)
    calls = stand_in.calls()
    assert sorted(call.index for call in calls) == list(range(len(sample.tasks)))
    assert {call.program.name for call in calls} == {"shipped"}
    assert all(call.program.parent != named.parent for call in calls), calls
    # Credentials are neither printed, nor in what Spark keeps.
    secret = target.environment["AWS_SECRET_ACCESS_KEY"]
    assert secret not in built.said
    kept = [path for path in cluster.scratch.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
    assert kept == []


# ---- what goes wrong


def test_a_worker_that_is_killed(cluster: SparkCluster, sample: Sample, target: Target, tmp_path: Path):
    # The first try of the first two tasks does not end.
    wait = '0 | 1) while [ $first = 1 ] && [ ! -e "$state/go" ]; do sleep 0.05; done;;'
    stand_in = StandIn(tmp_path, wait)
    driver = build(cluster, tmp_path, target.arguments(sample), stand_in.path, target.environment)
    killed = []
    try:
        driver.wait_until(lambda: {0, 1} <= set(stand_in.tried()), "two executors are at work")
        (held,) = [call for call in stand_in.calls() if call.index == 0]
        killed = [n for n in cluster.numbers if held.directory.is_relative_to(cluster.work_directory(n))]
        cluster.kill_worker(*killed)
        stand_in.say("go")
        built = driver.end()
    finally:
        driver.kill()
        for number in killed:
            cluster.replace_worker(number)
    assert built.code == 0, str(built)
    assert_same(target, sample)
    tried = stand_in.tried()
    assert tried.count(0) == 2
    assert set(tried) == set(range(len(sample.tasks)))


def test_two_copies_of_a_task_at_once(cluster: SparkCluster, sample: Sample, target: Target, tmp_path: Path):
    # The first waits for the second, and then both run. It has the one executor all the time, the other does the rest.
    meet = '0) [ $first = 1 ] || touch "$state/second"; while [ ! -e "$state/second" ]; do sleep 0.01; done;;'
    stand_in = StandIn(tmp_path, meet)
    arguments = target.arguments(sample)
    built = build(cluster, tmp_path, arguments, stand_in.path, target.environment, SPECULATION).end()
    assert built.code == 0, str(built)
    assert_same(target, sample)
    assert stand_in.tried().count(0) == 2


def test_failures_that_last_or_pass_and_a_next_run(cluster: SparkCluster, sample: Sample, tmp_path: Path):
    dumps = tmp_path / "dumps"
    shutil.copytree(sample.dumps, dumps)
    damaged = dumps / "qrio_hub.tar.gz"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:-500] + bytes(500))
    tasks = list(range(len(sample.tasks)))
    lasting = sample.tasks.index("qrio_hub")
    passing, killed = [index for index in tasks if index != lasting][-2:]
    stand_in = StandIn(
        tmp_path,
        f'{passing}) [ $first = 0 ] || {{ echo "error: no space" >&2; exit 4; }};;\n'
        f"{killed}) [ $first = 0 ] || kill -9 $$;;",
    )
    lake = tmp_path / "lake"
    built = build(cluster, tmp_path, sample.arguments(lake, dumps), stand_in.path).end()
    assert built.code == 3, str(built)
    # What flowlake says of it, with part and offset, and where it was said.
    assert re.search(rf"task {lasting}, dump qrio_hub, on \S+\ncaused by: dump qrio_hub: ", built.error()), str(built)
    assert "in part qrio_hub.tar.gz at byte " in built.error()
    assert f"nothing was published; 1 of {len(tasks)} tasks failed" in built.error()
    assert "no space" not in built.error()
    assert not lake.exists()
    # No machine could do better: it was tried once. The others were done all the same.
    assert stand_in.tried() == sorted([*tasks, passing, killed])

    # The dump is what it was when the plan was made, but for its bytes.
    stand_in.forget()
    damaged.write_bytes(whole)
    again = build(cluster, tmp_path, sample.arguments(lake, dumps), stand_in.path).end()
    assert again.code == 0, str(again)
    assert stand_in.tried() == [lasting]
    assert_same(OnDisk(lake), sample)


def test_a_failure_that_does_not_pass_in_time(java: None, sample: Sample, tmp_path: Path):
    stand_in = StandIn(tmp_path, '3) echo "error: no space left on the device" >&2; exit 4;;')
    lake = tmp_path / "lake"
    # Spark in one process tries again only if its name says so, which is left to the driver.
    arguments = [*sample.arguments(lake), "--master", "local[2]", "--retries", "1"]
    built = build(None, tmp_path, arguments, stand_in.path, submit=False).end()
    assert built.code == 4, str(built)
    assert f"task 3, dump {sample.tasks[3]}, on " in built.error()
    assert "caused by: no space left on the device" in built.error()
    assert stand_in.tried().count(3) == 2
    assert not lake.exists()
    # What others did is kept for the next run.
    assert 0 not in missing(sample, lake)


@pytest.mark.parametrize(("master", "path"), [("no-cluster", None), ("local[1]", "nowhere")], ids=["a master", "Java"])
def test_spark_that_does_not_start(java: None, sample: Sample, tmp_path: Path, master: str, path: str | None):
    environment = local_environment() | ({"PATH": path, "JAVA_HOME": str(tmp_path)} if path else {})
    lake = tmp_path / "lake"
    arguments = [*sample.arguments(lake), "--master", master]
    built = build(None, tmp_path, arguments, environment=environment, submit=False).end()
    assert built.code == 6, str(built)
    assert "Java gateway process exited" in built.error()
    assert "Spark failed, and nothing was published" in built.error()
    assert "Traceback" not in built.said
    assert not lake.exists()


def test_executors_without_a_binary(java: None, sample: Sample, tmp_path: Path):
    lake = tmp_path / "lake"
    arguments = [*sample.arguments(lake), "--master", "local[1]"]
    settings = {"spark.executorEnv.FLOWLAKE_BIN": "/nowhere/flowlake"}
    built = build(None, tmp_path, arguments, settings=settings, submit=False).end()
    assert built.code == 6, str(built)
    assert re.search(r"task \d+, dump \w+, on \S+\ncaused by: FileNotFoundError: .*/nowhere/flowlake", built.error())
    assert "nothing was published" in built.error()
    assert not lake.exists()


def test_a_cluster_with_no_room(cluster: SparkCluster, sample: Sample, tmp_path: Path):
    lake = tmp_path / "lake"
    driver = build(cluster, tmp_path, [*sample.arguments(lake), "--jobs", "64"], submit=False)
    try:
        driver.wait_until(
            lambda: "no executor has begun a task" in "".join(driver.said()), "the driver says that it waits"
        )
        driver.signal(signal.SIGTERM, everyone=False)
        built = driver.end()
        wait_until(lambda: driver.members() == [], "all of the driver has ended")
    finally:
        driver.kill()
    assert built.code == 130, str(built)
    assert "enough free cores (--jobs)" in built.said
    assert len(missing(sample, lake)) == len(sample.tasks)


@pytest.mark.parametrize(
    ("submit", "everyone"),
    [(False, True), (True, True), (True, False)],
    ids=["Python and Ctrl-C", "spark-submit and Ctrl-C", "spark-submit and SIGTERM"],
)
def test_a_driver_that_is_told_to_end(
    cluster: SparkCluster, sample: Sample, tmp_path: Path, submit: bool, everyone: bool
):
    stand_in = StandIn(tmp_path, '0) [ -e "$state/go" ] || exec sleep 600;;')
    lake = tmp_path / "lake"
    driver = build(cluster, tmp_path, sample.arguments(lake), stand_in.path, submit=submit)
    try:
        driver.wait_until(lambda: len(set(stand_in.tried())) > 3, "executors are at work")
        driver.signal(signal.SIGINT if everyone else signal.SIGTERM, everyone)
        built = driver.end()
        # Also Python, which may end after the virtual machine that has its pipes.
        wait_until(lambda: driver.members() == [], "all of the driver has ended")
    finally:
        driver.kill()
    by_machine = submit and not everyone
    # A virtual machine that gets SIGTERM says so, whatever the program in it says.
    assert built.code == (143 if by_machine else 130), str(built)
    assert "nothing was published" in built.error() or by_machine
    assert "Traceback" not in built.said
    assert not lake.exists()
    (held,) = [call.process for call in stand_in.calls() if call.index == 0]
    wait_until(lambda: not is_alive(held), "the task on the executor has ended")
    # Others may have ended between their last word and that of Spark.
    left = missing(sample, lake)
    assert 0 in left
    assert len(left) < len(sample.tasks)
    if not by_machine:
        return
    stand_in.forget()
    stand_in.say("go")
    again = build(cluster, tmp_path, sample.arguments(lake), stand_in.path).end()
    assert again.code == 0, str(again)
    assert stand_in.tried() == left
    assert_same(OnDisk(lake), sample)


def is_alive(process: int) -> bool:
    said = subprocess.run(["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True).stdout.strip()
    return bool(said) and not said.startswith("Z")


# ---- two at once


def test_two_drivers_at_once(cluster: SparkCluster, sample: Sample, target: Target, tmp_path: Path):
    # An executor for each.
    settings = {"spark.cores.max": "1"}
    arguments = target.arguments(sample)
    drivers = [
        build(cluster, tmp_path / name, arguments, None, target.environment, settings, submit=False)
        for name in ("first", "second")
    ]
    try:
        ended = [driver.end() for driver in drivers]
    finally:
        for driver in drivers:
            driver.kill()
    said = "\n".join(map(str, ended))
    won, lost = sorted(built.code for built in ended)
    assert won == 0, said
    assert lost in CONFLICTS, said
    assert_same(target, sample)


@pytest.mark.parametrize("way", ["build", "plan"])
def test_a_driver_that_is_late(cluster: SparkCluster, sample: Sample, tmp_path: Path, way: str):
    """Somebody else has published before it: a conflict, and the lake is the other's."""
    stand_in = StandIn(tmp_path, '1) while [ $first = 1 ] && [ ! -e "$state/go" ]; do sleep 0.05; done;;')
    target = OnDisk(tmp_path / "lake")
    driver = build(cluster, tmp_path, target.arguments(sample), stand_in.path, submit=False)
    try:
        driver.wait_until(lambda: 1 in stand_in.tried(), "a task of the driver waits")
        if way == "build":
            run("build", *target.arguments(sample))
        else:
            left = missing(sample, target.lake)
            for index in left:
                run("task", "--plan", tmp_path / "next.json", "--index", str(index))
            run("commit", "--plan", tmp_path / "next.json")
        stand_in.say("go")
        built = driver.end()
    finally:
        driver.kill()
    assert built.code in CONFLICTS, str(built)
    assert f"a lake is at {target.lake} already" in built.error()
    # It was not tried again, and nothing of it is left.
    assert stand_in.tried().count(1) == 1
    assert_same(target, sample)


# ---- the commit of a driver, without Spark: all tasks are done


def done(sample: Sample, lake: Path) -> list[str | Path]:
    """Runs the tasks of a small lake. Gives the arguments of its build."""
    arguments = sample.arguments(lake, devices=sample.devices[:2])
    plan = lake.parent / "plan.json"
    run("plan", *arguments, "--output-plan", plan)
    for index in ("0", "1"):
        run("task", "--plan", plan, "--index", index)
    return arguments


def test_a_commit_after_one_that_was_killed(sample: Sample, tmp_path: Path):
    lake = tmp_path / "lake"
    arguments = done(sample, lake)
    # The manifest is larger than this: the first commit is ended by a signal while it writes it.
    limited = StandIn(tmp_path, commands="commit) ulimit -f 8;;")
    killed = build(None, tmp_path, arguments, submit=False, here=limited.path).end()
    assert killed.code == 6, str(killed)
    assert f"flowlake commit was ended by signal {signal.SIGXFSZ.value}" in killed.error()
    assert not lake.exists()
    again = build(None, tmp_path, arguments, submit=False).end()
    assert again.code == 0, str(again)
    run("verify", lake)
    run("build", *sample.arguments(tmp_path / "one-machine", devices=sample.devices[:2]))
    assert contents(lake) == contents(tmp_path / "one-machine")
    assert beside(lake) == []


@pytest.mark.parametrize("fresh", [True, False], ids=["fresh", "replace"])
def test_a_commit_that_finds_a_lake(sample: Sample, tmp_path: Path, fresh: bool):
    """A plan that lost leaves nothing; one that replaces wins."""
    lake = tmp_path / "lake"
    other = shlex.join(map(str, ["build", *sample.arguments(lake)]))
    faster = StandIn(tmp_path, commands=f'commit) [ -e {shlex.quote(str(lake))} ] || "$flowlake" {other} || exit 99;;')
    arguments = done(sample, lake) if fresh else [*sample.arguments(lake, devices=sample.devices[:2]), "--replace"]
    if not fresh:
        run("plan", *arguments, "--output-plan", tmp_path / "plan.json")
        for index in ("0", "1"):
            run("task", "--plan", tmp_path / "plan.json", "--index", index)
    built = build(None, tmp_path, arguments, submit=False, here=faster.path).end()
    assert beside(lake) == []
    if fresh:
        assert built.code == 4, str(built)
        assert f"a lake is at {lake} already" in built.error()
        assert "what the tasks of this build made was removed" in built.error()
        assert contents(lake) == contents(sample.lake)
    else:
        assert built.code == 0, str(built)
        assert contents(lake) != contents(sample.lake)
        run("verify", lake)


@pytest.mark.parametrize("publish", [True, False], ids=["a lake of others", "nothing there"])
def test_a_plan_that_is_given_up_in_a_store(
    sample: Sample, conditional_store: Store, prefix: str, tmp_path: Path, publish: bool
):
    target = InStore(conditional_store, prefix)
    url, plan = conditional_store.url(target.lake), tmp_path / "plan.json"
    given = sample.arguments(url, devices=sample.devices[:2])
    others = sample.arguments(url, devices=sample.devices[2:4])

    def flowlake(*arguments: str | Path) -> None:
        assert stores.flowlake(*arguments, environment=target.environment).code == 0

    flowlake("plan", *given, "--output-plan", plan)
    for index in ("0", "1"):
        flowlake("task", "--plan", plan, "--index", index)
    if not publish:
        flowlake("commit", "--abandon", "--plan", plan)
        assert target.contents() == {}
        return
    # As if these tasks had been at work while somebody else published: a build deletes what it finds.
    made = target.contents()
    lost = StandIn(tmp_path, commands='commit) : >"$state/commits"; while [ ! -e "$state/go" ]; do sleep 0.05; done;;')
    driver = build(None, tmp_path, given, environment=target.environment, submit=False, here=lost.path)
    try:
        driver.wait_until((lost.state / "commits").exists, "it commits")
        flowlake("build", *others)
        lake = target.contents()
        for name, content in made.items():
            conditional_store.put(target.lake + name, content)
        lost.say("go")
        built = driver.end()
    finally:
        driver.kill()
    assert built.code == 4, str(built)
    assert target.contents() == lake


def test_a_commit_while_another_is_at_work(sample: Sample, tmp_path: Path):
    """What the tasks made may be what the other one is publishing: it stays, and the driver says how to remove it."""
    lake = tmp_path / "lake"
    arguments = done(sample, lake)
    before = contents(tmp_path / ".")
    with (tmp_path / ".lake.flowlake-lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        built = build(None, tmp_path, arguments, submit=False).end()
    assert built.code == 5, str(built)
    kept = {name: content for name, content in before.items() if name.startswith(".lake.flowlake-plan-")}
    assert kept.items() <= contents(tmp_path / ".").items()
    (plan,) = re.findall(r"flowlake commit --abandon --plan (\S+)", built.error())
    run("commit", "--abandon", "--plan", plan)
    assert [name for name in beside(lake) if "plan" in name] == []


def test_a_driver_that_is_told_to_end_at_its_commit(sample: Sample, tmp_path: Path):
    lake = tmp_path / "lake"
    arguments = done(sample, lake)
    waits = StandIn(tmp_path, commands='commit) : >"$state/commits"; exec sleep 600;;')
    driver = build(None, tmp_path, arguments, submit=False, here=waits.path)
    try:
        driver.wait_until((waits.state / "commits").exists, "it commits")
        driver.signal(signal.SIGTERM, everyone=False)
        built = driver.end()
    finally:
        driver.kill()
    assert built.code == 130, str(built)
    assert not lake.exists()
    again = build(None, tmp_path, arguments, submit=False).end()
    assert again.code == 0, str(again)
    run("verify", lake)
