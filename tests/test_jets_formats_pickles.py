"""Pickled tables are read, and nothing that a pickle brings is run."""

import os
import pickle
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from utils.jets import JetError, JetWarning, read_jets, read_pickled_table

DATA = Path(__file__).parent / "data"


@pytest.fixture
def table():
    """Columns of three types, in an order of their own, with rows cut out."""
    jets = pd.DataFrame({name: np.linspace(start, 9, 7) for start, name in enumerate(("eta", "pt", "m", "phi"))})
    jets.insert(0, "event", np.arange(7))
    jets["phi"] = jets["phi"].astype("float32")
    return jets[jets["event"] % 3 > 0]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_table_pickled_with_any_binary_protocol_reads_back(table, tmp_path, protocol):
    path = tmp_path / "jets.pkl"
    table.to_pickle(path, protocol=protocol)
    pd.testing.assert_frame_equal(read_pickled_table(path), table.reset_index(drop=True))


@pytest.mark.parametrize("version", [1, 2])
def test_tables_pickled_by_older_pandas_are_read(version):
    expected = {"eta": [3.0, 4, 5, 6, 7], "pt": [1.0, 2, 3, 4, 5], "m": [0.0, 1, 2, 3, 4], "phi": [2.0, 3, 4, 5, 6]}
    pd.testing.assert_frame_equal(read_pickled_table(DATA / f"jets_pandas_{version}.pkl"), pd.DataFrame(expected))


def test_text_columns_object_names_and_big_endian_numbers_are_read(tmp_path):
    table = pd.DataFrame({"m": np.arange(3.0).astype(">f8"), "trigger": ["j400", "ä", ""]})
    table.columns = pd.Index(["m", "trigger"], dtype=object)
    table.to_pickle(tmp_path / "jets.pkl")
    found = read_pickled_table(tmp_path / "jets.pkl")
    assert found["m"].tolist() == [0, 1, 2]
    assert found["trigger"].tolist() == ["j400", "ä", ""]


def test_numbers_of_empty_events_in_attrs_are_kept(table, tmp_path):
    table.attrs["empty_events"] = [3, 6]
    table.to_pickle(tmp_path / "jets.pkl")
    assert read_pickled_table(tmp_path / "jets.pkl").attrs == {"empty_events": [3, 6]}


