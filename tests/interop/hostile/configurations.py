"""Hostile catalogues, recipes and names of files: whoever hands on a dump may hand on these with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence

import lakes
from hostile import flows
from hostile.archives import ONE
from hostile.cases import BUILD_MIB, Case, Tried, build, judge_lake
from hostile.sandbox import Sandbox

# A file that people write by hand is small; what one of 100 MB may take is its own size a few times over.
LARGE_MIB = 1_024
# A lake keeps catalogue and recipe word for word.
LARGE_DISK_MIB = 256


def cases() -> Iterator[Case]:
    yield from catalogues()
    yield from recipes()
    yield from file_names()


def catalogue_case(
    name: str,
    made: str | bytes | Callable[[], str],
    code: int | Sequence[int] = 2,
    says: Sequence[str] = (),
    **more: object,
) -> Case:
    mib = float(more.pop("mib", BUILD_MIB))  # type: ignore[arg-type]

    def attempt(place: Sandbox, tried: Tried) -> None:
        catalogue = place.root / "catalogue.toml"
        text = made() if callable(made) else made
        catalogue.write_bytes(text.encode() if isinstance(text, str) else text)
        (place.dumps / "hub.json").write_bytes(ONE)
        place.remember()
        run = build(place)
        tried.expect(run, code, says, mib, LARGE_DISK_MIB)
        if run.code == 2 and "catalogue.toml" not in run.stderr:
            tried.complain("the error does not name the catalogue")
        if run.code != 0 and (left := place.left()):
            tried.complain(f"left where the lake was to be: {left}")
        if run.code == 0:
            judge_lake(place, ONE, tried)

    return Case("catalogues", name, attempt, **more)  # type: ignore[arg-type]


def catalogues() -> Iterator[Case]:
    good = flows.catalogue()
    yield catalogue_case(
        "100 MB of a comment", lambda: good + "# " + "x" * 100_000_000, mib=LARGE_MIB, code=(0, 2), long=True
    )
    yield catalogue_case(
        "100 MB of a title",
        lambda: good.replace("Hostile input", "x" * 100_000_000),
        mib=LARGE_MIB,
        code=(0, 2),
        long=True,
    )
    yield catalogue_case(
        "100 MB of newlines",
        lambda: "\n" * 100_000_000 + good,
        mib=LARGE_MIB,
        code=(0, 2),
        long=True,
    )
    for depth in (100, 10_000, 1_000_000):
        for what, deep in {
            "lists": "a = " + "[" * depth + "]" * depth,
            "open lists": "a = " + "[" * depth,
            "tables": "a = " + "{a=" * depth + "1" + "}" * depth,
            "dots in a key": "a" + ".a" * depth + " = 1",
            "dots in a header": "[a" + ".a" * depth + "]",
            "dots in a list of tables": "[[a" + ".a" * depth + "]]",
        }.items():
            says = ["catalogue.toml"]
            yield catalogue_case(
                f"{depth} {what}", deep + "\n" + good, says=says, mib=LARGE_MIB, repetitive=depth == 100
            )
    laughs = "".join(f"[a{number}]\n" + f"b = [{', '.join(['1'] * 1_000)}]\n" for number in range(1_000))
    yield catalogue_case("a thousand tables of a thousand numbers", laughs + good, mib=LARGE_MIB)
    dotted = "".join(f"a.b{number}.c.d.e.f = 1\n" for number in range(20_000))
    yield catalogue_case("20,000 dotted keys", dotted + good, mib=LARGE_MIB)
    for what, broken in {
        "nothing": b"",
        "NUL bytes": good.encode() + bytes(100),
        "a NUL in a name": good.replace('"hub"', '"hu\\u0000b"').encode(),
        "no UTF-8": good.encode() + b"# \xff\n",
        "UTF-16": good.encode("utf-16"),
        "gzip": b"\x1f\x8b\x08\0\0\0\0\0\0\0",
        "a key twice": good.replace('name = "hostile"', 'name = "hostile"\nname = "hostile"').encode(),
        "a table twice": (good + "\n[dataset]\n").encode(),
        "a device twice": (good + good[good.index("[[device]]") :]).encode(),
        "a device as a table": good.replace("[[device]]", "[device]").encode(),
        "carriage returns alone": good.replace("\n", "\r").encode(),
        "text without an end": good.replace('class = "', 'class = """').encode(),
        "a control character": good.replace("Hostile", "Hos\x1b[2Jtile").encode(),
    }.items():
        yield catalogue_case(what, broken, repetitive=what != "a NUL in a name")
    yield catalogue_case("a byte order mark", b"\xef\xbb\xbf" + good.encode(), code=(0, 2), repetitive=True)
    yield catalogue_case("CRLF", good.replace("\n", "\r\n"), code=0, repetitive=True)
    for key, values in {
        "max_line_bytes": ["-1", "0", "9223372036854775807", "99999999999999999999", "1e9", '"1"', "nan", "[1]"],
        "max_rejected_share": ["nan", "inf", "-0.1", "1.0000001", "1e400", "-nan", '"half"'],
        "max_archive_entries": ["0", "-5", "18446744073709551616", "1.5", "0x", "2019-01-01"],
        "max_decompressed_bytes": ["0", "-1", "true"],
        "max_months": ["0", "-1"],
        "max_everything": ["1"],
    }.items():
        for value in values:
            yield catalogue_case(f"{key} = {value}", flows.catalogue(f"{key} = {value}"), repetitive=True)
    slugs = [
        "..", ".", "../evil", "/abs", "a/b", "a\\b", "a=b", "month=2019-07", "", " ", "a b", "-rf", "_a", ".a",
        "hub\n", "hub\t", "a%2fb", "a:b", "a*b", "~", "$HOME", "a'b", 'a"b', "a;b", "a|b", "h\u0443b", "hüb",
        "\uff48\uff55\uff42", "hub\u200b", "\u202ebuh", "a" * 101, "a" * 1_000_000, "hub\x1b[2J",
    ]  # fmt: skip
    for key in ("name", "class"):
        for slug in slugs:
            text = good.replace(
                f'{key} = "{flows.DEVICE if key == "name" else flows.DEVICE_CLASS}"', f"{key} = {toml(slug)}"
            )
            few = "\x1b" in slug or len(slug) > 1_000
            yield catalogue_case(f"the {key} {slug[:20]!r} of {len(slug)}", text, repetitive=not few)
    for name in ("null", "True", "NaN", "1e5", "2019-07", "007", "inf"):
        yield catalogue_case(f"the class {name}", good.replace('"iotGatewayHub"', f'"{name}"'), repetitive=True)
    for stem in (
        "../hub",
        "/etc/passwd",
        "a/b",
        "a\\b",
        ".hidden",
        "..",
        "",
        "h\0b",
        "h\nb",
        "x" * 201,
        "x" * 1_000_000,
    ):
        text = good.replace('archive = "hub"', f"archive = {toml(stem)}")
        yield catalogue_case(f"the archive {stem[:20]!r} of {len(stem)}", text, repetitive=True)
    longest = "h" * 100
    yield Case(
        "catalogues",
        "the longest names there may be",
        lambda place, tried: _named(longest, "c" * 100, "a" * 200, place, tried),
    )
    many = "".join(
        f'[[device]]\nname = "d{number}"\nclass = "c"\nmac = "02:00:00:00:00:01"\narchive = "a{number}"\n'
        for number in range(50_000)
    )
    yield catalogue_case("50,000 devices without a dump", good + many, code=0, mib=512, long=True)


