"""The product by ClickHouse, as chdb: `python -m bench_peers.with_clickhouse CORPUS OUTPUT JOBS`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

from chdb.session import Session

from bench_peers import archives, peer
from bench_peers.product import COUNTS, FLAGS, INTERARRIVAL_TIMES, RAW_FIELDS, protocol_table, service_table

_TYPES = {"text": "String", "int32": "Int32", "int64": "Int64", "decimal": "Float64"}
# Fields that may be missing; the rest is cheaper without room for nulls.
_STATISTICS = {*INTERARRIVAL_TIMES, *COUNTS} - {
    "packetTotalCount",
    "octetTotalCount",
    "reversePacketTotalCount",
    "reverseOctetTotalCount",
}
_TIMES = ("flowStartMilliseconds", "flowEndMilliseconds")
_PORT_RANGE = 65536


def build(task: peer.Task) -> None:
    session = Session()
    for setting in (
        f"max_threads = {task.jobs}",
        # Of no use where lines are only cut.
        "input_format_parallel_parsing = 0",
        "session_timezone = 'UTC'",
        "output_format_parquet_compression_method = 'zstd'",
        "output_format_parquet_string_as_string = 1",
    ):
        session.query(f"SET {setting}")
    task.output.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as directory:
        session.query(_statement(archives.stream(task.devices, Path(directory)), task.output))


def _statement(texts: list[archives.Text], output: Path) -> str:
    names = _list(text.device.name for text in texts)
    classes = _list(text.device.device_class for text in texts)
    macs = _list(text.device.mac for text in texts)
    fields = ", ".join(
        f"{name} {f'Nullable({_TYPES[kind]})' if name in _STATISTICS else _TYPES[kind]}"
        for name, kind in RAW_FIELDS.items()
    )
    # Lines decoded by a function, which is simdjson, and not by the reader of JSONEachRow, which is slower. File by
    # file, because a pattern does not find pipes.
    lines = " UNION ALL ".join(
        f"SELECT line, '{text.device.name}' AS device FROM file('{text.path}', 'LineAsString', 'line String')"
        for text in texts
    )
    dumps = f"SELECT JSONExtract(line, 'flows', 'Tuple({fields})') AS flow, device FROM ({lines})"
    flows = f"""
        SELECT flow, device,
            {", ".join(f"toDateTime64(flow.{name}, 3, 'UTC') AS {name}" for name in _TIMES)},
            position(flow.sourceIPv4Address, ':') > 0 AND position(flow.destinationIPv4Address, ':') > 0 AS isV6
        FROM ({dumps})
        WHERE trimRight(flow.sourceMacAddress, ':') = transform(device, {names}, {macs}, '')"""
    rows = f"""
        SELECT
            device AS deviceName,
            trimRight(flow.sourceMacAddress, ':') AS IoTMacAddress,
            {_address("sourceIPv4Address")} AS IoTIPAddress,
            trimRight(flow.destinationMacAddress, ':') AS serverMacAddress,
            {_address("destinationIPv4Address")} AS serverIPAddress,
            flow.sourceTransportPort AS IoTTransportPort,
            flow.destinationTransportPort AS serverTransportPort,
            flow.protocolIdentifier AS protocolIdentifier,
            {_protocol_name()} AS protocolName,
            {_service_type()} AS serviceType,
            {", ".join(_TIMES)},
            {", ".join(f"toDate32({name}) AS {name}Date" for name in _TIMES)},
            {", ".join(f"substring(flow.{name}, 12, 12) AS {name}Time" for name in _TIMES)},
            dateDiff('millisecond', flowStartMilliseconds, flowEndMilliseconds) AS flowDurationMilliseconds,
            if(abs(flow.flowDurationMilliseconds * 1000 - flowDurationMilliseconds) <= 1,
                toInt64(round(flow.reverseFlowDeltaMilliseconds * 1000)),
                toInt64(flow.reverseFlowDeltaMilliseconds)) AS reverseFlowDeltaMilliseconds,
            {", ".join(f"flow.{name} AS {name}" for name in INTERARRIVAL_TIMES)},
            toInt32(reinterpretAsUInt8(unhex(flow.flowAttributes))) AS flowAttributes,
            toInt32(reinterpretAsUInt8(unhex(flow.reverseFlowAttributes))) AS reverseFlowAttributes,
            if(flow.flowEndReason = '', 'closed', flow.flowEndReason) AS flowEndReason,
            {", ".join(f"flow.{name} AS {name}" for name in [*FLAGS, *COUNTS])}
        FROM ({flows})"""
    return f"""
        INSERT INTO FUNCTION file('{output.resolve()}/{{_partition_id}}/part.parquet', 'Parquet')
        PARTITION BY concat('month=', formatDateTime(flowStartMilliseconds, '%Y-%m'),
            '/deviceClass=', transform(deviceName, {names}, {classes}, ''))
        {rows}"""


def _address(field: str) -> str:
    return f"multiIf(isV6, IPv6NumToString(toIPv6(flow.{field})), flow.{field} = '::', '0.0.0.0', flow.{field})"


def _protocol_name() -> str:
    table = protocol_table()
    return f"transform(flow.protocolIdentifier, {list(table)}, {_list(table.values())}, 'Other')"


def _service_type() -> str:
    table = service_table()
    keys = [protocol * _PORT_RANGE + port for _, protocol, port in table]
    services = _list(service for service, _, _ in table)
    key = f"toInt64(flow.protocolIdentifier * {_PORT_RANGE} + flow.destinationTransportPort)"
    return f"transform({key}, {keys}::Array(Int64), {services}, 'Other')"


def _list(texts: Iterable[str]) -> str:
    return "[" + ", ".join(f"'{text}'" for text in texts) + "]"


if __name__ == "__main__":
    with Session() as session:
        version = str(session.query("SELECT version()")).strip().strip('"')
    peer.main(build, version)
