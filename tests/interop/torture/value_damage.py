"""Damage to what flows and trailers say: other types, values out of range, keys that miss, repeat or are unknown."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from raw_flows import FIELDS
from torture.line_damage import LineDamage, text_of

# A flow as its keys and values, each as JSON text, repeated ones too.
Fields = list[tuple[str, str]]
FieldDamage = Callable[[Fields, random.Random], Fields]

_FLOW = '{"flows":{'
_FIELD = re.compile(r'"([^"\\]*)":("[^"]*"|[^,"]*)')
_REQUIRED = [name for name, field in FIELDS.items() if field.required]


def other_type(fields: Fields, chance: random.Random) -> Fields:
    def changed(value: str) -> str:
        bare = value.strip('"')
        text = f'"{bare}"' if not value.startswith('"') else (bare or "0")
        return chance.choice([text, "null", "true", "false", "[]", f"[{value}]", "{}", f'{{"a":{value}}}', '""'])

    return _change(fields, changed, chance)


def out_of_range(fields: Fields, chance: random.Random) -> Fields:
    numbers = ["-1", "-0", "256", "65535", "65536", "2147483647", "2147483648", "4294967295", "4294967296"]
    numbers += [
        "9007199254739",
        "9007199254740",
        "9223372036854775807",
        "9223372036854775808",
        "1e400",
        "-1.5",
        "1" * 40,
    ]
    texts = ["", "0", "x", "10000", "ffff", "0x1ffffffff", "-1", "999.999.999.999", "192.0.2.256", "::g", "1.2.3"]
    texts += [
        "0000-01-01 00:00:00.000",
        "2019-02-29 00:00:00.000",
        "2019-06-31 00:00:00.000",
        "9999-12-31 23:59:59.999",
    ]
    texts += [
        "10000-01-01 00:00:00.000",
        "2019-07-01 24:00:00.000",
        "2019-07-01 23:59:60.000",
        "0001-01-01 00:00:00.000",
    ]
    texts += [
        "02:00:00:00:00",
        "02:00:00:00:00:0g",
        "02:00:00:00:00:00:00",
        "AX",
        "S0",
        "fe80::1%eth0",
        "1969-12-31 23:59:59",
    ]
    texts += ["x" * 256, "x" * 257]

    def changed(value: str) -> str:
        return f'"{chance.choice(texts)}"' if value.startswith('"') else chance.choice(numbers)

    return _change(fields, changed, chance)


def no_number(fields: Fields, chance: random.Random) -> Fields:
    """What is no JSON, though some programs write it."""
    spellings = [
        "NaN",
        "Infinity",
        "-Infinity",
        "01",
        "+1",
        "1.",
        ".5",
        "0x10",
        "1e",
        "--1",
        "1_000",
        "'1'",
        "",
        "None",
    ]
    return _change(fields, lambda _: chance.choice(spellings), chance)


def other_spelling(fields: Fields, chance: random.Random) -> Fields:
    """The same value, written otherwise: nothing may change."""

    def changed(value: str) -> str:
        if not value.startswith('"'):
            return (
                value
                if "." in value or len(value) > 15
                else chance.choice([f"{value}.0", f"{value}e0", f"{value}.00E+0"])
            )
        text = value.strip('"')
        if re.fullmatch(r"\d{4}-\d\d-\d\d .*", text):
            return f'"{text.replace(" ", chance.choice(" T"))}{chance.choice(["Z", "", "000", "999999Z"])}"'
        if re.fullmatch(r"(0x)?[0-9a-f]{2,8}", text):
            return f'"{text.upper().replace("0X", chance.choice(["0x", "0X", ""]))}"'
        if re.fullmatch(r"[ECUAPRSF]+", text):
            return f'"{text[::-1]}"'
        return value

    return [(name, changed(value)) if chance.random() < 0.3 else (name, value) for name, value in fields]


def key_missing(fields: Fields, chance: random.Random) -> Fields:
    gone = set(chance.sample(_REQUIRED, 1) if chance.random() < 0.4 else _names(fields, chance))
    return [(name, value) for name, value in fields if name not in gone]


def key_doubled(fields: Fields, chance: random.Random) -> Fields:
    """Of a key that repeats, the last value counts: also if one of them is bad."""
    for name in _names(fields, chance):
        value = dict(fields)[name]
        other = chance.choice([value, "null", '"?"', "-1", "[1]", "{}", value])
        at = chance.randrange(len(fields) + 1)
        fields = [*fields[:at], (name, other), *fields[at:]]
    return fields


def key_unknown(fields: Fields, chance: random.Random) -> Fields:
    for _ in range(chance.randint(1, 3)):
        name = chance.choice(["bytesPerPackets", "FlowEndReason", "", " ", "dns", "日本", "flows", "a.b", "stats"])
        value = chance.choice(["1", "null", '"x"', "[[[[]]]]", '{"flows":{}}', "1e400", "-0.0", '"\\ud800"', "true"])
        at = chance.randrange(len(fields) + 1)
        fields = [*fields[:at], (name, value), *fields[at:]]
    return fields


def _change(fields: Fields, changed: Callable[[str], str], chance: random.Random) -> Fields:
    names = set(_names(fields, chance))
    return [(name, changed(value) if name in names else value) for name, value in fields]


def _names(fields: Fields, chance: random.Random) -> list[str]:
    return chance.sample([name for name, _ in fields], min(len(fields), chance.choice([1, 1, 2])))


def in_flows(damage: FieldDamage) -> LineDamage:
    """Does it to a few flows of a dump."""

    def damaged(lines: list[bytes], chance: random.Random) -> bytes:
        flows = [at for at, line in enumerate(lines) if line.startswith(_FLOW.encode())]
        for at in chance.sample(flows, min(len(flows), chance.choice([1, 1, 3, 10]))):
            fields = _FIELD.findall(lines[at].decode()[len(_FLOW) : -2])
            written = ",".join(f'"{name}":{value}' for name, value in damage(fields, chance))
            lines[at] = f"{_FLOW}{written}}}}}".encode()
        return text_of(lines)

    return damaged


def records(lines: list[bytes], chance: random.Random) -> bytes:
    """JSON that is no record, and records of other kinds."""
    flow = next(line for line in lines if line.startswith(_FLOW.encode())).decode()
    others = ["{}", "[]", "null", "1", '"x"', "[1,2]", '{"flows":[]}', '{"flows":null}', '{"flows":{}}', '{"flows":1}']
    others += ['{"dns":{"a":[1]}}', '{"ssl":null}', '{"dedup":1}', '{"Flows":{}}', '{"tombstone":[]}', "{}{}", "true"]
    others += [
        f"{flow[:-1]},{flow[1:]}",
        f'{flow[:-1]},"x":1}}',
        f'{{"x":1,{flow[1:]}',
        f"{flow} x",
        f"[{flow}]",
        f"{flow},",
    ]
    for _ in range(chance.randint(1, 4)):
        lines.insert(chance.randrange(len(lines) + 1), chance.choice(others).encode())
    return text_of(lines)


def trailers(lines: list[bytes], chance: random.Random) -> bytes:
    """Control totals that are wrong, absent, repeated or unusable."""
    at = next(at for at, line in enumerate(lines) if line.startswith(b'{"stats"'))
    trailer = lines.pop(at).decode()
    flows, packets = _totals(trailer)

    def stats(flows: int | str, packets: int | str) -> str:
        return f'{{"stats":{{"exportedFlowTotalCount":{flows},"packetTotalCount":{packets}}}}}'

    right = stats(flows, packets)
    variants: dict[str, list[str]] = {
        "absent": [],
        "flows wrong": [stats(flows + chance.choice([-1, 1, 1000]), packets)],
        "packets wrong": [stats(flows, packets + chance.choice([-1, 1, 2**40]))],
        "zero": [stats(0, 0)],
        "twice": [right, right],
        "last is wrong": [right, stats(flows - 1, packets)],
        "last is right": [stats(1, 1), stats(flows - 1, packets), right],
        "half behind": [right, f'{{"stats":{{"packetTotalCount":{packets}}}}}'],
        "half": [f'{{"stats":{{"exportedFlowTotalCount":{flows}}}}}'],
        "null": [stats("null", packets)],
        "text": [stats(f'"{flows}"', packets)],
        "negative": [stats(-1, packets)],
        "huge": [stats(2**63 - 1, packets), stats(flows, 2**63 - 1)],
        "too huge": [stats(flows, 2**63)],
        "empty": ['{"stats":{}}'],
        "no object": [f'{{"stats":{chance.choice(["[]", "null", "1"])}}}'],
        "written otherwise": [stats(f"{flows}.0", f"{packets}e0")],
        "cut off": [right[: chance.randrange(1, len(right))]],
        "repeated key": [right[:-2] + f',"packetTotalCount":{packets + 1}}}}}'],
    }
    chosen = variants[chance.choice(list(variants))]
    where = at if chance.random() < 0.7 else chance.randrange(len(lines) + 1)
    return text_of([*lines[:where], *(line.encode() for line in chosen), *lines[where:]])


def _totals(trailer: str) -> tuple[int, int]:
    flows, packets = (re.search(rf'"{name}":(\d+)', trailer) for name in ("exportedFlowTotalCount", "packetTotalCount"))
    assert flows, "a trailer has its flows"
    assert packets, "a trailer has its packets"
    return int(flows[1]), int(packets[1])


VALUE_DAMAGE: dict[str, LineDamage] = {
    "other types": in_flows(other_type),
    "out of range": in_flows(out_of_range),
    "no numbers": in_flows(no_number),
    "other spellings": in_flows(other_spelling),
    "keys missing": in_flows(key_missing),
    "keys doubled": in_flows(key_doubled),
    "keys unknown": in_flows(key_unknown),
    "no records": records,
    "trailers": trailers,
}
