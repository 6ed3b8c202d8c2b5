"""The product by Polars for Python: `python -m bench_peers.with_polars CORPUS OUTPUT JOBS`.

`scripts/bench` sets POLARS_MAX_THREADS; nothing else does once Polars is imported.
"""

from __future__ import annotations

from functools import partial

import polars as pl

from bench_peers import archives, peer
from bench_peers.product import COUNTS, FLAGS, INTERARRIVAL_TIMES, PADDING, RAW_FIELDS, protocol_table, service_table

_TYPES = {"text": pl.String, "int32": pl.Int32, "int64": pl.Int64, "decimal": pl.Float64}
_RECORD = pl.Struct({"flows": pl.Struct({name: _TYPES[kind] for name, kind in RAW_FIELDS.items()})})
_PORT_RANGE = 65536


def build(task: peer.Task) -> None:
    # One dump after the other: all in one plan is slower, because it needs all of them in memory.
    for text in archives.unpack(task.devices):
        target = pl.PartitionBy(
            task.output,
            key=["month", "deviceClass"],
            include_key=False,
            file_path_provider=partial(_file_name, text.device.name),
        )
        _flows(text).sink_parquet(target, mkdir=True, compression="zstd")


def _file_name(device: str, file: pl.FileProviderArgs) -> str:
    (keys,) = file.partition_keys.to_dicts()
    return "/".join([*(f"{key}={value}" for key, value in keys.items()), f"{device}.parquet"])


def _flows(text: archives.Text) -> pl.LazyFrame:
    raw = (
        # Lines decoded by an expression: `scan_ndjson` is slower.
        pl.scan_lines(text.path)
        .select(pl.col("line").str.json_decode(_RECORD).struct.field("flows").struct.unnest())
        .with_columns(mac=_mac("sourceMacAddress"))
        .filter(pl.col("mac") == text.device.mac)
        .with_columns(start=_time("flowStartMilliseconds"), end=_time("flowEndMilliseconds"))
        .with_columns(duration=(pl.col("end") - pl.col("start")).dt.total_milliseconds())
    )
    services = {protocol * _PORT_RANGE + port: service for service, protocol, port in service_table()}
    delta = pl.col("reverseFlowDeltaMilliseconds")
    in_seconds = (pl.col("flowDurationMilliseconds") * 1000 - pl.col("duration")).abs() <= 1
    return raw.select(
        deviceName=pl.lit(text.device.name),
        IoTMacAddress="mac",
        IoTIPAddress=_address("sourceIPv4Address"),
        serverMacAddress=_mac("destinationMacAddress"),
        serverIPAddress=_address("destinationIPv4Address"),
        IoTTransportPort="sourceTransportPort",
        serverTransportPort="destinationTransportPort",
        protocolIdentifier="protocolIdentifier",
        protocolName=_lookup(pl.col("protocolIdentifier"), protocol_table()),
        serviceType=_lookup(pl.col("protocolIdentifier") * _PORT_RANGE + pl.col("destinationTransportPort"), services),
        flowStartMilliseconds="start",
        flowEndMilliseconds="end",
        flowStartMillisecondsDate=pl.col("start").dt.date(),
        flowEndMillisecondsDate=pl.col("end").dt.date(),
        flowStartMillisecondsTime=pl.col("flowStartMilliseconds").str.slice(11, 12),
        flowEndMillisecondsTime=pl.col("flowEndMilliseconds").str.slice(11, 12),
        flowDurationMilliseconds="duration",
        reverseFlowDeltaMilliseconds=pl.when(in_seconds).then((delta * 1000).round()).otherwise(delta).cast(pl.Int64),
        **{name: pl.col(name) for name in INTERARRIVAL_TIMES},
        flowAttributes=pl.col("flowAttributes").str.to_integer(base=16, dtype=pl.Int32),
        reverseFlowAttributes=pl.col("reverseFlowAttributes").str.to_integer(base=16, dtype=pl.Int32),
        flowEndReason=pl.when(pl.col("flowEndReason") == "").then(pl.lit("closed")).otherwise("flowEndReason"),
        **{name: pl.col(name) for name in [*FLAGS, *COUNTS]},
        month=pl.col("flowStartMilliseconds").str.slice(0, 7),
        deviceClass=pl.lit(text.device.device_class),
    )


def _mac(field: str) -> pl.Expr:
    return pl.col(field).str.strip_chars_end(":")


def _time(field: str) -> pl.Expr:
    return pl.col(field).str.to_datetime("%Y-%m-%d %H:%M:%S%.3f", time_unit="ms", time_zone="UTC")


def _address(field: str) -> pl.Expr:
    address = pl.col(field)
    is_v6 = [pl.col(end).str.contains(":", literal=True) for end in ("sourceIPv4Address", "destinationIPv4Address")]
    return (
        pl.when(*is_v6)
        .then(address.str.replace_all(PADDING, "${1}${2}"))
        .when(address == "::")
        .then(pl.lit("0.0.0.0"))
        .otherwise(address)
    )


def _lookup(key: pl.Expr, table: dict[int, str]) -> pl.Expr:
    return key.replace_strict(table, default="Other", return_dtype=pl.String)


if __name__ == "__main__":
    peer.main(build, pl.__version__)
