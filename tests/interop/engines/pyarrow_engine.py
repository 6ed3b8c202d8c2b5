"""pyarrow reads lakes."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from pyarrow.fs import FileSystem

from engines.reading import START, Columns, Effort, Partition, Query, Source, Summary, summary_from


def condition(query: Query) -> pc.Expression:
    return (
        (ds.field("month") == query.month)
        & (ds.field("deviceClass") == query.device_class)
        & (ds.field(START) >= pa.scalar(query.begin, pa.timestamp("ms", "UTC")))
        & (ds.field(START) < pa.scalar(query.end, pa.timestamp("ms", "UTC")))
        & (ds.field("serverIPAddress") == query.server)
    )


class PyArrow:
    title = "pyarrow"
    version = pa.__version__

    def __init__(self, filesystem: FileSystem | None = None) -> None:
        self.filesystem = filesystem

    def dataset(self, source: Source) -> ds.Dataset:
        paths = source.data if source.files is None else list(source.files)
        return ds.dataset(paths, partitioning="hive", format="parquet", filesystem=self.filesystem)

    def session_zone(self) -> None:
        return None

    def types(self, source: Source) -> dict[str, str]:
        return {field.name: str(field.type) for field in self.dataset(source).schema}

    def summary(self, source: Source, columns: Columns) -> dict[Partition, Summary]:
        # Times as the numbers that are stored. A column is not asked for twice, and neither is a key.
        flows = self.dataset(source)
        table = flows.to_table(
            columns={name: ds.field(name) for name in (*columns.all, *columns.summed)}
            | {"key: month": ds.field("month"), "key: class": ds.field("deviceClass")}
            | ({"start": ds.field(columns.start).cast(pa.int64())} if columns.start else {})
        )
        asked: list[tuple[object, ...]] = [([], "count_all")]
        if columns.start:
            asked += [("start", "min"), ("start", "max")]
        asked += [(name, "sum") for name in columns.summed]
        asked += [(name, "count") for name in columns.all]
        found = table.group_by(["key: month", "key: class"]).aggregate(asked)
        rows = zip(*(column.to_pylist() for column in found.columns), strict=True)
        return {(month, name): summary_from(columns, values) for month, name, *values in rows}

    def answer(self, source: Source, query: Query | None) -> tuple[int, int]:
        wanted = None if query is None else condition(query)
        octets = self.dataset(source).to_table(columns=["octetTotalCount"], filter=wanted)["octetTotalCount"]
        return len(octets), pc.sum(octets, min_count=0).as_py()

    def effort(self, source: Source, query: Query | None) -> Effort:
        flows = self.dataset(source)
        wanted = None if query is None else condition(query)
        fragments = list(flows.get_fragments(filter=wanted))
        groups = [group for fragment in fragments for group in fragment.split_by_row_group(wanted, flows.schema)]
        told = "\n".join(fragment.path for fragment in fragments)
        return Effort(*self.answer(source, query), len(fragments), row_groups=len(groups), told=told)
