"""What kind of file it is, by its first bytes, and opening it with the reader of its format."""

import zipfile
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from utils.files import describe_head
from utils.jets import formats
from utils.jets.formats.layouts import Options, parse_columns
from utils.jets.formats.source import Source, open_binary, reading
from utils.jets.formats.streams import compression_of, encoding_of, unpacked
from utils.jets.table import JetError
from utils.text import listing

FORMATS = {
    "ROOT": (".root",),
    "Parquet": (".parquet", ".pq"),
    "HDF5": (".h5", ".hdf5", ".hdf", ".hdf4"),
    "NumPy archive": (".npz",),
    "NumPy array": (".npy",),
    "pickle": (".pkl", ".pickle"),
    "text": tuple(
        f".{kind}{packed}" for kind in ("csv", "tsv", "txt") for packed in ("", ".gz", ".bz2", ".xz", ".zst")
    ),
}

READ_OPTIONS = {
    "ROOT": ("ratio",),
    "Parquet": ("ratio",),
    "HDF5": ("key", "names", "ratio"),
    "NumPy archive": ("key", "names", "ratio"),
    "NumPy array": ("names",),
    "pickle": (),
    "text": ("sep", "decimal", "comment", "names", "skiprows", "encoding", "ratio"),
}
"""What `--read` and `read=` say that a file does not: those of text are pandas' own, `key` is the table to read,
`names` are its columns in their order, `ratio` is how many times its size it may hold."""

_MAGIC = {
    b"root": "ROOT",
    b"PAR1": "Parquet",
    b"\x89HDF\r\n\x1a\n": "HDF5",
    b"PK\x03\x04": "NumPy archive",
    b"\x93NUMPY": "NumPy array",
    **{bytes([0x80, protocol]): "pickle" for protocol in range(6)},
}


def kind_of_file(name: str, read: Mapping[str, str] | None = None) -> tuple[str, str | None]:
    """The format of a file by its first bytes, and its compression; JetError where its suffix says another."""
    read = read or {}
    with reading(name, "a file"), open_binary(name) as file:
        head = file.read(4096)
        if not head:
            raise JetError(f"{name}: an empty file (0 bytes)")
        compression = compression_of(head)
    if compression:
        with reading(name, compression), unpacked(open_binary(name), compression, read, name) as stream:
            head = stream.read(4096)
    if other_kind := describe_head(head):
        raise JetError(f"{name}: expected jets, found {other_kind}")
    found = next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)
    promised = next((kind for kind, endings in FORMATS.items() if name.lower().endswith(endings)), None)
    if found is None and ("encoding" in read or encoding_of(head) == "utf-16"):
        found = "text"
    if found is None and b"\0" not in head and (promised == "text" or _is_text(head)):
        found = "text"
    if found == "NumPy archive" and not compression:
        _require_arrays(name)
    if promised is not None and promised != found:
        raise JetError(
            f"{name}: its suffix says {promised}, its first bytes say "
            f"{found or f'a file of an unknown kind, beginning with {head[:8]!r}'}; "
            "rename it, or restore it if it is damaged"
        )
    if found is None:
        raise JetError(f"{name}: an unknown kind of file, beginning with {head[:8]!r}; known: {listing(FORMATS)}")
    return found, compression


def _is_text(head: bytes) -> bool:
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start > len(head) - 4 > 0
    return True


def _require_arrays(name: str) -> None:
    """JetError for a zip that is no NumPy archive, and says what to do with it."""
    with reading(name, "a zip archive"), open_binary(name) as file, zipfile.ZipFile(file) as archive:
        members = archive.namelist()
    if any(member.endswith(("zarr.json", ".zgroup", ".zarray")) for member in members):
        raise JetError(f"{name}: a container of compressed jets; decompress it first (`compressionhep decompress`)")
    if any(member.endswith("data.pkl") for member in members):
        raise JetError(f"{name}: expected jets, found what PyTorch saves, such as weights")
    if not any(member.endswith(".npy") for member in members):
        raise JetError(f"{name}: a zip archive of {listing(members, 3)}; unpack it first")


def read_options(read: Mapping[str, Any] | None) -> dict[str, str]:
    """Options of `READ_OPTIONS` as text, lists of names joined; JetError for one that no format has."""
    known = dict.fromkeys(name for names in READ_OPTIONS.values() for name in names)
    if unknown := [name for name in read or {} if name not in known]:
        raise JetError(f"--read (read= in Python): no option {listing(unknown)}; known: {listing(known)}")
    return {
        name: str(value) if isinstance(value, str | int) else ",".join(map(str, value))
        for name, value in (read or {}).items()
    }


def open_source(
    name: str,
    tree: str | None = None,
    collection: str | None = None,
    columns: str | Mapping[str, str] | None = None,
    padding: Mapping[str, float] | None = None,
    read: Mapping[str, Any] | None = None,
) -> Source:
    """Open one file and find the jets in it; arguments as in `iter_jets`."""
    source = _open(name, Options(tree, collection, parse_columns(columns or {}), read_options(read)))
    if unknown := (padding or {}).keys() - source.columns.needed.keys():
        raise JetError(
            f"{name}: padding of {listing(unknown)}, which is not read; read are {listing(source.columns.needed)}"
        )
    if source.note and (columns or padding):  # the checksums of the note are those of other columns
        source = replace(source, note=None, unit=source.note["unit"], unit_from="its note")
    return replace(source, padding=padding or {})


def _open(name: str, options: Options) -> Source:
    kind, compression = kind_of_file(name, options.read)
    if unknown := [option for option in options.read if option not in READ_OPTIONS[kind]]:
        raise JetError(
            f"{name}: --read (read= in Python): {kind} files have no option {listing(unknown)}; they have "
            f"{listing(READ_OPTIONS[kind])}"
        )
    if kind == "text":
        return formats.open_text(name, options, compression)
    if compression:
        raise JetError(
            f"{name}: a compressed {kind} file; uncompress it first (only text is read through {compression})"
        )
    match kind:
        case "ROOT":
            return formats.open_root(name, options)
        case "Parquet":
            return formats.open_parquet(name, options)
        case "HDF5":
            return formats.open_hdf5(name, options)
        case "NumPy archive":
            return formats.open_npz(name, options)
        case "NumPy array":
            return formats.open_npy(name, options)
    return formats.open_pickle(name, options)
