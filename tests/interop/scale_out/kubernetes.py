"""Jobs of Kubernetes: which fields they may have, and what a cluster does with one.

The schema is that of batch/v1 for the fields that are used here, and closed: a field that is misspelt or at the wrong
place is refused, as by a server that validates strictly.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import yaml

from scale_out.desk import RECIPES, Desk

KUBERNETES = ["kubernetes-job.yaml", "kubernetes-commit.yaml"]


def job(name: str) -> dict[str, Any]:
    (found,) = yaml.safe_load_all((RECIPES / name).read_text())
    return found


def container(job: dict[str, Any]) -> dict[str, Any]:
    (found,) = job["spec"]["template"]["spec"]["containers"]
    return found


def closed(required: str, /, **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": required.split(),
        "additionalProperties": False,
    }


def several(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": 1}


NAME = {"type": "string", "pattern": r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"}
COUNT = {"type": "integer", "minimum": 0}
TEXT_VALUE = {"type": "string"}
FLAG = {"type": "boolean"}
QUANTITY = {"type": "string", "pattern": r"^[0-9]+(m|Mi|Gi)?$"}
QUANTITIES = closed("memory", **{"cpu": QUANTITY, "memory": QUANTITY, "ephemeral-storage": QUANTITY})
CONTAINER = closed(
    "name image command resources",
    name=NAME,
    image=TEXT_VALUE,
    command=several(TEXT_VALUE),
    args=several(TEXT_VALUE),
    env=several(closed("name value", name=TEXT_VALUE, value=TEXT_VALUE)),
    envFrom=several(closed("secretRef", secretRef=closed("name", name=NAME, optional=FLAG))),
    resources=closed("requests limits", requests=QUANTITIES, limits=QUANTITIES),
    securityContext=closed(
        "",
        allowPrivilegeEscalation=FLAG,
        readOnlyRootFilesystem=FLAG,
        capabilities=closed("drop", drop=several(TEXT_VALUE)),
    ),
    volumeMounts=several(closed("name mountPath", name=NAME, mountPath=TEXT_VALUE, readOnly=FLAG)),
)
POD = closed(
    "containers restartPolicy",
    # With a policy for failed pods, and for tries of each number, nothing else is accepted.
    restartPolicy={"const": "Never"},
    automountServiceAccountToken=FLAG,
    securityContext=closed("", runAsNonRoot=FLAG, runAsUser=COUNT, runAsGroup=COUNT, fsGroup=COUNT),
    containers=several(CONTAINER),
    volumes=several(
        closed("name", name=NAME, configMap=closed("name", name=NAME), emptyDir=closed("", sizeLimit=QUANTITY))
    ),
)
RULE = closed(
    "action",
    action={"enum": ["FailJob", "FailIndex", "Ignore", "Count"]},
    onPodConditions=several(closed("type", type=TEXT_VALUE, status={"enum": ["True", "False", "Unknown"]})),
    onExitCodes=closed(
        "operator values",
        containerName=NAME,
        operator={"enum": ["In", "NotIn"]},
        # 0 is no failure, so it may not be among them.
        values=several({"type": "integer", "minimum": 1, "maximum": 255}),
    ),
)
JOB = closed(
    "apiVersion kind metadata spec",
    apiVersion={"const": "batch/v1"},
    kind={"const": "Job"},
    metadata=closed("name", name=NAME),
    spec=closed(
        "completions template",
        completionMode={"enum": ["Indexed", "NonIndexed"]},
        completions=COUNT,
        parallelism=COUNT,
        backoffLimit=COUNT,
        backoffLimitPerIndex=COUNT,
        maxFailedIndexes=COUNT,
        podFailurePolicy=closed("rules", rules=several(RULE)),
        template=closed("spec", spec=POD),
    ),
)


def size(quantity: str) -> float:
    number, unit = re.fullmatch(r"(\d+)(.*)", quantity).groups()
    return int(number) * {"": 1, "m": 1e-3, "Mi": 2**20, "Gi": 2**30, "MiB": 2**20}[unit]


def run_pod(desk: Desk, job: dict[str, Any], plan: Path, more: dict[str, str]) -> None:
    """Runs the command of a pod. What it has mounted lies below the desk instead."""
    desk.install_step()
    one = container(job)
    mounts = {mount["mountPath"]: desk.root / "mounts" / mount["name"] for mount in one["volumeMounts"]}
    for place in mounts.values():
        place.mkdir(parents=True, exist_ok=True)
    shutil.copy(plan, mounts["/plan"] / "plan.json")
    environment = {variable["name"]: variable["value"] for variable in one["env"]}
    for mounted, place in mounts.items():
        environment = {name: re.sub(f"^{mounted}(?=/|$)", str(place), value) for name, value in environment.items()}
    done = desk.run([*one["command"], *one.get("args", [])], environment | more)
    assert done.returncode == 0, done.stderr
