"""docs/scale-out.md and config/scale-out: commands are run as they stand there, and the lake is that of one machine.

Clusters are not there. In their place stand programs of the same names (`kubectl`, `aws`, `sbatch`, `podman`) that note
how they were called; the tests then do what the cluster would: run the command of the file for every number, in
disorder, and the commit. What a file may hold is checked against the fields of Kubernetes (a schema) and of AWS (the
model of botocore).
"""

from __future__ import annotations

import json
import os
import random
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import botocore.session
import jsonschema
import pytest
import yaml
from botocore.validate import ParamValidator

from cookbook import slug
from engines.java import missing_java
from lakes import REPOSITORY
from lakes import run as flowlake
from object_stores.servers import TEST_CREDENTIALS
from object_stores.stores import Store
from scale_out.aws_batch import batch_file, from_file, unknown
from scale_out.desk import RECIPES, TIMEOUT_SECONDS, Desk, content
from scale_out.kubernetes import JOB, KUBERNETES, container, job, run_pod, size
from scale_out.page import BLOCKS, PAGE, TEXT, blocks_of

SCALE = "0.0005"
REPEATED = "What may be killed and repeated"
CONTAINERS = "Containers and batch systems"


@pytest.fixture(scope="module")
def one_machine(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    """Dumps, and what `flowlake build` makes of them."""
    place = tmp_path_factory.mktemp("one-machine")
    flowlake("sample", "--output", place / "dumps", "--scale", SCALE, "--seed", "9")
    catalogue = place / "dumps" / "catalogue.toml"
    flowlake("build", "--config", catalogue, "--input", place / "dumps", "--output", place / "lake")
    return place / "dumps", content(place / "lake")


@pytest.fixture
def desk(tmp_path: Path, one_machine: tuple[Path, dict[str, bytes]]) -> Desk:
    """A desk with the dumps of one machine, as `walk/dumps`."""
    desk = Desk(tmp_path / "clone")
    (desk.root / "walk").mkdir()
    (desk.root / "walk" / "dumps").symlink_to(one_machine[0])
    return desk


def on_disk(code: str) -> str:
    """A block with directories for what it has in a bucket: there is no such bucket, and the task is the same."""
    return code.replace("s3://flows/raw", "walk/dumps").replace("s3://flows/lake", "walk/lake")


def in_disorder(number: int) -> list[int]:
    numbers = list(range(number))
    random.Random(number).shuffle(numbers)
    return numbers


# ---- the page


def test_how_it_works(tmp_path: Path):
    desk = Desk(tmp_path / "clone")
    first, *more = blocks_of("How it works")
    compared = [code for code in more if code.startswith("flowlake build")]
    desk.shell("\n".join([first, *compared]))
    assert content(desk.root / "walk" / "lake") == content(desk.root / "walk" / "one-machine")
    assert {path.name for path in (desk.root / "walk").iterdir()} == {"dumps", "lake", "one-machine", "plan.json"}


TASK = "flowlake task --plan walk/plan.json --jobs 1 --progress none --index"
COMMIT = ["flowlake", "commit", "--plan", "walk/plan.json"]


def plan_as_the_page(desk: Desk) -> list[int]:
    """Runs the page's plan for the disk, and gives the numbers of its tasks."""
    code = blocks_of("How it works")[0].splitlines()[1]
    assert code.startswith("flowlake plan")
    desk.shell(code)
    return list(range(desk.tasks()))


def run_tasks(desk: Desk, numbers: list[int]) -> None:
    desk.shell(f"for n in {' '.join(map(str, numbers))}; do {TASK} $n; done")


def hidden(desk: Desk) -> list[str]:
    """What lies beside a lake without being one."""
    return [path.name for path in (desk.root / "walk").iterdir() if path.name.startswith(".")]


def expect_a_lake_already(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 4, done.stderr
    assert re.match(r"error: a lake is at \S+ already\n", done.stderr), done.stderr


def test_what_is_said_of_repeating(desk: Desk, one_machine: tuple[Path, dict[str, bytes]]):
    numbers = plan_as_the_page(desk)
    listing, abandon = blocks_of("How it works", REPEATED)
    assert desk.shell(listing).strip() == ",".join(map(str, numbers))
    # Two at once, and again when it was done.
    desk.shell(f"{TASK} 3 & {TASK} 3; wait $!")
    assert "done before" in desk.shell(f"{TASK} 3")
    assert desk.missing() == [number for number in numbers if number != 3]
    assert desk.run(COMMIT).returncode == 3
    assert not (desk.root / "walk" / "lake").exists()
    assert desk.run(shlex.split(f"{TASK} {len(numbers)}")).returncode == 2
    # Given up, and begun anew.
    desk.shell(abandon)
    assert hidden(desk) == []
    assert desk.missing() == numbers
    run_tasks(desk, numbers)
    # The manifest is larger than this, so the commit is ended by a signal while it writes it.
    killed = desk.run(["sh", "-c", 'ulimit -f 8; exec "$@"', "sh", *COMMIT])
    assert killed.returncode == -signal.SIGXFSZ, killed.stderr
    assert not (desk.root / "walk" / "lake").exists()
    assert desk.missing() == []
    desk.shell(shlex.join(COMMIT))
    assert content(desk.root / "walk" / "lake") == one_machine[1]
    # Once it is published: by hand, and as a scheduler does that tries again.
    again = {"PLAN": "walk/plan.json", "JOB_COMPLETION_INDEX": "0"}
    for command in (COMMIT, shlex.split(f"{TASK} 0")):
        expect_a_lake_already(desk.run(command))
    for step, more in [("commit", {}), ("tasks", {}), ("tasks", {"ELEMENTS": "8"})]:
        expect_a_lake_already(desk.run([str(RECIPES / "step.sh"), step], again | more))
    assert hidden(desk) == []
    # Somebody who abandons it then does it no harm.
    desk.shell(abandon)
    assert content(desk.root / "walk" / "lake") == one_machine[1]
    assert desk.missing() == numbers


def test_a_lake_of_somebody_else_is_left_alone(desk: Desk, one_machine: tuple[Path, dict[str, bytes]]):
    run_tasks(desk, plan_as_the_page(desk))
    shutil.copytree(one_machine[0].parent / "lake", desk.root / "walk" / "lake")
    expect_a_lake_already(desk.run(COMMIT))
    assert len(hidden(desk)) == 1
    desk.shell(blocks_of("How it works", REPEATED)[1])
    assert hidden(desk) == []
    assert content(desk.root / "walk" / "lake") == one_machine[1]


def test_a_task_at_work_when_the_lake_is_published(desk: Desk, one_machine: tuple[Path, dict[str, bytes]]):
    numbers = plan_as_the_page(desk)
    abandon = blocks_of("How it works", REPEATED)[1]
    for _ in range(50):
        late = subprocess.Popen(
            shlex.split(f"{TASK} 0"), cwd=desk.root, env=desk.environment(), stdout=subprocess.DEVNULL
        )
        try:
            while late.poll() is None and not list(desk.root.glob("walk/.lake.flowlake-plan-*/attempts/*")):
                pass
            late.send_signal(signal.SIGSTOP)
            if desk.missing() != numbers:
                # It was faster.
                late.send_signal(signal.SIGCONT)
                late.wait(timeout=TIMEOUT_SECONDS)
                desk.shell(abandon)
                continue
            run_tasks(desk, numbers)
            desk.shell(shlex.join(COMMIT))
            late.send_signal(signal.SIGCONT)
            late.wait(timeout=TIMEOUT_SECONDS)
            break
        finally:
            late.kill()
            late.wait()
    else:
        pytest.fail("no task was caught at work")
    assert content(desk.root / "walk" / "lake") == one_machine[1]
    (left,) = hidden(desk)
    assert re.fullmatch(r"\.lake\.flowlake-plan-[0-9a-f]{16}", left)
    desk.shell(abandon)
    assert hidden(desk) == []
    assert content(desk.root / "walk" / "lake") == one_machine[1]


@pytest.fixture
def abandoned(desk: Desk, conditional_store: Store, prefix: str) -> Desk:
    """A desk with a plan for a store that was given up when three tasks were done."""
    names = (*TEST_CREDENTIALS, "AWS_SESSION_TOKEN")
    desk.more |= {name: os.environ[name] for name in names if name in os.environ}
    desk.more |= {"AWS_ENDPOINT_URL": conditional_store.endpoint}
    target = conditional_store.url(prefix).rstrip("/")
    desk.shell(blocks_of("How it works")[0].splitlines()[1].replace("walk/lake", target))
    run_tasks(desk, [0, 1, 2])
    assert any(name.startswith(".flowlake-plan-") for name in conditional_store.objects(prefix))
    desk.shell(blocks_of("How it works", REPEATED)[1])
    return desk


def test_a_plan_that_is_given_up_in_a_store(abandoned: Desk, conditional_store: Store, prefix: str):
    assert abandoned.missing() == list(range(abandoned.tasks()))
    assert conditional_store.objects(prefix) == {}


def free_ports(number: int) -> list[int]:
    sockets = [socket.socket() for _ in range(number)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def test_on_spark(tmp_path: Path):
    """The ten minutes: a master, two workers, the build, the comparison. Ports are others, and the sample is small."""
    if reason := missing_java():
        pytest.skip(reason)
    if not (REPOSITORY / "scripts" / "spark_build.py").is_file():
        pytest.skip("scripts/spark_build.py is not there")
    desk = Desk(tmp_path / "clone")
    master, page = free_ports(2)
    code = "\n".join(blocks_of("On Spark")).replace("7077", str(master)).replace("8080", str(page))
    # The environment is the one that this runs in: making another takes minutes.
    for written, here in [("--scale 0.01", f"--scale {SCALE}"), ('"808$worker"', "0"), ("$(scripts/venv)", sys.prefix)]:
        assert written in code
        code = code.replace(written, here)
    settings = {
        "SPARK_DAEMON_MEMORY": "256m",
        "SPARK_LOCAL_DIRS": str(desk.root / "scratch"),
        # Its port is always the same one, so that two clusters could not be on one machine.
        "SPARK_DAEMON_JAVA_OPTS": "-Dspark.master.rest.enabled=false",
    }
    # Whoever reads the page from its top has done this before, in the same clone.
    desk.shell(blocks_of("How it works")[0])
    desk.shell(code, settings)
    assert content(desk.root / "cluster" / "lake") == content(desk.root / "cluster" / "one-machine")
    logs = sorted(path.name for path in (desk.root / "cluster").glob("*.log"))
    assert logs == ["master.log", "worker-1.log", "worker-2.log"]
    # Both had work to do: a directory for each executor.
    assert all(list((desk.root / "cluster" / f"worker-{number}").glob("app-*/*")) for number in (1, 2))


def test_every_shell_block_is_known():
    """What a new block does is tested, or says which cluster it needs."""
    run = {code for place in RUN for code in blocks_of(*place)}
    assert {block.code for block in BLOCKS if block.language == "sh"} == run
    assert {block.language for block in BLOCKS} == {"sh"}


RUN = [
    ("How it works",),
    ("How it works", REPEATED),
    ("On Spark",),
    (CONTAINERS,),
    (CONTAINERS, "Kubernetes"),
    (CONTAINERS, "AWS Batch"),
    (CONTAINERS, "Slurm"),
]


def test_links_lead_somewhere():
    links = re.findall(r"\]\(([^)]+)\)", TEXT)
    assert len(links) > 20
    for link in links:
        name, _, anchor = link.partition("#")
        target = (PAGE.parent / name).resolve() if name else PAGE
        assert target.exists(), link
        if anchor:
            titles = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
            assert slug(anchor) in {slug(re.sub(r"[`,.:]", "", title)) for title in titles}, link


def test_the_figures_worked_out_follow_from_what_is_assumed():
    """Of 10 TB of JSON and 10 TB of archives: everything that is a product of the figures in the table above them."""
    _, _, text = TEXT.partition("## 10 TB a day, worked out")
    rows = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in text.splitlines() if line[:2] == "| "]
    table = {cells[0]: cells[1:] for cells in rows if len(cells) == 3}
    ratio, share, bytes_kept, seconds, devices = 24.1, 0.51, 37.5, 3.5, 2000
    for column, json_bytes in enumerate((10e12, 10e12 * ratio)):
        archives, flows = json_bytes / ratio, json_bytes / 1250
        lake, core_seconds = flows * share * bytes_kept, json_bytes / 1e9 * seconds
        files = devices * -(-flows * share / devices // 10e6)
        gets, puts = archives / 2**21, files * (2 + -(-lake / files // 2**23))
        expected = {
            "lake": [lake / 1e12],
            "core hours": [core_seconds / 3600],
            "executors of 2 cores to be done in an hour": [core_seconds / 3600 / 2],
            "tasks; JSON of one; time of one": [devices, json_bytes / devices / 1e9, core_seconds / devices / 2],
            "data files (10 million rows at most)": [files, lake / files / 1e6],
            "HEAD, one a file and two a task; GET and PUT of what tasks say": [
                files + 2 * devices,
                2 * devices,
                devices,
            ],
            "requests a second, over one hour": [gets / 3600, puts / 3600],
            "price of requests": [
                (gets + files + 4 * devices) * 0.0004 / 1000 + (puts + devices) * 0.005 / 1000,
            ],
            "commit: GET of what tasks said, 64 at a time, 30 ms each": [devices / 64 * 0.03],
            # Of what tasks said, twice of everything, of data; and of rejected lines and lists, where there are none.
            "commit: lists of 1,000 names": [devices / 1e3 + 2 * (devices + files) / 1e3 + files / 1e3 + 2],
            "manifest (535 bytes a file, 965 a dump)": [(files * 535 + devices * 965) / 1e6],
        }
        for name, figures in expected.items():
            written = re.findall(r"[\d,]*\d(?:\.\d+)?", table[name][column].replace("JSON", ""))
            shown = [float(figure.replace(",", "")) for figure in written]
            assert shown == pytest.approx(figures, rel=0.06), name


# ---- the image


def test_the_image_is_made_of_files_that_are_there():
    text = (RECIPES / "Containerfile").read_text()
    channel = tomllib.loads((REPOSITORY / "rust-toolchain.toml").read_text())["toolchain"]["channel"]
    version = tomllib.loads((REPOSITORY / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    assert f"FROM docker.io/library/rust:{channel}-" in text
    assert f"RUSTUP_TOOLCHAIN={channel}\n" in text
    copied = [line.split()[1:-1] for line in text.splitlines() if line.startswith("COPY ") and "--from" not in line]
    names = {name for sources in copied for name in sources}
    assert {"Cargo.toml", "Cargo.lock", "crates", "config", "config/scale-out/step.sh"} <= names
    assert all((REPOSITORY / name).exists() for name in names)
    assert os.access(RECIPES / "step.sh", os.X_OK)
    # Every member of the workspace, and whatever their manifests name outside of them, or cargo does not begin.
    manifests = [*REPOSITORY.glob("crates/*/Cargo.toml"), REPOSITORY / "fuzz" / "Cargo.toml"]
    named = {
        (manifest.parent / path).resolve().relative_to(REPOSITORY).parts[0]
        for manifest in manifests
        for path in re.findall(r'^path = "([^"]+)"', manifest.read_text(), re.MULTILINE)
    }
    assert named | {"fuzz"} <= names
    images = [json.loads((RECIPES / "aws-batch-job.json").read_text())["containerProperties"]["image"]]
    images += [container(job(name))["image"] for name in KUBERNETES]
    assert set(images) == {f"registry.example.org/flowlake:{version}"}
    assert images[0] in text


def test_the_image_is_built_as_the_page_says(desk: Desk):
    for code in blocks_of(CONTAINERS):
        desk.shell(code)
    build, push = desk.calls()
    assert (desk.root / build.option("--file")).samefile(RECIPES / "Containerfile")
    assert build.option("--tag") == push.arguments[-1]


# ---- Kubernetes


@pytest.mark.parametrize("name", KUBERNETES)
def test_a_job_of_kubernetes_has_the_fields_of_one(name: str):
    jsonschema.validate(job(name), JOB)
    spec = job(name)["spec"]
    pod, one = spec["template"]["spec"], container(job(name))
    assert {mount["name"] for mount in one["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    mounted = [mount["mountPath"] for mount in one["volumeMounts"]]
    environment = {variable["name"]: variable["value"] for variable in one["env"]}
    # The root of the image cannot be written to.
    assert environment["TMPDIR"] in mounted
    assert str(Path(environment["PLAN"]).parent) in mounted
    for rule in spec["podFailurePolicy"]["rules"]:
        assert ("onExitCodes" in rule) != ("onPodConditions" in rule)
        assert rule.get("onExitCodes", {}).get("containerName", one["name"]) == one["name"]
    limits = one["resources"]["limits"]
    for resource, quantity in one["resources"]["requests"].items():
        assert size(quantity) <= size(limits.get(resource, quantity))


def test_only_the_tasks_are_indexed():
    tasks, commit = (job(name)["spec"] for name in KUBERNETES)
    assert tasks["completionMode"] == "Indexed"
    assert "backoffLimitPerIndex" in tasks
    assert "completionMode" not in commit
    assert {rule["action"] for rule in commit["podFailurePolicy"]["rules"]} == {"Ignore", "FailJob"}
    arguments = container(job(KUBERNETES[0]))["args"]
    memory = size(arguments[arguments.index("--memory-limit") + 1])
    assert memory + 64 * 2**20 < size(container(job(KUBERNETES[0]))["resources"]["limits"]["memory"])


def test_a_store_that_did_not_answer_is_tried_again():
    """Exit codes: 4 may be one, of a task and of a commit, and so may 3 of a task. 130 is somebody who ended it."""
    ends = {}
    for name in KUBERNETES:
        rules = job(name)["spec"]["podFailurePolicy"]["rules"]
        ends[name] = {code for rule in rules for code in rule.get("onExitCodes", {}).get("values", [])}
    for name in ("aws-batch-job.json", "aws-batch-commit.json"):
        rules = batch_file(name)["retryStrategy"]["evaluateOnExit"]
        ends[name] = {int(rule["onExitCode"]) for rule in rules if rule["action"] == "EXIT"}
    assert all(codes.isdisjoint({4, 130, 137, 143}) and {1, 2} <= codes for codes in ends.values()), ends
    assert {name for name, codes in ends.items() if 3 in codes} == {"kubernetes-commit.yaml", "aws-batch-commit.json"}


@pytest.mark.parametrize("elements", [None, 4])
def test_kubernetes(desk: Desk, one_machine: tuple[Path, dict[str, bytes]], elements: int | None):
    desk.shell(on_disk("\n".join(blocks_of(CONTAINERS, "Kubernetes"))))
    create, apply, wait, commit, wait_for_commit = desk.calls()
    assert create.arguments[:3] == ["create", "configmap", "flowlake-plan"]
    key, _, plan = create.option("--from-file").partition("=")
    (applied,) = yaml.safe_load_all(apply.given)
    assert wait.arguments[-1] == f"job/{applied['metadata']['name']}"
    committed = yaml.safe_load((desk.root / commit.option("--filename")).read_text())
    assert wait_for_commit.arguments[-1] == f"job/{committed['metadata']['name']}"
    for each in (applied, committed):
        jsonschema.validate(each, JOB)
        (volume,) = (volume for volume in each["spec"]["template"]["spec"]["volumes"] if "configMap" in volume)
        assert volume["configMap"]["name"] == "flowlake-plan"
        (value,) = (variable["value"] for variable in container(each)["env"] if variable["name"] == "PLAN")
        assert Path(value).name == key
    assert applied["spec"]["completions"] == desk.tasks()
    more = {} if elements is None else {"ELEMENTS": str(elements)}
    for number in in_disorder(elements or desk.tasks()):
        run_pod(desk, applied, desk.root / plan, {"JOB_COMPLETION_INDEX": str(number)} | more)
    assert desk.missing() == []
    run_pod(desk, committed, desk.root / plan, {})
    assert content(desk.root / "walk" / "lake") == one_machine[1]


def test_a_build_that_was_broken_off_goes_on_with_the_same_commands(desk: Desk):
    code = on_disk("\n".join(blocks_of(CONTAINERS, "Kubernetes")))
    desk.shell(code)
    run_tasks(desk, [number for number in in_disorder(desk.tasks()) if number not in (5, 20)])
    desk.shell(code)
    applied = [yaml.safe_load(call.given)["spec"]["completions"] for call in desk.calls() if call.given]
    assert applied == [desk.tasks(), 21]


# ---- AWS Batch


@pytest.mark.parametrize(
    ("name", "operation"),
    [
        ("aws-batch-job.json", "RegisterJobDefinition"),
        ("aws-batch-tasks.json", "SubmitJob"),
        ("aws-batch-commit.json", "SubmitJob"),
    ],
)
def test_files_for_aws_batch_have_the_fields_of_its_operations(name: str, operation: str):
    model = botocore.session.get_session().get_service_model("batch")
    shape = model.operation_model(operation).input_shape
    # The validator knows types and what is required, and passes over what it does not know.
    report = ParamValidator().validate(batch_file(name), shape)
    assert not report.has_errors(), report.generate_report()
    assert list(unknown(batch_file(name), shape)) == []
    retry = batch_file(name).get("retryStrategy", {})
    assert len(retry.get("evaluateOnExit", [])) <= 5
    assert 1 <= retry.get("attempts", 1) <= 10


def test_what_is_misspelt_for_aws_batch_is_noticed():
    shape = botocore.session.get_session().get_service_model("batch").operation_model("SubmitJob").input_shape
    assert list(unknown({"arrayProperties": {"sise": 3}, "jobname": ""}, shape)) == ["arrayProperties.sise", "jobname"]


@pytest.mark.parametrize("elements", [None, 3])
def test_aws_batch(desk: Desk, one_machine: tuple[Path, dict[str, bytes]], elements: int | None):
    desk.shell(on_disk("\n".join(blocks_of(CONTAINERS, "AWS Batch"))))
    _copy, register, array, commit = desk.calls()
    definition, tasks, committed = (from_file(desk, call) for call in (register, array, commit))
    assert tasks["jobDefinition"] == committed["jobDefinition"] == definition["jobDefinitionName"]
    assert array.option("--array-properties") == f"size={desk.tasks()}"
    assert commit.option("--depends-on") == "jobId=4711"
    assert "arrayProperties" not in committed
    properties = definition["containerProperties"]
    environment = {variable["name"]: variable["value"] for variable in properties["environment"]}
    desk.install_step()
    more = {} if elements is None else {"ELEMENTS": str(elements)}
    for number in in_disorder(elements or desk.tasks()):
        index = {"AWS_BATCH_JOB_ARRAY_INDEX": str(number)}
        done = desk.run(properties["command"], environment | index | more)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("task "), done.stdout
    done = desk.run(committed["containerOverrides"]["command"], environment)
    assert done.returncode == 0, done.stderr
    assert content(desk.root / "walk" / "lake") == one_machine[1]
    # A plan in a bucket is fetched by each.
    assert sum(call.arguments[:2] == ["s3", "cp"] for call in desk.calls()) == (elements or desk.tasks()) + 2


# ---- Slurm


def test_slurm_reads_its_options():
    lines = (RECIPES / "slurm-array.sh").read_text().splitlines()
    options = [line for line in lines if line.startswith("#SBATCH ")]
    # Behind the first command Slurm does not look for any.
    first = next(number for number, line in enumerate(lines) if line and not line.startswith("#"))
    assert all(line in lines[:first] for line in options)
    assert {re.match(r"#SBATCH --([\w-]+)", line)[1] for line in options} == {
        "job-name", "cpus-per-task", "mem", "time", "requeue", "output"
    }  # fmt: skip


@pytest.mark.parametrize("elements", [None, 4])
def test_slurm(desk: Desk, one_machine: tuple[Path, dict[str, bytes]], elements: int | None):
    desk.shell("\n".join(blocks_of(CONTAINERS, "Slurm")))
    array, commit = desk.calls()
    assert array.option("--array") == f"0-{desk.tasks() - 1}%8"
    assert commit.option("--dependency") == "afterok:4711"
    script = desk.root / array.arguments[-1]
    environment = {"PLAN": array.environment["PLAN"] or ""}
    more = {} if elements is None else {"ELEMENTS": str(elements)}
    for number in in_disorder(elements or desk.tasks()):
        done = desk.run([str(script)], environment | more | {"SLURM_ARRAY_TASK_ID": str(number)})
        assert done.returncode == 0, done.stderr
    desk.shell(commit.option("--wrap"))
    assert content(desk.root / "walk" / "slurm") == one_machine[1]


# ---- the scripts


SCRIPTS = ["step.sh", "slurm-array.sh"]


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_are_sound(name: str):
    script = RECIPES / name
    shell = "sh" if script.read_text().startswith("#!/bin/sh") else "bash"
    subprocess.run([shell, "-n", script], check=True, timeout=60)
    if shutil.which("shellcheck") is None:
        pytest.skip(f"shellcheck is not installed; {shell} itself read {name}")
    found = subprocess.run(["shellcheck", script], capture_output=True, text=True, timeout=60)
    assert found.returncode == 0, found.stdout


def element(name: str, number: int | str) -> tuple[list[str], dict[str, str]]:
    """What runs an element of an array with each of the scripts."""
    variable, more = ("SLURM_ARRAY_TASK_ID", []) if name == "slurm-array.sh" else ("JOB_COMPLETION_INDEX", ["tasks"])
    return [str(RECIPES / name), *more], {"PLAN": "walk/plan.json", variable: str(number)}


@pytest.mark.parametrize("name", SCRIPTS)
def test_one_task_that_fails_does_not_stop_the_others(
    desk: Desk, one_machine: tuple[Path, dict[str, bytes]], name: str
):
    dumps = desk.root / "walk" / "dumps"
    dumps.unlink()
    shutil.copytree(one_machine[0], dumps)
    plan_as_the_page(desk)
    plan = json.loads(desk.plan.read_text())
    damaged = dumps / plan["tasks"][2]["parts"][0]["name"]
    whole = damaged.read_bytes()
    damaged.write_bytes(b"\0" * len(whole))
    command, environment = element(name, 0)
    done = desk.run(command, environment | {"ELEMENTS": "2"})
    assert done.returncode == 3, done.stderr
    assert damaged.name in done.stderr
    odd = list(range(1, len(plan["tasks"]), 2))
    assert desk.missing() == sorted([2, *odd])
    # Mended, and tried again as schedulers do, it does this one only.
    damaged.write_bytes(whole)
    done = desk.run(command, environment | {"ELEMENTS": "2"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    assert desk.missing() == odd


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize(
    ("number", "more", "said"),
    [
        (4, {"ELEMENTS": "4"}, "ELEMENTS says that there are 4"),
        (1000, {}, "the plan has no task 1000"),
        (0, {"PLAN": "walk/no-plan.json"}, "walk/no-plan.json"),
        (0, {"PLAN": "walk/no-plan.json", "ELEMENTS": "4"}, "walk/no-plan.json"),
    ],
)
def test_an_element_that_is_wrong_says_so(desk: Desk, name: str, number: int, more: dict[str, str], said: str):
    plan_as_the_page(desk)
    command, environment = element(name, number)
    done = desk.run(command, environment | more)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr


@pytest.mark.parametrize("arguments", [["tasks"], ["task"]])
def test_a_step_without_a_number_or_of_another_name_is_refused(desk: Desk, arguments: list[str]):
    done = desk.run([str(RECIPES / "step.sh"), *arguments], {"PLAN": "walk/plan.json"})
    assert done.returncode == 2
    assert "error: " in done.stderr
