"""Tables of text in the dialects that people and programs write."""

import bz2
import gzip
import io
import lzma
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from utils.cli import main
from utils.jets import JetError, JetWarning, event_counts, make_table, read_jets, write_jets

JETS = make_table([5, 4, 0.25], [50.5, 30, 40], [0.5, -3, 1], [0, 1.25, -2], [1001, 1001, 1002])

HEADER = "event,m,pt,phi,eta"
ROWS = ["1001,5,50.5,0.5,0", "1001,4,30,-3,1.25", "1002,0.25,40,1,-2"]
PLAIN = "\n".join([HEADER, *ROWS, ""])


def with_separator(sign: str, decimal: str = ".") -> str:
    return PLAIN.replace(".", decimal).replace(",", sign) if decimal == "." else decimal_comma(sign)


def decimal_comma(sign: str) -> str:
    return PLAIN.replace(",", sign).replace(".", ",")


def savetxt(header: str, delimiter: str = " ") -> str:
    text = io.StringIO()
    np.savetxt(text, JETS.to_numpy(), fmt="%.9g", header=header, delimiter=delimiter)
    return text.getvalue()


DIALECTS: dict[str, str] = {
    "comma": PLAIN,
    "tab": with_separator("\t"),
    "semicolon": with_separator(";"),
    "bar": with_separator("|"),
    "bar with blanks": with_separator(" | "),
    "blank": with_separator(" "),
    "blanks in columns": pd.DataFrame(JETS).to_string(index=False) + "\n",
    "blanks and an index": pd.DataFrame(JETS).to_string() + "\n",
    "comma and blanks": with_separator(", "),
    "decimal comma": decimal_comma(";"),
    "decimal comma and tabs": decimal_comma("\t"),
    "decimal comma and blanks": decimal_comma(" "),
    "decimal comma and bars": decimal_comma("|"),
    "savetxt": savetxt("event m pt phi eta"),
    "savetxt with commas in the header": savetxt("event, m, pt, phi, eta"),
    "savetxt with tabs": savetxt("event\tm\tpt\tphi\teta", "\t"),
    "comments above": f"# jets, first try\n# R = 0.4\n{PLAIN}",
    "comments above and below the names": f"# R = 0.4\n# {HEADER}\n# by me\n" + "\n".join(ROWS) + "\n",
    "comments between": "\n".join([HEADER, ROWS[0], "  # one more", "#", *ROWS[1:], "# the end", ""]),
    "empty lines": "\n\n" + PLAIN.replace("\n", "\n  \n"),
    "separators at the end": PLAIN.replace("\n", ",\n"),
    "separators at the end of rows": "\n".join([HEADER, *(f"{row};".replace(",", ";") for row in ROWS), ""]).replace(
        HEADER, HEADER.replace(",", ";")
    ),
    "quotes": '"' + HEADER.replace(",", '","') + '"\n' + "\n".join(ROWS) + "\n",
    "an index without a name": pd.DataFrame(JETS).to_csv(),
    "units apart": PLAIN.replace("m,pt", "m [GeV],pt (GeV)").replace(",", " "),
    "numbers of events with a point": PLAIN.replace("1001,", "1001.0,").replace("1002,", "1.002e3,"),
    "carriage returns": PLAIN.replace("\n", "\r\n"),
    "text beside numbers": "\n".join([f"{HEADER},tag", *(f"{row},#{i}" for i, row in enumerate(ROWS)), ""]),
}


@pytest.mark.parametrize("name", DIALECTS)
def test_a_table_is_read_in_any_dialect(name: str, tmp_path: Path) -> None:
    (tmp_path / "jets.txt").write_text(DIALECTS[name], newline="")
    arguments = ["convert", str(tmp_path / "jets.txt"), str(tmp_path / "jets.parquet"), "--unit", "GeV"]
    assert main(arguments) == 0
    pd.testing.assert_frame_equal(read_jets(tmp_path / "jets.parquet"), JETS)


