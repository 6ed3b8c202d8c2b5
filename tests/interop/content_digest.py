"""The content digest of a data file, computed with pyarrow and numpy from its definition in docs/FORMAT.md.

The digest depends on the rows, their order and the columns' names and types, and on nothing of Parquet: not on the
writer, the compression, the row groups or the page sizes. Run as a program it prints the digest of each file named:

    python content_digest.py FILE...
"""

from __future__ import annotations

import hashlib
import struct
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

HEADER = b"flowlake-content-1\n"
BLOCK_ROWS = 65_536


def file_digest(path: Path) -> str:
    """The content digest of a Parquet file, hexadecimal."""
    # A path of the form month=…/deviceClass=… would otherwise add those two columns to the table.
    return table_digest(pq.read_table(path, partitioning=None))


def table_digest(table: pa.Table, block_rows: int = BLOCK_ROWS) -> str:
    """The content digest of rows, hexadecimal. `block_rows` is smaller than the definition's in tests only."""
    digest = hashlib.sha256(HEADER + struct.pack("<Q", table.num_rows))
    for start in range(0, table.num_rows, block_rows):
        digest.update(_block_digest(table.slice(start, block_rows)))
    return digest.hexdigest()


def type_name(data_type: pa.DataType) -> str:
    """A column's type as the manifest spells it."""
    if pa.types.is_string(data_type) or pa.types.is_large_string(data_type) or pa.types.is_string_view(data_type):
        return "string"
    names = {
        pa.int32(): "int32",
        pa.int64(): "int64",
        pa.float64(): "float64",
        pa.date32(): "date",
        pa.timestamp("ms", "UTC"): "timestamp[ms, UTC]",
    }
    if data_type not in names:
        raise ValueError(f"a lake has no columns of the type {data_type}")
    return names[data_type]


def _block_digest(block: pa.Table) -> bytes:
    digest = hashlib.sha256()
    for name, column in zip(block.column_names, block.columns, strict=True):
        for text in (name, type_name(column.type)):
            digest.update(_length_prefixed(text))
        digest.update(_column_digest(column))
    return digest.digest()


def _length_prefixed(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<I", len(raw)) + raw


def _column_digest(column: pa.ChunkedArray) -> bytes:
    kind = type_name(column.type)
    if kind == "string":
        # One layout with 64-bit offsets, whatever layout the reader chose.
        column = column.cast(pa.large_string())
    array = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    digest = hashlib.sha256(array.is_valid().to_numpy(zero_copy_only=False).astype(np.uint8).tobytes())
    if kind == "string":
        for piece in _string_pieces(array):
            digest.update(piece)
    else:
        digest.update(_number_bytes(array, kind))
    return digest.digest()


def _string_pieces(array: pa.LargeStringArray) -> tuple[bytes, bytes]:
    array = pc.fill_null(array, "")
    lengths = pc.binary_length(array).to_numpy(zero_copy_only=False).astype("<u4").tobytes()
    _, offsets_buffer, data_buffer = array.buffers()
    if data_buffer is None or len(array) == 0:
        return lengths, b""
    # The buffers belong to the whole array that this one may be a slice of.
    offsets = np.frombuffer(offsets_buffer, dtype=np.int64)[array.offset : array.offset + len(array) + 1]
    return lengths, data_buffer[int(offsets[0]) : int(offsets[-1])].to_pybytes()


def _number_bytes(array: pa.Array, kind: str) -> bytes:
    # Dates and timestamps are counts of days and milliseconds; as integers their nulls can be filled with zeros.
    storage = {"int32": "<i4", "date": "<i4", "int64": "<i8", "timestamp[ms, UTC]": "<i8", "float64": "<f8"}[kind]
    if kind == "date":
        array = array.view(pa.int32())
    elif kind == "timestamp[ms, UTC]":
        array = array.view(pa.int64())
    filled = pc.fill_null(array, pa.scalar(0, array.type))
    return filled.to_numpy(zero_copy_only=False).astype(storage).tobytes()


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(f"{file_digest(Path(name))}  {name}")
