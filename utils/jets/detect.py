"""What kind of file it is, by its first bytes, and opening it with the reader of its format."""

from collections.abc import Mapping
from dataclasses import replace

from utils.files import describe_head
from utils.jets import formats
from utils.jets.formats.layouts import Options, parse_columns
from utils.jets.formats.source import Source, open_binary, reading
from utils.jets.table import JetError
from utils.text import listing

FORMATS = {
    "ROOT": (".root",),
    "Parquet": (".parquet", ".pq"),
    "HDF5": (".h5", ".hdf5", ".hdf", ".hdf4"),
    "NumPy archive": (".npz",),
    "pickle": (".pkl", ".pickle"),
    "text": (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz"),
}


def kind_of_file(name: str) -> tuple[str, str | None]:
    """The format of a file by its first bytes, and its compression; JetError where its suffix says another."""
    with reading(name, "a file"), open_binary(name) as file:
        head = file.read(4096)
    if not head:
        raise JetError(f"{name}: an empty file (0 bytes)")
    compression = "gzip" if head[:2] == b"\x1f\x8b" else None
    if compression:
        with reading(name, "gzip"), open_binary(name, compression) as file:
            head = file.read(4096)
    if other_kind := describe_head(head):
        raise JetError(f"{name}: expected jets, found {other_kind}")
    signatures = {b"root": "ROOT", b"PAR1": "Parquet", b"\x89HDF\r\n\x1a\n": "HDF5", b"PK\x03\x04": "NumPy archive"}
    found = next((kind for magic, kind in signatures.items() if head.startswith(magic)), None)
    if found is None and head[:1] == b"\x80" and len(head) > 1 and head[1] <= 5:
        found = "pickle"
    promised = next((kind for kind, endings in FORMATS.items() if name.lower().endswith(endings)), None)
    if found is None and b"\0" not in head and (promised == "text" or _is_text(head)):
        found = "text"
    if promised is not None and promised != found:
        what = {None: f"a file of an unknown kind, beginning with {head[:8]!r}", "NumPy archive": "a zip archive"}
        raise JetError(
            f"{name}: its suffix says {promised}, its first bytes say {what.get(found, found)}; "
            "rename it, or restore it if it is damaged"
        )
    if found is None:
        raise JetError(f"{name}: an unknown kind of file, beginning with {head[:8]!r}; known: {listing(FORMATS)}")
    if found == "NumPy archive" and promised is None:
        raise JetError(
            f"{name}: a zip archive; a container is decompressed first (`compressionhep decompress`), and a NumPy "
            "archive is called .npz"
        )
    return found, compression


def _is_text(head: bytes) -> bool:
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start > len(head) - 4 > 0
    return True


def open_source(
    name: str,
    tree: str | None = None,
    collection: str | None = None,
    columns: str | Mapping[str, str] | None = None,
    padding: Mapping[str, float] | None = None,
) -> Source:
    """Open one file and find the jets in it; arguments as in `iter_jets`."""
    options = Options(tree, collection, parse_columns(columns or {}))
    source = _open(name, options)
    if unknown := (padding or {}).keys() - source.columns.needed.keys():
        raise JetError(
            f"{name}: padding of {listing(unknown)}, which is not read; read are {listing(source.columns.needed)}"
        )
    if source.note and (columns or padding):  # the checksums of the note are those of other columns
        source = replace(source, note=None, unit=source.note["unit"], unit_from="its note")
    return replace(source, padding=padding or {})


def _open(name: str, options: Options) -> Source:
    kind, compression = kind_of_file(name)
    if kind == "text":
        return formats.open_text(name, options, compression)
    if compression:
        raise JetError(f"{name}: a compressed {kind} file; uncompress it first (only text is read through gzip)")
    match kind:
        case "ROOT":
            return formats.open_root(name, options)
        case "Parquet":
            return formats.open_parquet(name, options)
        case "HDF5":
            return formats.open_hdf5(name, options)
        case "NumPy archive":
            return formats.open_npz(name, options)
    return formats.open_pickle(name, options)