def zstd(content: bytes) -> bytes:
    return pa.compress(content, codec="zstd", asbytes=True)


@pytest.mark.parametrize(
    ("suffix", "encode"),
    [
        (".csv", lambda text: text.encode("utf-8-sig")),
        (".csv", lambda text: text.encode("utf-16")),
        (".txt.gz", lambda text: gzip.compress(text.encode())),
        (".csv.bz2", lambda text: bz2.compress(text.encode())),
        (".csv.xz", lambda text: lzma.compress(text.encode("utf-16"))),
        (".tsv.zst", lambda text: zstd(text.encode())),
        ("", lambda text: bz2.compress(text.encode())),
    ],
)
def test_a_table_is_read_in_any_compression_and_encoding_that_shows(
    suffix: str, encode: Callable[[str], bytes], tmp_path: Path
) -> None:
    path = tmp_path / f"jets{suffix}"
    path.write_bytes(encode(PLAIN))
    pd.testing.assert_frame_equal(read_jets(path, unit="GeV"), JETS)


OPTIONS: dict[str, tuple[bytes, list[str], str]] = {
    "a separator": (PLAIN.replace(",", "~").encode(), ["sep=~"], "missing columns"),
    "a separator by name": (PLAIN.replace(",", "\t").encode(), ["sep=tab"], ""),
    "blanks": (PLAIN.replace(",", "  ").encode(), [r"sep=\s+"], ""),
    "a decimal comma that shows late": (
        "\n".join([HEADER, *["1000,5,50,0,0"] * 200, *ROWS, ""]).replace(",", ";").replace(".", ",").encode(),
        ["decimal=,"],
        "line 202: pt: expected a number, found '50,5'",
    ),
    "another comment": (f"% jets\n{PLAIN}% end\n".encode(), ["comment=%"], "missing columns"),
    "comments behind": (PLAIN.replace("-2", "-2 ! last").encode(), ["comment=!"], "line 4: eta: expected a number"),
    "no header": ("\n".join([*ROWS, ""]).encode(), [f"names={HEADER}"], "line 1: expected a header .*--read names="),
    "lines above": (f"written by me\non, a Monday, I think\n{PLAIN}".encode(), ["skiprows=2"], "missing columns"),
    "an encoding without a mark": (PLAIN.encode("utf-16-le"), ["encoding=utf-16-le"], "its suffix says text"),
    "an old encoding": (
        PLAIN.replace("m,", "é,m,").replace("\n1", "\n7,1").encode("latin-1"),
        ["encoding=latin-1"],
        "",
    ),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_what_a_table_does_not_say_is_an_option(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content, options, error = OPTIONS[name]
    (tmp_path / "jets.csv").write_bytes(content)
    read = [word for option in options for word in ("--read", option)]
    many = [["convert", "folder/"]] if name == "blanks" else []
    for command, *output in (["info"], ["convert", "a.root"], *many):
        arguments = [command, str(tmp_path / "jets.csv"), *(str(tmp_path / word) for word in output), "--unit", "GeV"]
        if error:
            assert main(arguments) in (1, 2)
        assert main([*arguments, *read]) == 0, capsys.readouterr().err
    if error:
        with pytest.raises(JetError, match=error):
            read_jets(tmp_path / "jets.csv", unit="GeV")
    given = dict(option.split("=", 1) for option in options)
    last = read_jets(tmp_path / "jets.csv", unit="GeV", read=given).tail(3).reset_index(drop=True)
    pd.testing.assert_frame_equal(last, read_jets(tmp_path / "a.root").tail(3).reset_index(drop=True))
    assert last["pt"].tolist() == [50.5, 30, 40]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("foo=1", "no option foo; known: .*sep"),
        ("sep", "expected NAME=VALUE, found 'sep'"),
        ("sep=ab", "sep: expected one character that is no letter.*found 'ab'"),
        ("sep=", "sep: expected one character"),
        ("decimal=;", "decimal: expected a comma or a point, found ';'"),
        ("decimal=,", "fields are separated by ',', which is no decimal sign then"),
        ("encoding=klingon", "encoding: expected one that Python knows, found 'klingon'"),
        ("skiprows=-1", "skiprows: expected a number of lines"),
        ("ratio=many", "ratio: expected a whole number above 0"),
        ("key=df", "text files have no option key; they have sep, decimal"),
        ("names=m,pt,pt,phi,eta", "columns named twice: pt"),
    ],
)
def test_an_option_that_says_nothing_is_refused(
    option: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with gzip.open(tmp_path / "jets.csv.gz", "wt") as file:
        file.write(PLAIN)
    assert main(["info", str(tmp_path / "jets.csv.gz"), "--read", option]) == 2
    assert pd.Series(capsys.readouterr().err.splitlines()[-1:]).str.contains(message).all()
    write_jets(JETS, tmp_path / "jets.root")
    with pytest.raises(JetError, match=r"jets\.root: .*ROOT files have no option sep; they have ratio"):
        read_jets(tmp_path / "jets.root", read={"sep": ","})


@pytest.mark.parametrize("missing", ["N/A", "NA", "", "null", "#N/A", " n/a "])
@pytest.mark.parametrize("sign", [",", ";", "\t"])
def test_a_value_that_is_missing_is_called_so_with_its_line(missing: str, sign: str, tmp_path: Path) -> None:
    text = PLAIN.replace("1001,4,30", f"1001,4,{missing}").replace(",", sign)
    (tmp_path / "jets.csv").write_text(f"# a comment\n{text}")
    expected = (
        rf"masked \(no value in the file\) in 1 jets, rows 1 \(line 4: pt has no value, found '{missing.strip()}'\)"
    )
    with pytest.raises(JetError, match=f"of 3 jets: {expected}; --bad-jets drop"):
        read_jets(tmp_path / "jets.csv", unit="GeV")
    with pytest.warns(JetWarning, match="1 of 3 jets dropped: masked"):
        assert read_jets(tmp_path / "jets.csv", unit="GeV", bad_jets="drop")["pt"].tolist() == [50.5, 40]


@pytest.mark.parametrize(
    ("number", "message"),
    [
        ("1001.5", r"line 3: event: expected a whole number, found '1001\.5'"),
        ("", "line 3: event: expected a whole number, found ''"),
        ("9007199254740993.0", r"line 3: event: expected a whole number, found '9007199254740993\.0'"),
        ("18446744073709551615", "column event holds the event number 18446744073709551615, and int64 ends"),
    ],
)
def test_event_numbers_that_are_none_are_refused(number: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "jets.csv").write_text(PLAIN.replace("1001,4", f"{number},4"))
    with pytest.raises(JetError, match=message):
        read_jets(tmp_path / "jets.csv", unit="GeV")


def test_large_event_numbers_are_kept_to_the_last_digit(tmp_path: Path) -> None:
    (tmp_path / "jets.csv").write_text(PLAIN.replace("1001,", "9223372036854775806,"))
    assert event_counts(read_jets(tmp_path / "jets.csv", unit="GeV"))[0][0] == 2**63 - 2


def test_a_changed_letter_in_the_header_of_an_own_file_is_found(tmp_path: Path) -> None:
    write_jets(JETS, tmp_path / "jets.csv")
    text = (tmp_path / "jets.csv").read_text()
    (tmp_path / "jets.csv").write_text(text.replace("event", "evenu"))
    with pytest.raises(JetError, match="damaged: its header 'evenu,m_GeV"):
        read_jets(tmp_path / "jets.csv")


def test_a_number_in_front_of_rows_is_no_column_where_fields_are_not_apart_by_blanks(tmp_path: Path) -> None:
    (tmp_path / "jets.csv").write_text("\n".join([HEADER, *(f"7,{row}" for row in ROWS), ""]))
    with pytest.raises(JetError, match="line 2: 6 fields, expected 5"):
        read_jets(tmp_path / "jets.csv", unit="GeV")
