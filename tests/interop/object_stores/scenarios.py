"""What happens in a run of the campaign: drawn from its seed, and nothing else."""

from __future__ import annotations

import random
import signal
from dataclasses import dataclass

from object_stores.corpus import SELECTIONS
from object_stores.faults import CONFLICT, PRECONDITION_FAILED, Fault, commit_refused

# Faults that strike any request. Those of the commit are drawn apart.
ANYWHERE = (
    "error",
    "slow-down",
    "reset",
    "lost-error",
    "lost-reset",
    "reset-body",
    "truncated",
    "stalled",
    "slow",
    "duplicate",
)
# What they strike: everything, or one kind of request, which is how a permission or a quota fails.
TARGETS = [(None, None)] * 4 + [
    ("PUT", None),
    ("GET", None),
    ("POST", None),
    ("DELETE", None),
    ("PUT|POST", r"\.parquet$"),
    ("PUT|GET|HEAD", r"/manifest\.json$"),
]
LEVELS = {"none": 1, "light": 5, "medium": 3, "heavy": 3, "late": 3, "commit": 3}


@dataclass(frozen=True)
class Scenario:
    """A build, what was there before it, and what goes wrong."""

    seed: int
    conditional: bool
    # Names of selections; there is no lake before a fresh build.
    before: str | None
    now: str
    level: str
    faults: tuple[Fault, ...]
    # A signal that the build gets when the proxy has seen that many requests.
    killed: signal.Signals | None
    killed_at: int
    tuning: dict[str, str]

    @property
    def title(self) -> str:
        kind = "fresh" if self.before is None else "replace"
        return f"{kind}, {self.killed.name if self.killed else self.level}"

    def __str__(self) -> str:
        server = "conditional" if self.conditional else "unconditional"
        lines = [f"seed {self.seed} on the {server} server: {self.before or 'nothing'} -> {self.now}, {self.level}"]
        if self.killed:
            lines.append(f"  {self.killed.name} at request {self.killed_at}")
        lines += [f"  {fault}" for fault in self.faults]
        lines += [f"  {name}={value}" for name, value in self.tuning.items()]
        return "\n".join(lines)


def draw(seed: int, server: str, requests: dict[str, int]) -> Scenario:
    """The scenario of a seed. `requests` says how many requests a fresh build of each selection makes."""
    chance = random.Random(f"scenario {seed}")
    # Drawn even where it is given, so that the rest of the scenario is the same on both servers.
    drawn = chance.choice([True, False])
    conditional = drawn if server == "both" else server == "conditional"
    now = chance.choice(list(SELECTIONS))
    before = chance.choice([None, *(name for name in SELECTIONS if name != now)])
    if chance.random() < 0.35:
        before = None
    killed = chance.choice([signal.SIGKILL, signal.SIGINT]) if chance.random() < 0.3 else None
    weights = {"none": 3, "light": 2} if killed else LEVELS
    level = chance.choices(list(weights), list(weights.values()))[0]
    usual = requests[now]
    return Scenario(
        seed=seed,
        conditional=conditional,
        before=before,
        now=now,
        level=level,
        faults=tuple(draw_faults(chance, level, usual)),
        killed=killed,
        killed_at=chance.randint(1, usual),
        tuning={
            "FLOWLAKE_STORE_PART_BYTES": chance.choice(["16384", "65536"]),
            "FLOWLAKE_STORE_TIMEOUT": "1s",
            "FLOWLAKE_STORE_RETRIES": "3",
            "FLOWLAKE_STORE_RETRY_TIMEOUT": chance.choice(["5s", "15s"]),
        },
    )


def draw_faults(chance: random.Random, level: str, usual: int) -> list[Fault]:
    def some(count: int, low: float, high: float, first: int = 1) -> list[Fault]:
        faults = []
        for kind in chance.sample(ANYWHERE, count):
            method, path = chance.choice(TARGETS)
            # A stalled request costs a whole timeout, so there are fewer of them.
            share = 0.3 if kind in ("stalled", "slow") and high < 0.5 else 1
            faults.append(Fault(kind, share * chance.uniform(low, high), method, path, first))
        return faults

    match level:
        case "light":
            return some(chance.randint(1, 4), 0.005, 0.05)
        case "medium":
            return some(chance.randint(1, 4), 0.05, 0.3)
        case "heavy":
            return some(chance.randint(1, 2), 0.6, 1.0)
        case "late":
            # All is well until nothing is.
            return some(chance.randint(1, 2), 0.9, 1.0, first=chance.randint(2, usual))
        case "commit":
            document = chance.choice([PRECONDITION_FAILED, CONFLICT])
            fault = commit_refused(document, carried_out=chance.random() < 0.5, limit=chance.choice([1, 1, 2, None]))
            lost = Fault(
                chance.choice(["lost-error", "lost-reset", "stalled", "duplicate", "error"]),
                method="PUT",
                path=fault.path,
                limit=chance.choice([1, 2, None]),
            )
            return [chance.choice([fault, lost]), *some(1, 0.0, 0.02)]
        case _:
            return []
