"""The oracle itself: small cases whose answer is plain to see, and the known totals of the real dumps."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import struct
import tarfile
from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

import raw_flows
from content_digest import file_digest, table_digest
from dumps import find_parts, read_lines, read_records
from encoded_oracle import ENCODED
from flows_oracle import FLOWS
from full_oracle import FULL
from lakes import Device, recompute_dump
from recompute import recompute

LINES = [b'{"flows":{"n":1}}', b'{"flows":{"n":2.50}}', b"not json", b'{"stats":{"n":3}}']
TEXT = b"\n".join(LINES) + b"\n"


def tar_gz(text: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        entry = tarfile.TarInfo("dump.json")
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("names", "content"),
    [
        (["a!.json"], TEXT),
        (["a!.json.gz"], gzip.compress(TEXT)),
        (["a!.json.gz"], gzip.compress(TEXT[:25]) + gzip.compress(TEXT[25:])),
        (["a!.json.zst"], zstandard.compress(TEXT[:25]) + zstandard.compress(TEXT[25:])),
        (["a!.tar.gz"], tar_gz(TEXT)),
        (["a!.tar.gz00", "a!.tar.gz01", "a!.tar.gz02"], tar_gz(TEXT)),
    ],
)
def test_every_spelling_of_a_dump_holds_the_same_lines(tmp_path: Path, names: list[str], content: bytes):
    size = -(-len(content) // len(names))
    for index, name in enumerate(names):
        (tmp_path / name).write_bytes(content[index * size : (index + 1) * size])
    (tmp_path / "a!b.json").write_bytes(b"{}\n")

    parts = find_parts(tmp_path, "a!")

    assert [part.name for part in parts] == names
    assert list(read_lines(parts)) == list(enumerate(LINES, start=1))
    assert list(read_records(parts)) == [
        (1, "flows", {"n": 1}),
        (2, "flows", {"n": Decimal("2.50")}),
        (3, None, {}),
        (4, "stats", {"n": 3}),
    ]


def flow(**changes: object) -> dict:
    base = {
        "flowStartMilliseconds": "2020-02-29 23:59:59.999",
        "flowEndMilliseconds": "2020-03-01 00:00:01.500",
        "flowDurationMilliseconds": Decimal("1.501"),
        "reverseFlowDeltaMilliseconds": Decimal("0.250"),
        "protocolIdentifier": 6,
        "sourceIPv4Address": "192.0.2.1",
        "sourceTransportPort": 40000,
        "destinationIPv4Address": "192.0.2.2",
        "destinationTransportPort": 8883,
        "packetTotalCount": 5,
        "octetTotalCount": 500,
        "reversePacketTotalCount": 0,
        "reverseOctetTotalCount": 0,
        "flowAttributes": "0a",
        "reverseFlowAttributes": "00",
        "sourceMacAddress": "02:00:00:00:00:0A:",
        "destinationMacAddress": "02:00:00:00:00:0b",
        "initialTCPFlags": "S",
        "unionTCPFlags": "FRPA",
        "reverseInitialTCPFlags": "0",
        "flowEndReason": "",
    }
    return base | changes


def read(content: dict) -> raw_flows.Flow:
    return raw_flows.read_flow(content, "lamp", "lightBulb", "02:00:00:00:00:0a", "lampDump", 17)


def test_a_row_has_every_column_in_order():
    row = FLOWS.row(read(flow()))
    assert list(row) == list(FLOWS.columns)
    assert len(row) == 46  # the 45 published features less deviceClass, and the two timestamps
    assert row["flowStartMillisecondsDate"] == date(2020, 2, 29)
    assert row["flowStartMillisecondsTime"] == "23:59:59.999"
    assert row["flowEndMillisecondsTime"] == "00:00:01.500"
    assert row["flowDurationMilliseconds"] == 1501
    assert row["reverseFlowDeltaMilliseconds"] == 250
    assert row["IoTMacAddress"] == "02:00:00:00:00:0a"
    assert row["serviceType"] == "MQTT"
    assert row["flowAttributes"] == 10
    assert row["flowEndReason"] == "closed"
    assert row["unionTCPFlags"] == "APRF"
    assert row["maxPacketSize"] is None
    assert raw_flows.to_millis(row["flowStartMilliseconds"]) == 1583020799999


@pytest.mark.parametrize(
    ("written_duration", "written_delta", "duration", "expected"),
    [
        ("1799.999", "0.060", 1799999, 60),
        (1799999, 60, 1799999, 60),
        ("1.501", "1.500", 1502, 1500),  # a rounding of 1 ms in the dump
        ("0.001", "0.001", 1, 1),  # either reading of the duration fits; seconds stay within the flow
        (0, 1, 0, 1),  # as seconds the delta would be longer than the flow
        ("7.000", "0.002", 500, 2),  # neither reading of the duration fits
    ],
)
def test_the_unit_of_the_reverse_delta_is_told_by_the_duration(written_duration, written_delta, duration, expected):
    number = [Decimal(n) if isinstance(n, str) else n for n in (written_duration, written_delta)]
    assert raw_flows.reverse_delta(*number, duration) == expected


def test_addresses_are_canonical_and_a_lone_double_colon_is_an_ipv4_zero():
    assert raw_flows.address_pair("fe80::00a0:0001", "ff02::0016") == ("fe80::a0:1", "ff02::16")
    assert raw_flows.address_pair("::", "ff02::0016") == ("::", "ff02::16")
    assert raw_flows.address_pair("2001:db8:0:0:1:0:0:1", "2001:DB8:0:1::") == ("2001:db8::1:0:0:1", "2001:db8:0:1::")
    assert raw_flows.address_pair("::ffff:c000:0201", "2001:db8::1") == ("::ffff:192.0.2.1", "2001:db8::1")
    assert raw_flows.address_pair("::", "255.255.255.255") == ("0.0.0.0", "255.255.255.255")
    assert raw_flows.address_pair("fe80::01", "192.0.2.1") == ("fe80::1", "192.0.2.1")
    with pytest.raises(raw_flows.Unusable):
        raw_flows.address_pair("fe80::1::2", "192.0.2.1")


def test_what_a_dump_becomes_adds_up():
    here, there = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
    records = [
        (1, "flows", flow()),
        (2, "flows", flow(sourceMacAddress=there, destinationMacAddress=here)),
        (3, "flows", flow(destinationMacAddress=here, vlanId="0x001")),
        (4, "flows", flow(sourceMacAddress=there)),
        (5, "flows", {}),
        (6, "stats", {"exportedFlowTotalCount": 1, "packetTotalCount": 1}),
        (7, "stats", {"exportedFlowTotalCount": 4, "packetTotalCount": 20}),
    ]
    result = recompute(FLOWS, records, device="lamp", device_class="lightBulb", mac=here, dump="lampDump")
    assert result.directions == {"fromDevice": 1, "toDevice": 1, "both": 1, "neither": 1}
    assert [row.line for row in result.months["2020-02"]] == [1, 3]
    assert (result.kept, result.removed, result.rejected) == (2, {"toDevice": 1, "neither": 1}, 1)
    assert (result.trailer, result.packets) == ((4, 20), 20)
    assert result.dropped["vlanId"] == {None: 1, 1: 1}


def test_encoded_is_the_published_columns_behind_the_name():
    assert next(iter(ENCODED.columns)) == "deviceName"
    assert len(ENCODED.columns) == 1 + 66
    texts = [name for name, kind in ENCODED.columns.items() if kind == "string"]
    assert texts == ["deviceName", "device_type"]
    # The places that the publisher's own count gives to the groups: 33 numbers, 12 parts of times, and so on.
    names = list(ENCODED.columns)
    assert (names[1], names[33], names[34], names[45]) == (
        "flowDurationMilliseconds",
        "reverseBytesPerPacket",
        "flowStartMonth",
        "flowEndMillisecond",
    )
    assert (names[46], names[50], names[51], names[66]) == (
        "device_type",
        "flowEndReason_idle",
        "initialTCPFlags_A",
        "reverseUnionTCPFlags_R",
    )


def test_an_encoded_row():
    row = ENCODED.row(read(flow(reverseFlowAttributes="1F", destinationIPv4Address="255.255.255.255")))
    assert (row["deviceName"], row["device_type"]) == ("lamp", "lightBulb")
    assert (row["sourceIPv4Address"], row["destinationIPv4Address"]) == (3221225985, 2**32 - 1)
    assert (row["flowAttributes"], row["reverseFlowAttributes"]) == (10, 31)
    assert row["flowDurationMilliseconds"] == 1501
    assert (row["maxPacketSize"], row["reverseBytesPerPacket"]) == (0, 0)
    parts = ["Month", "Day", "Hour", "Minute", "Second", "Millisecond"]
    assert [row[f"flowStart{part}"] for part in parts] == [2, 29, 23, 59, 59, 999]
    assert [row[f"flowEnd{part}"] for part in parts] == [3, 1, 0, 0, 1, 500]
    assert [row[f"flowEndReason_{reason}"] for reason in ("Unknown", "eof", "active", "idle")] == [1, 0, 0, 0]
    assert [row[f"initialTCPFlags_{letter}"] for letter in "APSR"] == [0, 0, 1, 0]
    assert [row[f"unionTCPFlags_{letter}"] for letter in "APSR"] == [1, 1, 0, 1]
    six = ENCODED.row(read(flow(sourceIPv4Address="fe80::01", destinationIPv4Address="ff02::0016")))
    assert (six["sourceIPv4Address"], six["destinationIPv4Address"]) == (None, None)


def test_a_row_of_the_full_archive():
    row = FULL.row(read(flow()))
    assert len(row) == 54 + 4
    assert (row["deviceName"], row["dump"], row["line"], row["direction"]) == ("lamp", "lampDump", 17, "fromDevice")
    assert (row["sourceMacAddress"], row["flowEndReason"]) == ("02:00:00:00:00:0a", "closed")
    assert row["vlanId"] is None


# The digest's definition once more, value by value with nothing but hashlib and struct.
def plain_digest(columns: dict[str, tuple[str, list]], rows: int, block_rows: int) -> str:
    def sha(data: bytes) -> bytes:
        return hashlib.sha256(data).digest()

    file = b"flowlake-content-1\n" + struct.pack("<Q", rows)
    for start in range(0, rows, block_rows):
        block = b""
        for name, (kind, values) in columns.items():
            cut = values[start : start + block_rows]
            raw = bytes(value is not None for value in cut)
            if kind == "string":
                texts = [(value or "").encode() for value in cut]
                raw += b"".join(struct.pack("<I", len(text)) for text in texts) + b"".join(texts)
            else:
                code = {"int32": "i", "date": "i", "float64": "d"}.get(kind, "q")
                raw += b"".join(struct.pack("<" + code, value or 0) for value in cut)
            for text in (name, kind):
                block += struct.pack("<I", len(text.encode())) + text.encode()
            block += sha(raw)
        file += sha(block)
    return hashlib.sha256(file).hexdigest()


@pytest.mark.parametrize("rows", [0, 1, 6, 7])
@pytest.mark.parametrize("text_type", [pa.string(), pa.large_string(), pa.string_view()])
def test_the_content_digest_is_what_its_definition_says(tmp_path: Path, rows: int, text_type: pa.DataType):
    columns = {
        "text": ("string", ["a", None, "", "héllo", "日本", "z", "end"][:rows]),
        "small": ("int32", [1, None, -1, 2**31 - 1, -(2**31), 0, 9][:rows]),
        "big": ("int64", [None, 2**62, -5, 0, 1, None, 3][:rows]),
        "real": ("float64", [0.5, None, -2.25, 1e300, 0.0, 3.0, 4.0][:rows]),
        "day": ("date", [18262, None, 0, -1, 1, 2, 3][:rows]),
        "at": ("timestamp[ms, UTC]", [1583020799999, None, 0, -1, 1, 2, 3][:rows]),
    }
    arrow = [text_type, pa.int32(), pa.int64(), pa.float64(), pa.date32(), pa.timestamp("ms", "UTC")]
    arrays = [pa.array(values, kind) for (_, values), kind in zip(columns.values(), arrow, strict=True)]
    table = pa.table(dict(zip(columns, arrays, strict=True)))

    assert table_digest(table, block_rows=3) == plain_digest(columns, rows, 3)
    # A table that is read in pieces is the same table.
    pieces = pa.concat_tables([table.slice(0, 2), table.slice(2)])
    assert table_digest(pieces, block_rows=3) == table_digest(table, block_rows=3)

    path = tmp_path / "month=2020-01" / "file.parquet"
    path.parent.mkdir()
    pq.write_table(table, path, row_group_size=2)
    assert file_digest(path) == plain_digest(columns, rows, 65_536)


def test_the_real_hub_has_its_known_totals(real_kddi: Path):
    dump = "mouse_computer_room_hub"
    device = Device("mouseComputerRoomHub", "hub", "aa:1e:84:06:1c:b4", dump, None)
    result = recompute_dump(FLOWS, find_parts(real_kddi, dump), device)
    assert result.records == {"flows": 16932, "stats": 1, "tombstone": 1}
    assert result.trailer == (16932, 2472780)
    assert result.packets == 2472780
    assert (result.kept, result.rejected) == (16877, 0)
    assert result.removed == {"toDevice": 55, "neither": 0}


def test_the_real_sentinel_dumps_have_the_totals_listed_beside_them(real_iot_sentinel: Path):
    with (real_iot_sentinel / "devices.csv").open(newline="") as table:
        devices = list(csv.DictReader(table))
    for device in devices:
        name = device["device"]
        parts = find_parts(real_iot_sentinel, name)
        assert len(parts) == int(device["archive_parts"])
        result = recompute_dump(FLOWS, parts, Device(name, device["category"], device["mac"], name, None))
        assert result.trailer == (result.records["flows"], result.packets)
        assert result.records["flows"] == int(device["flows"])
        assert result.packets == int(device["flow_packets"])
        assert result.rejected == 0
        assert sum(result.directions.values()) - result.directions["neither"] == int(device["mac_flows"])


@pytest.mark.parametrize("data_set", ["real_kddi", "real_iot_sentinel"])
def test_the_written_duration_of_every_real_flow_is_end_minus_start_in_seconds(data_set, request):
    directory = request.getfixturevalue(data_set)
    stems = {path.name.partition(".tar.gz")[0] for path in directory.iterdir() if ".tar.gz" in path.name}
    checked = 0
    for stem in sorted(stems):
        for line, kind, content in read_records(find_parts(directory, stem)):
            if kind != "flows":
                continue
            values = read(content).values
            assert content["flowDurationMilliseconds"] * 1000 == values["flowDurationMilliseconds"], (stem, line)
            delta = values["reverseFlowDeltaMilliseconds"]
            assert delta == content["reverseFlowDeltaMilliseconds"] * 1000 <= values["flowDurationMilliseconds"]
            checked += 1
    assert checked > 0
