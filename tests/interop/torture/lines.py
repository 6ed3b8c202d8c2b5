"""Judges the lines of a dump as docs/input-format.md says: a flow, another record, blank, or rejected and why.

`raw_flows` reads flows that are well written. Here lines may hold anything, so every range and every spelling is looked
at first; what comes out is a flow that `raw_flows` can read, in the same words wherever words count.
"""

from __future__ import annotations

import ipaddress
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from raw_flows import FIELDS

_COUNT, _SIZE, _LONG, _SHORT = 2**63 - 1, 2**31 - 1, 2**32 - 1, 2**16 - 1
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# Integers are also taken with an exponent or a fraction of zeros, as far as a double tells them apart.
_EXACT = 2**53
_LONGEST_DURATION = 9_007_199_254_740.991
_LONGEST_TEXT = 256

_TIMES = ("flowStartMilliseconds", "flowEndMilliseconds")
_DURATIONS = ("flowDurationMilliseconds", "reverseFlowDeltaMilliseconds")
_ADDRESSES = ("sourceIPv4Address", "destinationIPv4Address")
_MACS = ("sourceMacAddress", "destinationMacAddress")
_TEXTS = ("flowEndReason", "collectorName")
_HEXADECIMAL = {
    "flowAttributes": 0xFFFF,
    "reverseFlowAttributes": 0xFFFF,
    "tcpSequenceNumber": 0xFFFF_FFFF,
    "reverseTcpSequenceNumber": 0xFFFF_FFFF,
    "vlanId": 0xFFFF,
    "ipClassOfService": 0xFF,
    "firstEightNonEmptyPacketDirections": 0xFF,
}
_LARGEST = {
    "protocolIdentifier": 255,
    "sourceTransportPort": _SHORT,
    "destinationTransportPort": _SHORT,
    "silkAppLabel": _SHORT,
    "ingressInterface": _LONG,
    "egressInterface": _LONG,
    "observationDomainId": _LONG,
    "firstNonEmptyPacketSize": _SIZE,
    "maxPacketSize": _SIZE,
    "standardDeviationPayloadLength": _SIZE,
    "bytesPerPacket": _SIZE,
    "reverseFirstNonEmptyPacketSize": _SIZE,
    "reverseMaxPacketSize": _SIZE,
    "reverseStandardDeviationPayloadLength": _SIZE,
    "reverseBytesPerPacket": _SIZE,
}
_TOTALS = ("exportedFlowTotalCount", "packetTotalCount")

_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?Z?", re.ASCII)
_HEX = re.compile(r"(0[xX])?[0-9a-fA-F]{1,15}")
_MAC = re.compile(r"[0-9a-fA-F]{2}([:-])[0-9a-fA-F]{2}(\1[0-9a-fA-F]{2}){4}:?")
_FLAGS = re.compile(r"0|[ECUAPRSF]*")
_SURROGATE = re.compile("[\ud800-\udfff]")


class _Bad(Exception):
    """A value that its field cannot hold."""


@dataclass(frozen=True)
class _Number:
    """A number with a fraction or an exponent, or a very long one, as it is written."""

    text: str


class _Object(list):
    """The keys and values of an object in their order, repeated ones too."""

    def names(self) -> list[str]:
        return [key for key, _ in self]


@dataclass(frozen=True)
class Line:
    """A line of a dump that is not blank, and what it is."""

    number: int
    # Of its first byte, in the decompressed JSON.
    offset: int
    # Without its line end.
    text: bytes
    # flows, stats, tombstone, other or rejected.
    kind: str
    # A flow that `raw_flows` can read, or the two totals of `stats` if both are there.
    content: dict[str, Any]
    # Keys of a flow that are no known field.
    unknown: frozenset[str] = frozenset()
    # What the reason of a rejected line may begin with.
    reasons: tuple[str, ...] = ()


