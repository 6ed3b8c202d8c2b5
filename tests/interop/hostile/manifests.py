"""Hostile manifests: a lake that somebody hands on is opened by every command that reads lakes."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hostile import flows
from hostile.archives import BOTH
from hostile.cases import Case, Tried, build
from hostile.sandbox import Sandbox

GROUP = "manifests"
# Of a query; everything else takes far less.
READ_MIB = 384
COUNT = "SELECT COUNT(*) AS n, SUM(IoTTransportPort) AS ports FROM flows"
# Commands that read no more than the manifest, and those that read the files it lists.
MANIFEST_ALONE = [["inspect"], ["inspect", "--json"], ["files"], ["files", "--url", "--null"]]
CODE = ["sql", "--engine", "clickhouse"]
OF_FILES = [["verify"], ["verify", "--quick"], ["head"], ["query", COUNT], ["export"], ["release"], ["diff"]]
# Words of what lies outside of the lake: no command may show or copy them.
SECRET = "of somebody else"
Change = Callable[[dict[str, Any], Sandbox], None]


def cases() -> Iterator[Case]:
    yield from texts()
    yield from paths()
    yield from numbers()
    yield from types()
    yield from files_of_other_kinds()
    yield from large()


def make(place: Sandbox) -> dict[str, Any]:
    """A lake, and another one outside of it whose rows are nobody's business."""
    (place.root / "catalogue.toml").write_text(flows.catalogue("max_rejected_share = 1.0"))
    (place.dumps / "hub.json").write_bytes(BOTH + b"rejected\n")
    made = build(place)
    assert made.code == 0, str(made)
    lake = json.loads((place.lake / "manifest.json").read_text())
    shutil.copy(place.lake / lake["files"][0]["path"], place.outside / "evil.parquet")
    return lake


def arguments(place: Sandbox, command: Sequence[str]) -> list[str]:
    """The whole command line of a command for the lake."""
    name, *more = command
    words = [name, str(place.lake)]
    match name:
        case "query":
            return [*words, *more, "--format", "csv"]
        case "export":
            return [*words, "--format", "ndjson", "--output", str(place.out / "export")]
        case "release":
            return [*words, "--version", "1.0.0", "--output", str(place.out / "release")]
        case "diff":
            return [*words, str(place.lake)]
        case _:
            return [*words, *more]


def read_all(
    place: Sandbox,
    tried: Tried,
    codes: dict[str, Sequence[int]],
    *,
    mib: float = READ_MIB,
    disk_mib: float = 256,
    commands: Sequence[Sequence[str]] = (*MANIFEST_ALONE, *OF_FILES),
) -> None:
    """Runs every command on the lake; nothing of what is outside may be seen or copied."""
    place.remember()
    outcomes = set()
    for command in commands:
        threads = command[0] not in ("inspect", "files", "sql", "head", "diff", "release")
        run = place.flowlake(*arguments(place, command), jobs=threads)
        allowed = codes.get(" ".join(command), codes.get(command[0], codes["else"]))
        if command[0] == "release" and 3 in allowed and 1 in codes.get("verify", ()):
            # It verifies the lake first, and tells what differs.
            allowed = (*allowed, 1)
        before = len(tried.wrong)
        tried.expect(run, allowed, [], mib, disk_mib)
        tried.wrong[before:] = [f"`{' '.join(command)[:20]}`: {what}" for what in tried.wrong[before:]]
        if SECRET in run.stdout + run.stderr:
            tried.complain(f"`{command[0]}` shows what is outside of the lake")
        outcomes.add(run.code)
    for path in place.out.rglob("*"):
        if place.lake in path.parents or not path.is_file() or path.is_symlink():
            continue
        if SECRET.encode() in path.read_bytes():
            tried.complain(f"{path.relative_to(place.out)} holds what is outside of the lake")
    if staged := [name for name in place.left() if name.startswith(".")]:
        tried.complain(f"left behind: {staged}")
    tried.outcome = "told by every reader (1 to 3)" if 0 not in outcomes else "told by `verify`, nothing outside read"


def changed_case(name: str, change: Change, codes: dict[str, Sequence[int]], **more: Any) -> Case:
    def attempt(place: Sandbox, tried: Tried) -> None:
        manifest = make(place)
        change(manifest, place)
        (place.lake / "manifest.json").write_text(json.dumps(manifest))
        read_all(place, tried, codes)

    return Case(GROUP, name, attempt, **more)


def text_case(name: str, make_text: Callable[[str], bytes], **more: Any) -> Case:
    """Text that is no manifest: no command takes it for one."""

    def attempt(place: Sandbox, tried: Tried) -> None:
        make(place)
        manifest = place.lake / "manifest.json"
        manifest.write_bytes(make_text(manifest.read_text()))
        read_all(place, tried, {"else": [3]}, commands=(*MANIFEST_ALONE, CODE, *OF_FILES))
        if any("manifest" not in run.stderr for run in tried.runs):
            tried.complain("an error does not name the manifest")

    return Case(GROUP, name, attempt, **more)


