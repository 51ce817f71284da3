"""The smallest Parquet files that every reader opens, for what the repository ships."""

from pathlib import Path

import pyarrow
import pyarrow.parquet

from utils.files import atomic_path


def write_compact(table: pyarrow.Table, path: str | Path) -> None:
    """Parquet with split float bytes and event differences under Zstandard: the smallest of the lossless choices.

    Small integers stay as they are. Of metadata, that of the columns alone is kept: no index, nothing of pandas.
    """
    encodings = {field.name: _encoding(field.type) for field in table.schema}
    with atomic_path(path) as partial:
        pyarrow.parquet.write_table(
            table.replace_schema_metadata(None),
            partial,
            compression="zstd",
            compression_level=22,
            use_dictionary=False,
            column_encoding=encodings,
        )


def _encoding(kind: pyarrow.DataType) -> str:
    if pyarrow.types.is_floating(kind):
        return "BYTE_STREAM_SPLIT"
    return "DELTA_BINARY_PACKED" if pyarrow.types.is_int64(kind) else "PLAIN"