def split(text: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Number, offset and bytes of each line, without line feeds."""
    offset = 0
    lines = text.split(b"\n")
    if not lines[-1]:
        lines.pop()
    for number, line in enumerate(lines, start=1):
        yield number, offset, line
        offset += len(line) + 1


def judge_lines(text: bytes) -> list[Line]:
    """Every line of a dump but blank ones."""
    judged = (judge(number, offset, line) for number, offset, line in split(text))
    return [line for line in judged if line is not None]


def judge(number: int, offset: int, text: bytes) -> Line | None:
    """What a line is; None if it is blank."""
    text = text.removesuffix(b"\r")
    kind, content, unknown, reasons = _judge(text.removeprefix(_BYTE_ORDER_MARK))
    if kind == "blank":
        return None
    return Line(number, offset, text, kind, content, unknown, reasons)


Judgement = tuple[str, dict[str, Any], frozenset[str], tuple[str, ...]]


def _rejected(*reasons: str) -> Judgement:
    return "rejected", {}, frozenset(), reasons


def _judge(text: bytes) -> Judgement:
    try:
        decoded = text.decode()
    except UnicodeDecodeError as error:
        return _rejected(f"not UTF-8 at byte {error.start + 1} ")
    if not text.strip(b" \t\r\n\x0c"):
        return "blank", {}, frozenset(), ()
    try:
        record = json.loads(
            decoded,
            object_pairs_hook=_Object,
            parse_float=_Number,
            parse_int=lambda digits: int(digits) if len(digits) < 100 else _Number(digits),
            parse_constant=_no_constant,
        )
    except ValueError:
        return _rejected("not JSON: ")
    if not isinstance(record, _Object):
        return _rejected("expected a record ", *_beyond_doubles(record))
    if _unpaired(record):
        return _rejected("not JSON: ")
    if not record:
        return _rejected("an empty object ")
    if len(record) > 1:
        return _rejected("more than one record in a line: ", *(r for _, v in record for r in _beyond_doubles(v)))
    ((kind, content),) = record
    if kind in ("flows", "stats"):
        if not isinstance(content, _Object):
            return _rejected(f"`{kind}` holds ", *_beyond_doubles(content))
        return _flow(content) if kind == "flows" else _stats(content)
    return kind if kind == "tombstone" else "other", {}, frozenset(), ()


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


def _beyond_doubles(value: Any) -> tuple[str, ...]:
    """What else may be said of a number that no double can hold: parsers of JSON may refuse it."""
    return ("not JSON: ",) if isinstance(value, _Number) and math.isinf(float(value.text)) else ()


def _unpaired(record: _Object) -> bool:
    """Whether half a surrogate pair, which is no text, stands where text is read: in keys, and in known fields."""
    if any(_SURROGATE.search(key) for key in record.names()):
        return True
    # Whatever other records hold is passed over, and so are unknown fields.
    kind, content = record[0] if record else ("", None)
    if kind not in ("flows", "stats"):
        return False
    if isinstance(content, str):
        return bool(_SURROGATE.search(content))
    known = FIELDS if kind == "flows" else _TOTALS
    return isinstance(content, _Object) and any(
        _SURROGATE.search(key) or (key in known and isinstance(value, str) and _SURROGATE.search(value))
        for key, value in content
    )


def _flow(content: _Object) -> Judgement:
    last = dict(content)
    read: dict[str, Any] = {}
    bad: list[str] = []
    for name in FIELDS:
        value = last.get(name)
        if value is None:
            continue
        try:
            read[name] = read_value(name, value)
        except _Bad:
            bad.append(name)
    beyond = [reason for _, value in content for reason in _beyond_doubles(value)]
    if bad:
        return _rejected(f"{bad[0]}: expected ", *beyond)
    missing = [name for name, field in FIELDS.items() if field.required and name not in read]
    if missing:
        return _rejected(f"required but missing: {', '.join(missing)}", *beyond)
    return "flows", read, frozenset(last) - frozenset(FIELDS), ()


def _stats(content: _Object) -> Judgement:
    last = dict(content)
    totals: dict[str, Any] = {}
    for name in _TOTALS:
        value = last.get(name)
        if value is None:
            continue
        try:
            totals[name] = _integer(value, _COUNT)
        except _Bad:
            wrong = [f"stats.{name}: " for name in _TOTALS]
            return _rejected(*wrong, *(reason for _, value in content for reason in _beyond_doubles(value)))
    return "stats", totals if len(totals) == len(_TOTALS) else {}, frozenset(), ()


def read_value(name: str, value: Any) -> Any:
    """What a field holds, in a spelling that `raw_flows` reads."""
    if name in _DURATIONS:
        return _duration(value)
    if not (name in _TIMES or name in _ADDRESSES or name in _MACS or name in _TEXTS or name in _HEXADECIMAL) and (
        not name.endswith("TCPFlags")
    ):
        return _integer(value, _LARGEST.get(name, _COUNT))
    if not isinstance(value, str):
        raise _Bad
    if name in _TIMES:
        return _time(value)
    if name in _HEXADECIMAL:
        if not _HEX.fullmatch(value) or int(value, 16) > _HEXADECIMAL[name]:
            raise _Bad
    elif name in _ADDRESSES:
        if not _is_address(value):
            raise _Bad
    elif name in _MACS:
        if not _MAC.fullmatch(value):
            raise _Bad
    elif name in _TEXTS:
        if len(value.encode()) > _LONGEST_TEXT:
            raise _Bad
    elif not _FLAGS.fullmatch(value):
        raise _Bad
    return value


def _integer(value: Any, largest: int) -> int:
    if isinstance(value, _Number):
        number = float(value.text)
        if not math.isfinite(number) or number != int(number) or abs(number) > _EXACT:
            raise _Bad
        value = int(number)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= largest:
        raise _Bad
    return value


def _duration(value: Any) -> int | Decimal:
    if isinstance(value, _Number):
        if not math.isfinite(float(value.text)):
            raise _Bad
        number = Decimal(value.text)
        if number != number.quantize(Decimal("0.001")) if abs(number) < 10**15 else True:
            # More than three decimals, which no exporter writes: rounded.
            number = Decimal(math.floor(float(value.text) * 1000 + 0.5)) / 1000
    elif isinstance(value, int) and not isinstance(value, bool):
        number = value
    else:
        raise _Bad
    if not 0 <= number <= _LONGEST_DURATION:
        raise _Bad
    return number


def _time(text: str) -> str:
    found = _TIME.fullmatch(text)
    if not found:
        raise _Bad
    year, month, day, hour, minute, second, fraction = found.groups()
    days = [31, 29 if _is_leap(int(year)) else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    if int(year) == 0 or not 1 <= int(month) <= 12 or not 1 <= int(day) <= days[int(month) - 1]:
        raise _Bad
    if int(hour) > 23 or int(minute) > 59 or int(second) > 59:
        raise _Bad
    return f"{year}-{month}-{day} {hour}:{minute}:{second}.{(fraction or '0'):0<3.3}"


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _is_address(text: str) -> bool:
    # Python alone takes the zone of an interface, `fe80::1%eth0`, for part of an address.
    if "%" in text:
        return False
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