def texts() -> Iterator[Case]:
    depth = 200_000
    for what, made in {
        "nothing": lambda text: b"",
        "a NUL": lambda text: text.encode() + b"\0",
        "nothing but NUL bytes": lambda text: bytes(1_000_000),
        "UTF-16": lambda text: text.encode("utf-16"),
        "a byte order mark": lambda text: text.encode("utf-8-sig"),
        "no UTF-8": lambda text: text.encode().replace(b"Hostile", b"\xff\xfe"),
        "a list": lambda text: f"[{text}]".encode(),
        "two": lambda text: (text + text).encode(),
        "cut off": lambda text: text[: len(text) // 2].encode(),
        "nothing but brackets": lambda text: b"[" * 1_000_000,
        "deep nesting in a key nobody knows": lambda text: text.replace(
            '"formatVersion"', '"note": ' + "[" * depth + "}" * depth + ', "formatVersion"', 1
        ).encode(),
        "deep nesting for a list": lambda text: text.replace('"files": [', '"files": [' + "[" * depth, 1).encode(),
        "version 3": lambda text: text.replace('"formatVersion": 1', '"formatVersion": 3').encode(),
        "version -1": lambda text: text.replace('"formatVersion": 1', '"formatVersion": -1').encode(),
        "version 1e400": lambda text: text.replace('"formatVersion": 1', '"formatVersion": 1e400').encode(),
        "version 2^64": lambda text: text.replace('"formatVersion": 1', f'"formatVersion": {2**64}').encode(),
        "a version as text": lambda text: text.replace('"formatVersion": 1', '"formatVersion": "1"').encode(),
        "a key twice": lambda text: text.replace("{", '{"formatVersion": 1, ', 1).encode(),
        "a list of files twice": lambda text: text.replace('"files": [', '"files": [], "files": [').encode(),
        "NaN": lambda text: text.replace('"kept": 5', '"kept": NaN').encode(),
        "400 digits": lambda text: text.replace('"kept": 5', '"kept": ' + "9" * 400).encode(),
        "a number in text": lambda text: text.replace('"kept": 5', '"kept": "5"').encode(),
    }.items():
        yield text_case(f"text: {what}", made, repetitive=what not in ("nothing but brackets", "a list of files twice"))


def paths() -> Iterator[Case]:
    good = "data/month=2019-07/deviceClass=iotGatewayHub/"
    for what, path in {
        "up": "../../outside/evil.parquet",
        "up from the data": good + "../../../../../outside/evil.parquet",
        "absolute": "/…/evil.parquet",
        "of a device": "/dev/zero",
        "of a process": "/proc/self/environ",
        "nothing": "",
        "here": ".",
        "the manifest": "manifest.json",
        "a URL": "file:///…/evil.parquet",
        "a store": "s3://somebody/else.parquet",
        "with a NUL": good + "hub\0.parquet",
        "with a newline": good + "hub\n.parquet",
        "with an escape": good + "hub\x1b[2J.parquet",
        "with a quote": good + "hub'); DROP TABLE flows; --.parquet",
        "with a double slash": good.replace("/", "//") + "hub-00000-0123456789abcdef.parquet",
        "with dots": "data/./x/../" + good.removeprefix("data/") + "hub-00000-0123456789abcdef.parquet",
        "of a megabyte": good + "x" * 1_000_000 + ".parquet",
    }.items():

        def change(manifest: dict[str, Any], place: Sandbox, path: str = path) -> None:
            manifest["files"][0]["path"] = path.replace("/…", str(place.outside))

        codes = {"verify": [1], "inspect": [0], "diff": [0, 3], "else": [3]}
        few = what not in ("up", "absolute", "of a device")
        yield changed_case(f"a path: {what}", change, codes, repetitive=few)
        if path.startswith(("../", "/")):
            yield Case(GROUP, f"a path in the code for an engine: {what}", _code(change))
    for what, path in {
        "up": "../../outside/secret.json",
        "absolute": "/…/secret.json",
        "of a device": "/dev/zero",
    }.items():

        def change(manifest: dict[str, Any], place: Sandbox, path: str = path) -> None:
            lines = manifest["sources"][0]["rejectedLines"]
            lines["path"] = path.replace("/…", str(place.outside))
            lines["bytes"] = (place.outside / "secret.json").stat().st_size

        codes = {"verify": [1], "release": [3], "else": [0]}
        yield changed_case(f"a path of rejected lines: {what}", change, codes, repetitive=what != "up")
    for key, value in {"month": "../..", "deviceClass": "../../outside", "deviceName": "../../../outside/evil"}.items():

        def change(manifest: dict[str, Any], place: Sandbox, key: str = key, value: str = value) -> None:
            manifest["files"][0][key] = value

        codes = {"verify": [1], "else": [0, 2, 3]}
        yield changed_case(f"{key} {value}", change, codes)
    for what in ("file", "directory", "data"):

        def change(manifest: dict[str, Any], place: Sandbox, what: str = what) -> None:
            file = place.lake / manifest["files"][0]["path"]
            moved = {"file": file, "directory": file.parent, "data": place.lake / "data"}[what]
            shutil.move(moved, place.outside / "moved")
            moved.symlink_to(place.outside / "moved")

        # The rows are the right ones: a reader may follow a link, `verify` must tell.
        codes = {"verify": [1], "else": [0, 3]}
        yield changed_case(f"a link for a {what}", change, codes, repetitive=what != "file")


def _code(change: Change) -> Callable[[Sandbox, Tried], None]:
    """No code is printed that would read what no command of flowlake reads."""

    def attempt(place: Sandbox, tried: Tried) -> None:
        manifest = make(place)
        change(manifest, place)
        (place.lake / "manifest.json").write_text(json.dumps(manifest))
        read_all(place, tried, {"else": [3]}, commands=[CODE])

    return attempt


def numbers() -> Iterator[Case]:
    most = 2**64 - 1
    for what, keys in {
        "rows of a file": ["files", 0, "rows"],
        "bytes of a file": ["files", 0, "bytes"],
        "row groups of a file": ["files", 0, "rowGroups"],
        "rows kept": ["rowAccounting", "kept"],
        "rows read": ["rowAccounting", "read"],
        "rows removed": ["rowAccounting", "removed", 0, "rows"],
        "rows kept of a dump": ["sources", 0, "kept"],
        "bytes of a part": ["sources", 0, "parts", 0, "bytes"],
        "all rows": ["totals", "rows"],
        "all bytes": ["totals", "bytes"],
        "all files": ["totals", "files"],
    }.items():
        for number in (most, 2**63, 2**40 + 1):

            def change(manifest: dict[str, Any], place: Sandbox, keys: list[Any] = keys, number: int = number) -> None:
                at: Any = manifest
                for key in keys[:-1]:
                    at = at[key]
                at[keys[-1]] = number

            codes = {"verify": [1], "verify --quick": [0, 1], "else": [0, 3]}
            yield changed_case(f"{number} {what}", change, codes, repetitive=number != most or keys[0] != "files")

    def wrapped(manifest: dict[str, Any], place: Sandbox) -> None:
        # Read, kept and removed add up where sums wrap around at 2^64.
        manifest["rowAccounting"]["removed"][0]["rows"] = most
        manifest["rowAccounting"]["removed"][1]["rows"] = 1
        manifest["sources"][0]["removed"][0]["rows"] = most
        manifest["sources"][0]["removed"][1]["rows"] = 1

    yield changed_case("numbers whose sum is beyond 64 bits", wrapped, {"verify": [1], "else": [0, 3]})
    for number in (-1, 2**64, 1.5, "5", None, True, [], {}):

        def wrong(manifest: dict[str, Any], place: Sandbox, number: Any = number) -> None:
            manifest["files"][0]["rows"] = number

        yield changed_case(f"{number!r} rows", wrong, {"else": [3]}, repetitive=True)
    for time in ("", "yesterday", "9" * 1000, "2019-07-01T00:00:00.000Z\0", "+999999-01-01T00:00:00.000Z"):

        def other(manifest: dict[str, Any], place: Sandbox, time: str = time) -> None:
            manifest["files"][0]["minFlowStart"] = time
            manifest["sources"][0]["firstFlowStart"] = time

        codes = {"verify": [1], "verify --quick": [0, 1], "else": [0, 3]}
        yield changed_case(f"the time {time[:20]!r}", other, codes, repetitive=True)


def types() -> Iterator[Case]:
    keys = ["tool", "dataset", "recipe", "schema", "droppedColumns", "rowAccounting"]
    keys += ["repairs", "sources", "files", "totals", "warnings"]
    for key in keys:
        for value in (None, 7, "text", [7], {"a": 7}, ...):

            def change(manifest: dict[str, Any], place: Sandbox, key: str = key, value: Any = value) -> None:
                manifest[key] = value
                if value is ...:
                    del manifest[key]

            shown = "missing" if value is ... else repr(value)
            yield changed_case(f"{key} is {shown}", change, {"else": [3]}, repetitive=True)

    def column(what: str, **changes: Any) -> Case:
        def change(manifest: dict[str, Any], place: Sandbox) -> None:
            manifest["schema"]["columns"][5] |= changes

        codes = {"verify": [1], "verify --quick": [0, 1], "else": [0, 2, 3]}
        return changed_case(what, change, codes, repetitive=True)

    yield column("a column of another type", type="string")
    yield column("a column of another name", name="'); DROP TABLE flows; --")
    yield column("a column of no name", name="")
    yield column("a column of a name twice", name="deviceName")
    yield column("a column of an escape", name="a\x1b[2J", description="\x1b[2J")

    def twice(manifest: dict[str, Any], place: Sandbox) -> None:
        manifest["files"] *= 2

    yield changed_case("a file twice", twice, {"verify": [1], "else": [0, 3]})

    def without(manifest: dict[str, Any], place: Sandbox) -> None:
        manifest["schema"]["columns"] = []

    yield changed_case("no columns", without, {"verify": [1], "verify --quick": [0, 1], "else": [0, 2, 3]})

    def shown(place: Sandbox, tried: Tried) -> None:
        manifest = make(place)
        manifest["dataset"]["title"] = manifest["dataset"]["licence"] = "\x1b[2J\x1b]0;evil\x07"
        manifest["sources"][0]["dump"] = "hub\x1b[2J"
        (place.lake / "manifest.json").write_text(json.dumps(manifest))
        place.remember()
        for command in (["inspect"], ["verify", "--quick"]):
            run = place.flowlake(*arguments(place, command), jobs=False)
            tried.expect(run, [0, 1], [], READ_MIB, 64)
            if "\x1b" in run.stdout:
                tried.complain(f"there are control characters in what `{command[0]}` prints")

    yield Case(GROUP, "a title that a terminal would obey", shown)


def files_of_other_kinds() -> Iterator[Case]:
    """What is no regular file is not waited for."""

    def kind(name: str, put: Callable[[Sandbox], None], codes: dict[str, Sequence[int]], **more: Any) -> Case:
        def attempt(place: Sandbox, tried: Tried) -> None:
            make(place)
            put(place)
            place.patience = 10
            commands = [["verify"], ["query", COUNT], ["inspect"]]
            read_all(place, tried, codes, commands=commands)

        return Case(GROUP, name, attempt, repetitive=True, **more)

    def data(place: Sandbox) -> Any:
        return next((place.lake / "data").rglob("*.parquet"))

    def replaced(path: Any, put: Callable[[Any], None]) -> None:
        path.unlink()
        put(path)

    manifest = "manifest.json"
    for what, put in {
        "a FIFO": lambda path: os.mkfifo(path),
        "a link to a device without an end": lambda path: path.symlink_to("/dev/zero"),
        "a directory": lambda path: path.mkdir(),
        "a link to itself": lambda path: path.symlink_to(path.name),
    }.items():
        yield kind(
            f"{what} for the manifest",
            lambda place, put=put: replaced(place.lake / manifest, put),
            {"else": [3]},
        )
        yield kind(
            f"{what} for a file",
            lambda place, put=put: replaced(data(place), put),
            {"verify": [1], "query": [3], "else": [0]},
        )


def large() -> Iterator[Case]:
    def entries(count: int, mib: float, **more: Any) -> Case:
        def attempt(place: Sandbox, tried: Tried) -> None:
            manifest = make(place)
            first = manifest["files"][0]
            number = lambda n: f"{first['path'][:-30]}{n:05}{first['path'][-25:]}"  # noqa: E731
            manifest["files"] = [first | {"path": number(n)} for n in range(count)]
            (place.lake / "manifest.json").write_text(json.dumps(manifest))
            commands = [["inspect"], ["verify", "--quick"], ["files"], ["query", COUNT], ["release"]]
            codes = {"verify": [1], "inspect": [0], "files": [0, 3], "else": [3]}
            # The manifest itself is most of it.
            read_all(place, tried, codes, mib=mib, disk_mib=512, commands=commands)

        return Case(GROUP, f"{count} entries", attempt, **more)

    yield entries(10_000, READ_MIB, repetitive=True)
    yield entries(1_000_000, 4_096, long=True)

    def huge(place: Sandbox, tried: Tried) -> None:
        make(place)
        path = place.lake / "manifest.json"
        text = path.read_bytes()
        with path.open("wb") as file:
            file.write(text[:1])
            for _ in range(1024):
                file.write(b" " * (1 << 20))
            file.write(text[1:])
        commands = [["inspect"], ["verify"], ["query", COUNT]]
        read_all(place, tried, {"else": [0, 3]}, mib=1_536, disk_mib=1_100, commands=commands)
        tried.outcome = "read, or refused (3)"

    yield Case(GROUP, "a manifest of 1 GiB", huge, long=True)
