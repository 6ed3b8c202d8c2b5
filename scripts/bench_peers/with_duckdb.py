"""The product by DuckDB: `python -m bench_peers.with_duckdb CORPUS OUTPUT JOBS`."""

from __future__ import annotations

import tempfile
from itertools import groupby
from pathlib import Path

import duckdb

from bench_peers import archives, peer
from bench_peers.product import COUNTS, FLAGS, INTERARRIVAL_TIMES, PADDING, RAW_FIELDS, protocol_table, service_table

_TYPES = {"text": "VARCHAR", "int32": "INTEGER", "int64": "BIGINT", "decimal": "DOUBLE"}
_TIMES = ("flowStartMilliseconds", "flowEndMilliseconds")


def build(task: peer.Task) -> None:
    database = duckdb.connect(config={"threads": task.jobs, "preserve_insertion_order": False})
    database.execute("SET TimeZone = 'UTC'")
    with tempfile.TemporaryDirectory() as directory:
        texts = archives.stream(task.devices, Path(directory))
        _copy(database, texts, task.output)


def _copy(database: duckdb.DuckDBPyConnection, texts: list[archives.Text], output: Path) -> None:
    database.execute("CREATE TABLE devices (path VARCHAR, name VARCHAR, class VARCHAR, mac VARCHAR)")
    database.executemany(
        "INSERT INTO devices VALUES (?, ?, ?, ?)",
        [[text.path, text.device.name, text.device.device_class, text.device.mac] for text in texts],
    )
    query = _query(", ".join(f"'{text.path}'" for text in texts))
    database.execute(
        f"COPY ({query}) TO '{output}' (FORMAT parquet, PARTITION_BY (month, deviceClass), COMPRESSION zstd)"
    )


def _query(paths: str) -> str:
    # Read as TIMESTAMP at once: faster than as text that is parsed afterwards.
    fields = ", ".join(
        f'"{name}" {"TIMESTAMP" if name in _TIMES else _TYPES[kind]}' for name, kind in RAW_FIELDS.items()
    )
    # All kinds of records are named: a key that was not announced makes this reader ten times as slow.
    kinds = f"flows: 'STRUCT({fields})', stats: 'JSON', tombstone: 'JSON'"
    source = f"read_json([{paths}], format = 'newline_delimited', columns = {{{kinds}}}, filename = true)"
    duration = "(epoch_ms(flow.flowEndMilliseconds) - epoch_ms(flow.flowStartMilliseconds))"
    return f"""
        SELECT
            device.name AS deviceName,
            rtrim(flow.sourceMacAddress, ':') AS IoTMacAddress,
            {_address("sourceIPv4Address")} AS IoTIPAddress,
            rtrim(flow.destinationMacAddress, ':') AS serverMacAddress,
            {_address("destinationIPv4Address")} AS serverIPAddress,
            flow.sourceTransportPort AS IoTTransportPort,
            flow.destinationTransportPort AS serverTransportPort,
            flow.protocolIdentifier,
            {_protocol_name()} AS protocolName,
            {_service_type()} AS serviceType,
            {", ".join(f"flow.{name}::TIMESTAMPTZ AS {name}" for name in _TIMES)},
            {", ".join(f"flow.{name}::DATE AS {name}Date" for name in _TIMES)},
            {", ".join(f"strftime(flow.{name}, '%H:%M:%S.%g') AS {name}Time" for name in _TIMES)},
            {duration} AS flowDurationMilliseconds,
            CASE WHEN abs(flow.flowDurationMilliseconds * 1000 - {duration}) <= 1
                THEN round(flow.reverseFlowDeltaMilliseconds * 1000)::BIGINT
                ELSE flow.reverseFlowDeltaMilliseconds::BIGINT END AS reverseFlowDeltaMilliseconds,
            {", ".join(f"flow.{name}" for name in INTERARRIVAL_TIMES)},
            ('0x' || flow.flowAttributes)::INTEGER AS flowAttributes,
            ('0x' || flow.reverseFlowAttributes)::INTEGER AS reverseFlowAttributes,
            CASE flow.flowEndReason WHEN '' THEN 'closed' ELSE flow.flowEndReason END AS flowEndReason,
            {", ".join(f"flow.{name}" for name in [*FLAGS, *COUNTS])},
            strftime(flow.flowStartMilliseconds, '%Y-%m') AS month,
            device.class AS deviceClass
        FROM (SELECT flows AS flow, filename AS path FROM {source}) AS dump
        JOIN devices AS device ON dump.path = device.path
        WHERE rtrim(flow.sourceMacAddress, ':') = device.mac
    """


def _address(field: str) -> str:
    return f"""CASE
        WHEN contains(flow.sourceIPv4Address, ':') AND contains(flow.destinationIPv4Address, ':')
            THEN regexp_replace(flow.{field}, '{PADDING}', '\\1\\2', 'g')
        WHEN flow.{field} = '::' THEN '0.0.0.0'
        ELSE flow.{field} END"""


def _protocol_name() -> str:
    cases = " ".join(f"WHEN {number} THEN '{name}'" for number, name in protocol_table().items())
    return f"CASE flow.protocolIdentifier {cases} ELSE 'Other' END"


def _service_type() -> str:
    cases = []
    for (service, protocol), rows in groupby(service_table(), key=lambda row: row[:2]):
        ports = ", ".join(str(port) for _, _, port in rows)
        cases.append(
            f"WHEN flow.protocolIdentifier = {protocol} AND flow.destinationTransportPort IN ({ports}) THEN '{service}'"
        )
    return f"CASE {' '.join(cases)} ELSE 'Other' END"


if __name__ == "__main__":
    peer.main(build, duckdb.__version__)