def toml(text: str) -> str:
    """Text as TOML spells it: JSON's spelling is one of TOML's, but for characters above U+FFFF."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _named(name: str, device_class: str, archive: str, place: Sandbox, tried: Tried) -> None:
    """Names as long as a catalogue allows are not too long for any file of a lake."""
    text = flows.catalogue("max_rejected_share = 1.0").replace(f'name = "{flows.DEVICE}"', f'name = "{name}"')
    text = text.replace(flows.DEVICE_CLASS, device_class).replace('archive = "hub"', f'archive = "{archive}"')
    (place.root / "catalogue.toml").write_text(text)
    (place.dumps / f"{archive}.json").write_bytes(ONE + b"bad\n")
    place.remember()
    if tried.expect(build(place), 0, [], BUILD_MIB, 64):
        tried.expect(place.flowlake("verify", place.lake), 0, [], BUILD_MIB, 64)
        accounting = json.loads((place.lake / "manifest.json").read_text())["rowAccounting"]
        if (accounting["kept"], accounting["rejected"]) != (3, 1):
            tried.complain(f"kept and rejected are {accounting}")


def recipe_case(
    name: str,
    made: str | bytes | Callable[[], str],
    code: int | Sequence[int] = 2,
    says: Sequence[str] = (),
    **more: object,
) -> Case:
    mib = float(more.pop("mib", BUILD_MIB))  # type: ignore[arg-type]

    def attempt(place: Sandbox, tried: Tried) -> None:
        recipe = place.root / "recipe.toml"
        text = made() if callable(made) else made
        recipe.write_bytes(text.encode() if isinstance(text, str) else text)
        (place.root / "catalogue.toml").write_text(flows.catalogue())
        (place.dumps / "hub.json").write_bytes(ONE)
        place.remember()
        checked = place.flowlake("recipe", "check", recipe, jobs=False)
        tried.expect(checked, code, says, mib, 64)
        built = build(place, "--recipe", recipe)
        tried.expect(built, code, says, mib, LARGE_DISK_MIB)
        if checked.code != built.code:
            tried.complain(f"`recipe check` ends with {checked.code}, `build` with {built.code}")
        if built.code == 2 and "recipe.toml" not in built.stderr:
            tried.complain("the error does not name the recipe")
        if built.code == 0:
            tried.expect(place.flowlake("verify", place.lake), 0, [], mib, LARGE_DISK_MIB)
        elif left := place.left():
            tried.complain(f"left where the lake was to be: {left}")

    return Case("recipes", name, attempt, **more)  # type: ignore[arg-type]


def recipes() -> Iterator[Case]:
    good = lakes.recipe_file("flows").read_text()
    filters = '[[filter]]\nrule = "more{}"\nremove = {{ column = "protocolIdentifier", in = [255] }}\n'
    before, column, after = good.partition("[[column]]")

    def renamed(name: str) -> str:
        return good.replace('name = "flowEndReason"\n', f'name = {toml(name)}\nfrom = "flowEndReason"\n')

    for depth in (100, 10_000, 1_000_000):
        deep = good.replace("in = [", "in = " + "[" * depth, 1)
        yield recipe_case(f"{depth} lists", deep, mib=LARGE_MIB, repetitive=depth != 10_000)
        yield recipe_case(
            f"{depth} tables", "a = " + "{a=" * depth + "\n" + good, mib=LARGE_MIB, repetitive=depth == 100
        )
    yield recipe_case(
        "100 MB of a comment", lambda: good + "#" + "x" * 100_000_000, code=(0, 2), mib=LARGE_MIB, long=True
    )
    yield recipe_case(
        "10,000 filters",
        before + "".join(filters.format(n) for n in range(10_000)) + column + after,
        code=(0, 2),
        mib=512,
        long=True,
    )
    values = ", ".join(map(str, range(2_000)))
    listed = f'[[filter]]\nrule = "many"\nremove = {{ column = "octetTotalCount", in = [{values}] }}\n'
    yield recipe_case("a list of 2,000 numbers", before + listed + column + after, code=0, repetitive=True)
    rows = ", ".join(f'["x", {n % 256}, {n}]' for n in range(50_000))
    large = '[tables.large]\nkeys = ["protocolIdentifier", "sourceTransportPort"]\ndefault = "x"\n'
    table = good.replace("[tables.protocolName]", f"{large}rows = [{rows}]\n\n[tables.protocolName]", 1)
    yield recipe_case("a table of 50,000 rows", table, code=(0, 2), mib=512, long=True)
    for what, text in {
        "nothing": "",
        "a NUL": good + "\0",
        "the name ../evil": good.replace('name = "flows"', 'name = "../evil"', 1),
        "the name a/b": good.replace('name = "flows"', 'name = "a/b"', 1),
        "a name of a million letters": good.replace('name = "flows"', f'name = "{"x" * 1_000_000}/"', 1),
        "a number beyond 64 bits": good.replace('in = ["toDevice"]', "above = 99999999999999999999", 1),
        "a column twice, in other case": renamed("DEVICENAME"),
        "the column month": renamed("month"),
        "the column deviceclass": renamed("deviceclass"),
        "a column of no name": renamed(""),
        "an unknown derivation": good.replace("derive = ", "derive = { exec = true } #", 1),
    }.items():
        yield recipe_case(what, text, repetitive=len(text) < 1_000_000)
    yield recipe_case("no UTF-8", good.encode() + b"# \xff")
    for name in (
        "a/b",
        "..",
        "a=b",
        "a\0b",
        "a\nb",
        "a\x1b[2J",
        'a"b',
        "a'b",
        "a`b",
        "d\u0435viceName",
        "\uff44eviceName",
        "x" * 100_000,
        " ",
        "a.b",
        "$a",
        "__a",
    ):
        # The documents do not say which names a column may have: a lake of any that is taken has to be whole.
        yield recipe_case(f"the column {name[:12]!r}", renamed(name), code=(0, 2), repetitive=True)


def file_names() -> Iterator[Case]:
    """Names of files beside the dump: they are shown to people, and to their terminals."""

    def beside(make: Callable[[Sandbox], None]) -> Callable[[Sandbox, Tried], None]:
        def attempt(place: Sandbox, tried: Tried) -> None:
            (place.root / "catalogue.toml").write_text(flows.catalogue())
            (place.dumps / "hub.json").write_bytes(ONE)
            make(place)
            place.remember()
            if tried.expect(build(place), 0, [], BUILD_MIB, 64):
                judge_lake(place, ONE, tried)

        return attempt

    for name in (
        "\x1b[2J.json",
        "\x1b]0;evil\x07.tar.gz",
        "a\nerror: all is lost.json",
        "a\rb.json",
        "\x08\x08.json.zst",
    ):
        make = beside(lambda place, name=name: (place.dumps / name).write_bytes(b"x"))
        yield Case("file names", repr(name), make)
    for name in (
        "ü.json",
        "\u202enosj.json",
        " .json",
        "-rf.json",
        "*.json",
        "$(id).json",
        "a" * 250 + ".json",
        "%2e%2e.json",
    ):
        make = beside(lambda place, name=name: (place.dumps / name).write_bytes(b"x"))
        yield Case("file names", repr(name[:20]), make, repetitive=True)

    def no_text(place: Sandbox) -> None:
        path = bytes(place.dumps) + b"/\xff\xfe.json"
        with open(path, "wb") as file:  # noqa: PTH123
            file.write(b"x")

    yield Case("file names", "no UTF-8", beside(no_text))
    yield Case("file names", "2,000 of other dumps", beside(_crowd))
    yield Case("file names", "a manifest of 900 MB above the lake", beside(_large_above))


def _large_above(place: Sandbox) -> None:
    """Of some other program: a lake must not lie within a lake, so manifests above it are looked at."""
    with (place.root / "manifest.json").open("wb") as file:
        file.truncate(900_000_000)


def _crowd(place: Sandbox) -> None:
    for number in range(2_000):
        (place.dumps / f"other{number}.json").touch()
