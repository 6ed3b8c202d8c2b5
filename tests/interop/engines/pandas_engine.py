"""pandas reads lakes, with pyarrow beneath it."""

from __future__ import annotations

import pandas as pd
from pyarrow.fs import FileSystem

from engines.reading import START, Columns, Partition, Query, Source, Summary, summary_from


def condition(query: Query) -> list[tuple[str, str, object]]:
    return [
        ("month", "==", query.month),
        ("deviceClass", "==", query.device_class),
        (START, ">=", query.begin),
        (START, "<", query.end),
        ("serverIPAddress", "==", query.server),
    ]


class Pandas:
    title = "pandas"
    version = pd.__version__

    def __init__(self, filesystem: FileSystem | None = None) -> None:
        self.filesystem = filesystem

    def read(self, source: Source, **options: object) -> pd.DataFrame:
        paths = source.data if source.files is None else list(source.files)
        return pd.read_parquet(paths, filesystem=self.filesystem, **options)

    def session_zone(self) -> None:
        return None

    def types(self, source: Source) -> dict[str, str]:
        return {str(name): str(data_type) for name, data_type in self.read(source).dtypes.items()}

    def summary(self, source: Source, columns: Columns) -> dict[Partition, Summary]:
        found = {}
        for (month, name), flows in self.read(source).groupby(["month", "deviceClass"], observed=True):
            values: list[object] = [len(flows)]
            if columns.start:
                # Exactly milliseconds, whatever unit pandas keeps them in.
                starts = flows[columns.start].dt.as_unit("ms").astype("int64")
                values += [starts.min(), starts.max()]
            counts = flows.count()
            values += [flows[column].sum() if counts[column] else None for column in columns.summed]
            values += [counts[column] for column in columns.all]
            found[month, name] = summary_from(columns, values)
        return found

    def answer(self, source: Source, query: Query | None) -> tuple[int, int]:
        filters = None if query is None else condition(query)
        octets = self.read(source, columns=["octetTotalCount"], filters=filters)["octetTotalCount"]
        return len(octets), int(octets.sum())
