"""Events as Parquet files. Needs pyarrow, which is an extra: import this module where it is used.

JSON is kept as the database prints it, so that no number is rounded; times as microseconds in UTC.
The content hash is over the values in the order of the columns, so that a file which was written
again by another library has the same.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from ingest.times import us_of

ROWS_A_GROUP: Final = 2_000
_MOMENT: Final = pa.timestamp("us", tz="UTC")
SCHEMA: Final = pa.schema(
    [
        pa.field("stream_id", pa.int64(), nullable=False),
        pa.field("track", pa.int16(), nullable=False),
        pa.field("occurred_at", _MOMENT, nullable=False),
        pa.field("event_id", pa.string(), nullable=False),
        pa.field("received_at", _MOMENT, nullable=False),
        pa.field("producer_id", pa.int64(), nullable=False),
        pa.field("version", pa.int32()),
        pa.field("subject", pa.string()),
        pa.field("source", pa.string(), nullable=False),
        pa.field("attributes", pa.string(), nullable=False),
        pa.field("data", pa.string()),
        pa.field("data_base64", pa.binary()),
        pa.field("extra", pa.string()),
        pa.field("content_hash", pa.binary(), nullable=False),
        pa.field("marks", pa.int16(), nullable=False),
        pa.field("tx", pa.int64(), nullable=False),
        pa.field("seq", pa.int64(), nullable=False),
    ]
)
COLUMNS: Final = tuple(SCHEMA.names)
_TIMES: Final = frozenset({"occurred_at", "received_at"})

Row = tuple[Any, ...]


def write(path: Path, groups: Iterable[Sequence[Row]]) -> tuple[int, str]:
    """Write rows, in the order of COLUMNS with aware times, to a new file and force it to the disk.

    Gives how many there were and the hash of their content.
    """
    count, digest = 0, hashlib.sha256()
    with path.open("wb") as handle:
        with pq.ParquetWriter(handle, SCHEMA, compression="zstd") as writer:
            for rows in groups:
                plain = [_plain(row) for row in rows]
                for row in plain:
                    digest.update(repr(row).encode())
                count += len(plain)
                writer.write_table(_table(plain), row_group_size=ROWS_A_GROUP)
        handle.flush()
        os.fsync(handle.fileno())
    return count, digest.hexdigest()


def content_of(path: Path) -> tuple[int, str]:
    """How many rows a file holds, and the hash of their content, by reading all of it."""
    count, digest = 0, hashlib.sha256()
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            for row in _rows(file.read_row_group(group)):
                count += 1
                digest.update(repr(row).encode())
    return count, digest.hexdigest()


def group_count(path: Path) -> int:
    """How many row groups a file has; reads its footer only."""
    with pq.ParquetFile(path) as file:
        return int(file.num_row_groups)


def read_group(path: Path, group: int) -> list[Row]:
    """One row group in the order of COLUMNS; times as microseconds since 1970."""
    with pq.ParquetFile(path) as file:
        return list(_rows(file.read_row_group(group)))


def file_sha256(path: Path) -> str:
    """The SHA-256 of the file's bytes, in hex; another than that of its content."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def rewrite(old: Path, new: Path, change: Callable[[int, list[Row]], list[Row]]) -> tuple[int, str]:
    """Write a file again, group by group, and force it to the disk; `change` gives what is left of a
    group's rows, times as microseconds. A group that lost all of them stays, so that the numbers of
    the others stay.

    Gives how many rows there are and the hash of their content.
    """
    count, digest = 0, hashlib.sha256()
    with pq.ParquetFile(old) as file, new.open("wb") as handle:
        with pq.ParquetWriter(handle, SCHEMA, compression="zstd") as writer:
            for group in range(file.num_row_groups):
                rows = change(group, list(_rows(file.read_row_group(group))))
                for row in rows:
                    digest.update(repr(row).encode())
                count += len(rows)
                writer.write_table(_table(rows), row_group_size=ROWS_A_GROUP)
        handle.flush()
        os.fsync(handle.fileno())
    return count, digest.hexdigest()


def _plain(row: Row) -> Row:
    return tuple(
        us_of(value) if name in _TIMES else bytes(value) if isinstance(value, memoryview) else value
        for name, value in zip(COLUMNS, row, strict=True)
    )


def _table(rows: Sequence[Row]) -> Any:
    columns = list(zip(*rows, strict=True)) or [()] * len(COLUMNS)
    return pa.table(
        [pa.array(column, type=field.type) for column, field in zip(columns, SCHEMA, strict=True)],
        schema=SCHEMA,
    )


def _rows(table: Any) -> Iterator[Row]:
    columns = [
        (table[name].cast(pa.int64()) if name in _TIMES else table[name]).to_pylist()
        for name in COLUMNS
    ]
    return zip(*columns, strict=True)
