"""What can go wrong between a client and an object store, and whether it does with a certain request."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

# Kind of fault -> what it does.
KINDS = {
    "error": "answers 500; the server hears nothing",
    "slow-down": "answers 503 SlowDown; the server hears nothing",
    "reset": "resets the connection; the server hears nothing",
    "answer": "answers the given document; the server hears nothing",
    "lost-error": "answers 500 after the server carried the request out",
    "lost-reset": "resets the connection after the server carried the request out, before the answer",
    "lost-answer": "answers the given document after the server carried the request out",
    "reset-body": "resets the connection in the middle of the answer's body",
    "truncated": "ends the connection in the middle of the answer's body, in order",
    "stalled": "sends half of the answer, then nothing more; the connection stays",
    "slow": "sends the answer's body in small pieces with pauses between",
    "duplicate": "sends the request to the server twice and answers what it says the second time",
}
# These need an answer with a body; requests without are left alone.
OF_BODIES = {"reset-body", "truncated", "slow"}
# Where a commit happens.
COMMIT = r"/manifest\.json$"


@dataclass(frozen=True)
class Document:
    """An answer of S3: the status and the body of an error."""

    status: int
    code: str
    message: str
    more: str = ""
    headers: tuple[tuple[str, str], ...] = ()

    def body(self) -> bytes:
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Error><Code>{self.code}</Code><Message>{self.message}</Message>{self.more}"
            "<RequestId>4442587FB7D0A2F9</RequestId><HostId>dGVzdA==</HostId></Error>"
        ).encode()


INTERNAL_ERROR = Document(500, "InternalError", "We encountered an internal error. Please try again.")
SLOW_DOWN = Document(503, "SlowDown", "Please reduce your request rate.", headers=(("Retry-After", "0"),))
PRECONDITION_FAILED = Document(
    412,
    "PreconditionFailed",
    "At least one of the pre-conditions you specified did not hold",
    "<Condition>If-None-Match</Condition>",
)
CONFLICT = Document(
    409,
    "ConditionalRequestConflict",
    "The conditional request cannot succeed due to a conflicting operation against this resource.",
)


@dataclass(frozen=True)
class Fault:
    """A kind of fault, how often it happens, and to which requests."""

    kind: str
    probability: float = 1.0
    # Regular expressions; the path is that of the URL, without the query.
    method: str | None = None
    path: str | None = None
    # It begins with that request, counted over all that the proxy saw, and happens at most so often.
    first: int = 1
    limit: int | None = None
    document: Document = INTERNAL_ERROR

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no such fault: {self.kind} (there are {', '.join(KINDS)})")

    def concerns(self, method: str, path: str) -> bool:
        return (self.method is None or re.fullmatch(self.method, method) is not None) and (
            self.path is None or re.search(self.path, path) is not None
        )

    def __str__(self) -> str:
        text = f"{self.name} {self.probability:.2f} {self.method or '*'} {self.path or '*'}"
        if self.first > 1:
            text += f" from request {self.first}"
        return text if self.limit is None else f"{text} at most {self.limit}"

    @property
    def name(self) -> str:
        """What the fault is counted as."""
        return f"{self.kind} {self.document.status}" if self.kind in ("answer", "lost-answer") else self.kind


def commit_refused(document: Document, carried_out: bool, probability: float = 1.0, limit: int | None = None) -> Fault:
    """412 or 409 to the commit, which took place all the same or did not."""
    kind = "lost-answer" if carried_out else "answer"
    return Fault(kind, probability, method="PUT", path=COMMIT, limit=limit, document=document)


@dataclass
class Chance:
    """Draws for each request whether a fault happens to it, and which.

    What is drawn depends on the seed, the request and how often it was made, not on what else is under way: the order
    in which the requests of several threads arrive makes no difference, as long as names are the same. `first` and
    `limit` count all requests, and so do depend on it.
    """

    seed: int
    faults: list[Fault]
    # What a target is called in this: without what differs from run to run.
    known_as: Callable[[str], str] = str
    _requests: int = 0
    _made: Counter[str] = field(default_factory=Counter)
    _happened: Counter[int] = field(default_factory=Counter)

    def draw(self, method: str, target: str) -> tuple[Fault | None, random.Random]:
        """The fault that happens to a request, if one does, and the chance for what it needs to draw."""
        self._requests += 1
        name = f"{method} {self.known_as(without_identity(target))}"
        self._made[name] += 1
        chance = random.Random(f"{self.seed} {name} {self._made[name]}")
        path = urlsplit(target).path
        for number, fault in enumerate(self.faults):
            # Drawn in any case, so that one fault does not change what is drawn for the next.
            drawn = chance.random()
            if (
                drawn < fault.probability
                and self._requests >= fault.first
                and (fault.limit is None or self._happened[number] < fault.limit)
                and fault.concerns(method, path)
            ):
                self._happened[number] += 1
                return fault, chance
        return None, chance


def without_identity(target: str) -> str:
    """A request's target without what a server made up for it."""
    url = urlsplit(target)
    query = sorted((name, value) for name, value in parse_qsl(url.query, True) if name != "uploadId")
    return f"{url.path}?{query}"
