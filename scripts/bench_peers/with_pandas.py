"""The product by pandas, as published notebooks go about it: `python -m bench_peers.with_pandas CORPUS OUTPUT JOBS`.

One device after the other, on one thread: `json` for each line, a list of dictionaries, a frame, columns one by one.
"""

from __future__ import annotations

import ipaddress
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bench_peers import archives, peer
from bench_peers.product import COUNTS, FLAGS, INTERARRIVAL_TIMES, RAW_FIELDS, Device, protocol_table, service_table


def build(task: peer.Task) -> None:
    for device in task.devices:
        text = b"".join(archives.read_blocks(device))
        records = (json.loads(line) for line in text.splitlines())
        raw = pd.DataFrame([record["flows"] for record in records if "flows" in record], columns=list(RAW_FIELDS))
        pq.write_to_dataset(
            pa.Table.from_pandas(_flows(raw, device), preserve_index=False),
            task.output,
            partition_cols=["month", "deviceClass"],
            basename_template=f"{device.name}-{{i}}.parquet",
            compression="zstd",
            existing_data_behavior="overwrite_or_ignore",
        )


def _flows(raw: pd.DataFrame, device: Device) -> pd.DataFrame:
    raw = raw[raw["sourceMacAddress"].str.rstrip(":") == device.mac].copy()
    start, end = (pd.to_datetime(raw[f"flow{end}Milliseconds"], utc=True) for end in ("Start", "End"))
    duration = (end - start) // pd.Timedelta(milliseconds=1)
    is_v6 = raw["sourceIPv4Address"].str.contains(":") & raw["destinationIPv4Address"].str.contains(":")
    in_seconds = (raw["flowDurationMilliseconds"] * 1000 - duration).abs() <= 1
    delta = raw["reverseFlowDeltaMilliseconds"]
    services = {(protocol, port): service for service, protocol, port in service_table()}
    flows = pd.DataFrame(
        {
            "deviceName": device.name,
            "IoTMacAddress": raw["sourceMacAddress"].str.rstrip(":"),
            "IoTIPAddress": _address(raw["sourceIPv4Address"], is_v6),
            "serverMacAddress": raw["destinationMacAddress"].str.rstrip(":"),
            "serverIPAddress": _address(raw["destinationIPv4Address"], is_v6),
            "IoTTransportPort": raw["sourceTransportPort"].astype("Int32"),
            "serverTransportPort": raw["destinationTransportPort"].astype("Int32"),
            "protocolIdentifier": raw["protocolIdentifier"].astype("Int32"),
            "protocolName": raw["protocolIdentifier"].map(protocol_table()).fillna("Other"),
            "serviceType": [
                services.get(key, "Other")
                for key in zip(raw["protocolIdentifier"], raw["destinationTransportPort"], strict=True)
            ],
            "flowStartMilliseconds": start.dt.as_unit("ms"),
            "flowEndMilliseconds": end.dt.as_unit("ms"),
            "flowStartMillisecondsDate": start.dt.date,
            "flowEndMillisecondsDate": end.dt.date,
            "flowStartMillisecondsTime": raw["flowStartMilliseconds"].str[11:],
            "flowEndMillisecondsTime": raw["flowEndMilliseconds"].str[11:],
            "flowDurationMilliseconds": duration,
            "reverseFlowDeltaMilliseconds": np.where(in_seconds, (delta * 1000).round(), delta).astype("int64"),
            **{name: raw[name].astype("Int64") for name in INTERARRIVAL_TIMES},
            "flowAttributes": raw["flowAttributes"].map(_bits).astype("int32"),
            "reverseFlowAttributes": raw["reverseFlowAttributes"].map(_bits).astype("int32"),
            "flowEndReason": raw["flowEndReason"].replace("", "closed"),
            **{name: raw[name] for name in FLAGS},
            **{name: raw[name].astype(kind.capitalize()) for name, kind in COUNTS.items()},
        }
    )
    return flows.assign(month=start.dt.strftime("%Y-%m"), deviceClass=device.device_class)


def _address(addresses: pd.Series, is_v6: pd.Series) -> pd.Series:
    return addresses.where(is_v6, addresses.replace("::", "0.0.0.0")).where(
        ~is_v6, addresses.map(lambda address: str(ipaddress.ip_address(address)))
    )


def _bits(text: str) -> int:
    return int(text, 16)


if __name__ == "__main__":
    peer.main(build, pd.__version__)
