"""Hostile lines between good ones: numbers, text, nesting and white space that no exporter writes."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hostile import flows
from hostile.cases import (
    BUILD_DISK_MIB,
    BUILD_MIB,
    Case,
    Tried,
    build,
    judge_counts,
    judge_rows,
    kept_text,
    rejected_lines,
    stripped,
)
from hostile.flows import flow, spelled
from hostile.sandbox import Sandbox

KEPT, REJECTED, PASSED_OVER = "kept", "rejected", "passed over"
GROUP = "lines"
# A reason is for a table or a screen.
LONGEST_REASON = 1_000
NUMBER = "packetTotalCount"
TEXT = "flowEndReason"
# The number of the flow that a hostile line is of, between good ones.
HERE = 5


@dataclass(frozen=True)
class Line:
    """A hostile line, and what has to become of it."""

    name: str
    text: bytes
    fate: str
    # The same flow as exporters would have written it, if it is kept.
    plain: bytes = b""
    # Legal JSON that is rejected all the same, for what no text or no reader can hold.
    legal_but: bool = False


def kept(name: str, text: bytes, **changes: Any) -> Line:
    return Line(name, text, KEPT, flow(HERE, **changes))


def too_large(text: bytes) -> bool:
    """Whether a number is legal JSON, but beyond every double: readers may call that no JSON."""
    return b"1e400" in text or b"e999999999999" in text or b"9" * 400 in text or b"0" * 200_000 in text


def rejected(name: str, text: bytes, **more: Any) -> Line:
    return Line(name, text, REJECTED, **more)


def cases() -> Iterator[Case]:
    for line in lines():
        yield Case(
            GROUP,
            line.name,
            lambda place, tried, line=line: _alone(line, place, tried),
            repetitive=True,
        )
    for form in (".json", ".json.gz"):
        yield Case(GROUP, f"all lines in one {form}", lambda place, tried, form=form: _together(form, place, tried))


def lines() -> list[Line]:
    return [*_numbers(), *_texts(), *_bytes(), *_spaces(), *_records(), *_keys(), *_nesting(), *_times()]


def _numbers() -> Iterator[Line]:
    for value, number in {
        "7.0": 7,
        "70e-1": 7,
        "0.7e1": 7,
        "7E0": 7,
        "7e+00": 7,
        "-0": 0,
        "-0.0": 0,
        "0e999": 0,
        "7.000000000000000000000000": 7,
        "9007199254740992.0": 2**53,
        "9223372036854775807": 2**63 - 1,
    }.items():
        yield kept(f"the number {value}", spelled(HERE, NUMBER, value), **{NUMBER: number})
    for value in ("1e400", "1e999999999999", "-1e400", "9" * 400, "-" + "9" * 400, "1" + "0" * 200_000):
        yield rejected(f"the number {value[:12]} of {len(value)} bytes", spelled(HERE, NUMBER, value))
    # As for other readers of JSON a number with a point or an exponent is the double that is nearest.
    for value, number in {"1e-400": 0, "6.9999999999999999999999": 7, "7." + "0" * 400 + "1": 7}.items():
        yield kept(f"the number {value[:12]} of {len(value)} bytes", spelled(HERE, NUMBER, value), **{NUMBER: number})
    for value in ["-1", "7.5", "9223372036854775808", "18446744073709551616", "9007199254740994.0", "1e19"]:
        yield rejected(f"the number {value}", spelled(HERE, NUMBER, value))
    for value in [
        "0x10",
        "007",
        "+1",
        ".5",
        "1.",
        "1e",
        "1e+",
        "--1",
        "1_000",
        "1,0",
        "\uff11",
        "1 0",
        "0b1",
        "1f",
        "1n",
    ]:
        yield rejected(f"no number: {value}", spelled(HERE, NUMBER, value))
    for value in ["NaN", "-NaN", "nan", "Infinity", "-Infinity", "inf", "undefined", "True", "None", "nul"]:
        yield rejected(f"no value: {value}", spelled(HERE, NUMBER, value))
    for value in ['"7"', "null", "true", "[]", "[7]", "{}", '{"a":7}', '""']:
        yield rejected(f"another value: {value}", spelled(HERE, NUMBER, value))
    for value in ["1e400", "-0.001", "NaN", '"1.5"', "9007199254740.993"]:
        yield rejected(f"the duration {value}", spelled(HERE, "flowDurationMilliseconds", value))


def _texts() -> Iterator[Line]:
    every = {'\\"': '"', "\\\\": "\\", "\\/": "/", "\\b": "\b", "\\f": "\f", "\\n": "\n", "\\r": "\r", "\\t": "\t"}
    made = "".join(every.values()) + "A\x00\x1f\x7f"
    text = '"' + "".join(every) + '\\u0041\\u0000\\u001F\\u007f"'
    yield kept("all escapes", spelled(HERE, TEXT, text), **{TEXT: made})
    escaped = '"' + "".join(f"\\u{ord(letter):04x}" for letter in "idle") + '"'
    yield kept("nothing but escapes", spelled(HERE, TEXT, escaped), **{TEXT: "idle"})
    yield kept("a surrogate pair", spelled(HERE, TEXT, '"\\ud83d\\uDE00"'), **{TEXT: "😀"})
    for what, character in {"U+007F": "\x7f", "U+FFFF": "\uffff", "U+10FFFF": "\U0010ffff", "U+202E": "\u202e"}.items():
        yield kept(what, spelled(HERE, TEXT, f'"{character}"'), **{TEXT: character})
    yield kept("256 bytes of text", spelled(HERE, TEXT, '"' + "ä" * 128 + '"'), **{TEXT: "ä" * 128})
    for escape in ["\\x41", "\\u12", "\\u12G4", "\\U0001F600", "\\'", "\\0", "\\", "\\a"]:
        yield rejected(f"no escape: {escape}", spelled(HERE, TEXT, f'"{escape}"'))
    for escape in ["\\ud83d", "\\ude00", "\\ude00\\ud83d", "\\ud83d\\ud83d", "\\ud83dx", "\\ud83d\\n"]:
        yield rejected(f"a lone surrogate: {escape}", spelled(HERE, TEXT, f'"{escape}"'), legal_but=True)
    unknown = flow(HERE, **{TEXT: "idle", "note": "<here>"})
    half = unknown.replace(b"<here>", b"\\ud83d")
    yield kept("a lone surrogate behind a key of no field", half, **{TEXT: "idle"})
    for control in (0, 1, 8, 9, 11, 13, 27, 31):
        yield rejected(f"the control character {control} in text", spelled(HERE, TEXT, f'"a{chr(control)}b"'))
    for size in (257, 100_000, 1_000_000):
        yield rejected(f"{size} bytes of text", spelled(HERE, TEXT, '"' + "x" * size + '"'))
    yield rejected("a megabyte of escapes", spelled(HERE, TEXT, '"' + "\\u001b" * 170_000 + '"'))
    yield rejected("text that a terminal would obey", spelled(HERE, NUMBER, '"\\u001b[2J\\u0007\\u009b31m"'))
    yield rejected("text without an end", flow(HERE)[:-3] + b'"never')


def _bytes() -> Iterator[Line]:
    good = spelled(HERE, TEXT, '"<here>"')
    for what, wrong in {
        "an over-long slash": b"\xc0\xaf",
        "a longer over-long slash": b"\xe0\x80\xaf",
        "an over-long NUL": b"\xc0\x80",
        "a surrogate": b"\xed\xa0\x80",
        "two surrogates": b"\xed\xa0\xbd\xed\xb8\x80",
        "beyond Unicode": b"\xf4\x90\x80\x80",
        "five bytes": b"\xf8\x88\x80\x80\x80",
        "0xFF": b"\xff",
        "0xFE 0xFF": b"\xfe\xff",
        "a cut character": b"\xf0\x9f\x98",
        "Latin 1": "größer".encode("latin-1"),
        "Shift JIS": "日本".encode("shift-jis"),
    }.items():
        yield rejected(f"no UTF-8: {what}", good.replace(b"<here>", wrong))
    yield rejected("no UTF-8 in a key of no field", good.replace(b'"flows":{', b'"flows":{"\xff":1,'))
    yield rejected("a cut character at the end", flow(HERE) + b"\xe2\x82")
    for encoding in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-7"):
        text = flow(HERE).decode().replace('"', "“").encode(encoding) if encoding == "utf-7" else b""
        yield rejected(encoding, text or flow(HERE).decode().encode(encoding).replace(b"\n", b""))
    yield rejected("NUL bytes behind it", flow(HERE) + bytes(8))
    yield rejected("NUL bytes before it", bytes(8) + flow(HERE))
    yield rejected("nothing but NUL bytes", bytes(1_000_000))
    yield rejected("every byte there is", bytes(byte for byte in range(256) if byte != 10))
    mark = b"\xef\xbb\xbf"
    yield kept("a byte order mark", mark + flow(HERE))
    yield rejected("two byte order marks", mark + mark + flow(HERE))
    yield rejected("a byte order mark inside", flow(HERE).replace(b'{"flows":', b'{"flows":' + mark))
    yield rejected("half a byte order mark", mark[:2] + flow(HERE))


def _spaces() -> Iterator[Line]:
    plain = flows.fields_of(HERE)
    for what, space in {"spaces": " ", "tabs": "\t", "carriage returns": "\r", "all": " \t\r \t"}.items():
        s = space
        fields = f"{s},{s}".join(f"{json.dumps(k)}{s}:{s}{json.dumps(v, default=float)}" for k, v in plain.items())
        spaced = f'{s}{{{s}"flows"{s}:{s}{{{s}{fields}{s}}}{s}}}{s}'.encode()
        yield kept(f"{what} around everything", spaced)
    yield kept("a megabyte of spaces", b" " * 500_000 + flow(HERE) + b"\t" * 500_000)
    for what, space in {
        "a vertical tab": "\v",
        "a form feed": "\f",
        "a next line": "\x85",
        "a no-break space": "\xa0",
        "a line separator": "\u2028",
        "an ideographic space": "\u3000",
        "a zero-width space": "\u200b",
    }.items():
        yield rejected(f"{what} as white space", flow(HERE).replace(b'{"flows":', b'{"flows":' + space.encode()))
        yield rejected(f"{what} before a line", space.encode() + flow(HERE))
    for what, text in {"spaces": b" " * 1_000_000, "tabs": b"\t\t", "nothing": b"", "a carriage return": b"\r"}.items():
        yield Line(f"a line of {what}", text, PASSED_OVER)
    yield rejected("lines ended by carriage returns", flow(HERE) + b"\r" + flow(HERE + 1))


def _records() -> Iterator[Line]:
    good = flow(HERE)
    for text in [
        b"{}",
        b"[]",
        b"[{}]",
        b"0",
        b"1e400",
        b'"text"',
        b"null",
        b"true",
        b"nulll",
        b"{",
        b"}",
        b'{"flows"}',
    ]:
        yield rejected(f"the record {text.decode()}", text)
    for text in [
        b'{"flows":null}',
        b'{"flows":[]}',
        b'{"flows":{}}',
        b'{"flows":7}',
        b'{"flows":"x"}',
        b'{"flows":1e400}',
    ]:
        yield rejected(f"the record {text.decode()}", text)
    yield rejected("a list of records", b"[" + good + b"]")
    yield rejected("two records", good + good)
    yield rejected("two records with a comma", good + b"," + good)
    yield rejected("a flow twice in a record", good[:-1] + b"," + good[1:])
    yield rejected("a flow and a trailer in a record", good[:-1] + b',"stats":{}}')
    yield rejected("one bracket too many", good + b"}")
    yield rejected("one bracket too few", good[:-1])
    yield rejected("a comma at the end", good[:-2] + b",}}")
    yield rejected("a comment", good + b"// flows")
    yield rejected("a long comment", b"/* " + good + b" */")
    yield rejected("single quotes", good.replace(b'"', b"'"))
    yield rejected("no quotes", good.replace(b'"flows"', b"flows"))
    yield rejected("a record separator before it", b"\x1e" + good)
    for text in [
        b'{"Flows":{}}',
        b'{"":1}',
        b'{"flows ":{}}',
        b'{"\\u0000":[]}',
        b'{"dns":[[[]]]}',
        b'{"flows\\u0000":1}',
    ]:
        yield Line(f"the kind {text.decode()}", text, PASSED_OVER)
    yield Line("a kind of a million letters", b'{"' + b"k" * 1_000_000 + b'":1}', PASSED_OVER)
    yield rejected("two kinds of half a million letters", b'{"' + b"k" * 500_000 + b'":1,"' + b"j" * 500_000 + b'":2}')
    yield kept("the key `flows` in escapes", good.replace(b'"flows"', b'"\\u0066\\u006Cows"'))
    for value in ["1e400", "-1", "9" * 400, "NaN", '"7"', "7.5", "[]"]:
        total = f'{{"stats":{{"exportedFlowTotalCount":{value},"packetTotalCount":1}}}}'.encode()
        yield rejected(f"a trailer of {value[:10]}", total)


def _keys() -> Iterator[Line]:
    twice = flow(HERE).replace(b'"packetTotalCount":', b'"packetTotalCount":"bad","packetTotalCount":')
    yield kept("a key twice, the last is good", twice)
    last = flow(HERE)[:-2] + b',"packetTotalCount":"bad"}}'
    yield rejected("a key twice, the last is bad", last)
    nested = flow(HERE)[:-2] + b',"note":{"a":1,"a":{"a":2,"a":3}}}}'
    yield kept("keys twice in a nested object", nested)
    many = b",".join(b'"k%06d":0' % number for number in range(80_000))
    yield kept("80,000 keys", flow(HERE)[:-2] + b"," + many + b"}}")
    yield kept("a key 80,000 times", flow(HERE)[:-2] + b"," + b",".join([b'"note":0'] * 80_000) + b"}}")
    known = b",".join([b'"packetTotalCount":"bad"'] * 30_000)
    yield kept("a field 30,000 times, the last is good", flow(HERE)[:-2] + b"," + known + b',"packetTotalCount":7}}')
    yield kept("an empty key", flow(HERE)[:-2] + b',"":0}}')
    yield kept("a key of a NUL", flow(HERE)[:-2] + b',"\\u0000":0}}')
    yield kept("a key of 900,000 letters", flow(HERE)[:-2] + b',"' + b"k" * 900_000 + b'":0}}')
    yield kept("a key a terminal would obey", flow(HERE)[:-2] + b',"\\u001b[2J\\u202e":0}}')
    half = flow(HERE)[:-2] + b',"\\ud83d":0}}'
    yield rejected("a key of half a character", half, legal_but=True)
    yield rejected("a key that is no text", flow(HERE)[:-2] + b",7:0}}")


def _nesting() -> Iterator[Line]:
    def nested(value: bytes, key: bytes = b"note") -> bytes:
        return flow(HERE)[:-2] + b',"' + key + b'":' + value + b"}}"

    # Legal, and too deep for most readers: a reader that is not afraid of it keeps the flow.
    for depth in (100, 1_000, 100_000, 500_000):
        yield kept(f"{depth} lists behind a key of no field", nested(b"[" * depth + b"]" * depth))
    for depth in (100, 1_000, 100_000):
        yield kept(f"{depth} objects behind a key of no field", nested(b'{"a":' * depth + b"0" + b"}" * depth))
        value = b"[" * depth + b"]" * depth
        yield rejected(f"{depth} lists in a field", nested(value, NUMBER.encode()), legal_but=True)
        deep = b'{"a":' * depth + b"0" + b"}" * depth
        yield rejected(f"{depth} objects in a field", nested(deep, NUMBER.encode()), legal_but=True)
        yield rejected(f"{depth} lists as a record", b"[" * depth + b"]" * depth, legal_but=True)
        yield rejected(f"{depth} lists as a flow", b'{"flows":' + value + b"}", legal_but=True)
        yield Line(f"{depth} lists as another kind", b'{"dns":' + value + b"}", PASSED_OVER)
    for what, text in {
        "brackets that open": b"[" * 1_000_000,
        "brackets that close": b"]" * 1_000_000,
        "braces that open": b"{" * 1_000_000,
        "objects that open": b'{"a":' * 200_000,
        "brackets that open in a flow": b'{"flows":{"packetTotalCount":' + b"[" * 1_000_000,
        "brackets that do not match": b"[{" * 500_000,
        "quotes": b'"' * 1_000_000,
        "backslashes": b'"' + b"\\" * 1_000_000,
        "commas": b"[" + b"," * 1_000_000,
        "minus signs": b"-" * 1_000_000,
        "digits": b"9" * 1_000_000,
    }.items():
        yield rejected(f"a million {what}", text, legal_but=True)


def _times() -> Iterator[Line]:
    start, end = "flowStartMilliseconds", "flowEndMilliseconds"
    for time in ("0001-01-01 00:00:00.000", "9999-12-31 23:59:59.999", "1969-12-31 23:59:59.999"):
        yield kept(f"the time {time}", flow(HERE, **{start: time, end: time}), **{start: time, end: time})
    for time in (
        "0000-01-01 00:00:00.000",
        "10000-01-01 00:00:00.000",
        "-001-01-01 00:00:00.000",
        "2019-02-29 00:00:00.000",
        "2019-07-01 24:00:00.000",
        "2019-07-01 23:59:60.000",
        "\uff12\uff10\uff11\uff19-07-01 00:00:00.000",
        "2019-07-01 00:00:00.000+09:00",
        "2019-07-01 00:00:00.000\u0000",
        "2019-07-01" + " " * 100_000,
        "",
    ):
        yield rejected(f"the time {time[:30]!r}", flow(HERE, **{start: time}))
    for field, value in {
        "sourceIPv4Address": "../../../etc/passwd",
        "destinationIPv4Address": "1.2.3.4\u0000",
        "sourceMacAddress": "4c:ef:c0:17:e0:4\uff12:",
        "vlanId": "0x" + "f" * 100_000,
        "flowAttributes": "-1",
        "initialTCPFlags": "S" * 100_000 + "X",
    }.items():
        yield rejected(f"{field} {value[:24]!r}", flow(HERE, **{field: value}))


def _alone(line: Line, place: Sandbox, tried: Tried) -> None:
    """The line between good flows: it is kept or rejected, and takes nothing of them with it."""
    _write(place, ".json", [line])
    place.remember()
    run = build(place)
    if not tried.expect(run, 0, [], BUILD_MIB, BUILD_DISK_MIB):
        return
    _judge(place, [line], tried)
    if line.fate == REJECTED:
        # Where none may be rejected, the screen has the reason: whatever is in the line.
        (place.root / "catalogue.toml").write_text(flows.catalogue("max_rejected_share = 0.0"))
        place.remember()
        tried.expect(build(place, "--replace"), 1, ["dump hub: 1 of ", "line 2, byte"], BUILD_MIB, BUILD_DISK_MIB)
        tried.outcome = "read, the line rejected"
    else:
        tried.outcome = f"read, the line {line.fate}"


def _together(form: str, place: Sandbox, tried: Tried) -> None:
    good = lines()
    _write(place, form, good)
    place.remember()
    if tried.expect(build(place), 0, [], BUILD_MIB, 512):
        _judge(place, good, tried)
        tried.outcome = "read, each line as it should be"


def _write(place: Sandbox, form: str, hostile: list[Line]) -> None:
    (place.root / "catalogue.toml").write_text(flows.catalogue("max_rejected_share = 1.0"))
    text = b"".join(flow(1) + b"\n" + line.text + b"\n" for line in hostile) + flow(2) + b"\n"
    (place.dumps / f"hub{form}").write_bytes(gzip.compress(text, 1) if form.endswith(".gz") else text)


def _judge(place: Sandbox, hostile: list[Line], tried: Tried) -> None:
    plain = b"".join(flow(1) + b"\n" + line.plain + b"\n" for line in hostile) + flow(2) + b"\n"
    expected = flows.recomputed(plain)
    judge_rows(place, {month: [row.cells for row in rows] for month, rows in expected.months.items()}, tried)
    bad = [(2 * place_of + 2, line) for place_of, line in enumerate(hostile) if line.fate == REJECTED]
    judge_counts(place, expected.kept + len(bad), expected.kept, 0, len(bad), tried)
    offsets = _offsets(hostile)
    for (number, line), found in zip(bad, rejected_lines(place), strict=False):
        if (found["line"], found["offset"]) != (number, offsets[number]):
            tried.complain(f"{line.name}: line and offset are {found['line']}, {found['offset']}")
        if kept_text(found) != line.text.removesuffix(b"\r"):
            tried.complain(f"{line.name}: the line is not kept word for word")
        tried.wrong += [f"{line.name}: {what}" for what in _bad_reason(line, found["reason"])]


def _offsets(hostile: list[Line]) -> dict[int, int]:
    offsets, at = {}, 0
    for place_of, line in enumerate(hostile):
        at += len(flow(1)) + 1
        offsets[2 * place_of + 2] = at
        at += len(line.text) + 1
    return offsets


def _bad_reason(line: Line, reason: str) -> Iterator[str]:
    """What is wrong with a reason, by Python's own reading of the line."""
    if len(reason) > LONGEST_REASON:
        yield f"a reason of {len(reason)} characters"
    begins = _python_says(stripped(line.text))
    says = next((words for words in ("not UTF-8", "not JSON") if reason.startswith(words)), "")
    if begins != says and not line.legal_but and not (begins == "" and too_large(line.text)):
        yield f"Python says {begins or 'it is JSON'}, the reason is {reason[:100]!r}"


def _python_says(text: bytes) -> str:
    try:
        decoded = text.decode()
    except UnicodeDecodeError:
        return "not UTF-8"
    try:
        json.loads(decoded, parse_constant=_refuse, parse_int=lambda digits: digits)
    except (ValueError, RecursionError):
        return "not JSON"
    return ""


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