class Payload:
    """Pickles as a call of `function` with `arguments`."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def attacks(victim: Path) -> dict[str, Payload]:
    return {
        "posix.system": Payload(os.system, f"touch {victim}"),
        "subprocess.run": Payload(subprocess.run, ["touch", str(victim)]),
        "builtins.exec": Payload(exec, f"open({str(victim)!r}, 'w')"),
        "builtins.getattr": Payload(getattr, Path(victim), "touch"),
        "numpy.save": Payload(np.save, str(victim), 1),
    }


@pytest.mark.parametrize("name", attacks(Path("x")))
@pytest.mark.parametrize("hidden", [False, True], ids=["alone", "in a table"])
def test_a_payload_is_refused_by_name_and_not_run(table, tmp_path, name, hidden):
    victim = tmp_path / "victim.npy"
    content = attacks(victim)[name]
    if hidden:
        table.attrs["note"] = content
    path = tmp_path / "jets.pkl"
    path.write_bytes(pickle.dumps(table if hidden else content))
    with pytest.raises(JetError, match=rf"jets\.pkl: refused, and nothing in it was run: .* asks for {name}"):
        read_pickled_table(path)
    assert not victim.exists()
    pickle.loads(path.read_bytes())
    assert victim.exists() or name == "builtins.getattr", "the payload of this test is harmless"


@pytest.mark.parametrize(
    ("module", "name"),
    [("pandas", "DataFrame.to_csv"), ("numpy", "ndarray.tofile"), ("pandas.core.frame", "com.os.system")],
)
def test_nothing_is_reached_through_the_attributes_of_an_allowed_name(tmp_path, module, name):
    path = tmp_path / "jets.pkl"
    words = [b"\x8c" + bytes([len(word)]) + word.encode() for word in (module, name)]
    path.write_bytes(b"\x80\x04" + b"".join(words) + b"\x93.")
    with pytest.raises(JetError, match=f"asks for {module}.{name}"):
        read_pickled_table(path)


def test_a_forged_dtype_does_not_turn_bytes_into_pointers(tmp_path):
    path = tmp_path / "jets.pkl"
    numbers = pickle.dumps(pd.DataFrame({"m": np.zeros(2)}), protocol=4)
    path.write_bytes(numbers.replace(b"\x8c\x02f8", b"\x8c\x02O8"))
    with pytest.raises(JetError, match="expected a list of text or numbers, found a bytes"):
        read_pickled_table(path)


def test_a_truncated_pickle_is_an_error_wherever_it_ends(table, tmp_path):
    whole = pickle.dumps(table)
    path = tmp_path / "jets.pkl"
    for length in range(2, len(whole), 17):
        path.write_bytes(whole[:length])
        with pytest.raises(JetError, match=r"cut short|damaged"):
            read_pickled_table(path)


def test_damaged_bytes_give_a_table_or_one_clear_error(table, tmp_path):
    whole = bytearray(pickle.dumps(table))
    random = np.random.default_rng(0)
    path = tmp_path / "jets.pkl"
    refused = 0
    for _ in range(400):
        damaged = whole.copy()
        damaged[random.integers(len(whole))] = random.integers(256)
        path.write_bytes(damaged)
        try:
            read_pickled_table(path)
        except JetError:
            refused += 1
    assert refused > 100


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"<!DOCTYPE html><html>Not found</html>", "an HTML or XML page"),
        (b"\n  <html>", "an HTML or XML page"),
        (b"", "an empty file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "a Git LFS pointer"),
    ],
)
def test_what_a_failed_download_leaves_is_named(tmp_path, content, found):
    path = tmp_path / "jets.pkl"
    path.write_bytes(content)
    with pytest.raises(JetError, match=f"expected a pandas pickle, found {found}"):
        read_pickled_table(path)


@pytest.mark.parametrize("content", [[1, 2], {"m": [1.0]}, None], ids=["list", "dict", "none"])
def test_a_pickle_of_something_else_says_what_it_is(tmp_path, content):
    path = tmp_path / "jets.pkl"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(JetError, match=f"expected a pickled pandas DataFrame, found a {type(content).__name__}"):
        read_pickled_table(path)


def test_read_jets_says_that_a_failed_download_left_a_page(tmp_path):
    path = tmp_path / "jets.pkl"
    path.write_text("<!DOCTYPE html><html>429 Too many requests</html>")
    with pytest.raises(JetError, match=r"jets\.pkl: expected jets, found an HTML or XML page"):
        read_jets(path)


def test_read_jets_turns_a_published_table_from_mev_into_gev_and_says_so(tmp_path):
    pt = np.linspace(20_000, 60_000, 5)
    pd.DataFrame({"m": pt / 10, "pt": pt, "phi": pt * 0, "eta": pt * 0}).to_pickle(tmp_path / "jets.pkl")
    with pytest.warns(JetWarning, match=r"taken to be in MeV, since 5 jets have median pt 4e\+04, median m 4000"):
        jets = read_jets(tmp_path / "jets.pkl")
    assert jets["pt"].tolist() == [20, 30, 40, 50, 60]
    assert jets["m"].tolist() == [2, 3, 4, 5, 6]
    assert jets["event"].tolist() == [0, 1, 2, 3, 4]


def test_names_of_columns_that_are_a_slice_of_others_are_the_right_ones(tmp_path):
    wide = pd.DataFrame(np.arange(18.0).reshape(3, 6), columns=["a", "bb", "m", "pt", "phi", "eta"])
    for part in (wide.iloc[:, 2:], wide.iloc[:, 1:4]):
        part.to_pickle(tmp_path / "part.pkl")
        pd.testing.assert_frame_equal(read_pickled_table(tmp_path / "part.pkl"), part)
