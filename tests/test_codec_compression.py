"""What compressed files promise: bounds, order, whole files, and no wrong jet without an error."""

import json
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import zarr
from codec_helpers import assert_same_bits, assert_same_events, assert_within, make_jets
from hypothesis import HealthCheck, given, settings, strategies as st
from hypothesis.extra import numpy as hnp

from utils.cli import main
from utils.codec import (
    Bounds,
    ContainerError,
    ErrorBound,
    compress,
    decompress,
    inspect,
    iter_compressed,
    read_compressed,
)
from utils.jets import (
    FEATURES,
    TEST_SAMPLE,
    JetError,
    event_counts,
    feature_array,
    has_published,
    iter_jets,
    make_table,
    published_folder,
    read_jets,
    wrap_angle,
    write_jets,
)
from utils.metrics import resolution_table
from utils.networks import (
    Autoencoder,
    AutoencoderConfig,
    Checkpoint,
    CustomNormalization,
    PCABaseline,
    load_published,
    reconstruct,
)

DATA = Path(__file__).parent / "data"
needs_published = pytest.mark.skipif(not has_published(TEST_SAMPLE), reason="the published files are not here")


def floats(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(float(np.float32(low)), float(np.float32(high)), width=32)


@st.composite
def jet_tables(draw: st.DrawFn) -> pd.DataFrame:
    counts = draw(st.lists(st.integers(0, 4), max_size=12))
    jets = sum(counts)
    special = {
        "m": [0.0, -0.0, -4.5e-5, -0.9, 1e-30, 3e38],
        "pt": [1e-45, 1e-20, 1e-3, 3e38],
        "phi": [np.pi, -np.pi, 3.1415925],
        "eta": [0.0, -0.0, 1e-30, -30.0],
    }
    ranges = {"m": (-0.99, 1e4), "pt": (1e-3, 1e4), "phi": (-3.1415925, 3.1415925), "eta": (-10, 10)}
    columns = {
        name: draw(hnp.arrays(np.float32, jets, elements=floats(*ranges[name]) | st.sampled_from(special[name])))
        for name in FEATURES
    }
    numbers = draw(st.permutations(range(len(counts)))) if draw(st.booleans()) else list(range(len(counts)))
    filled = np.repeat(np.array(numbers, np.int64), counts)
    empty = [number for number, count in zip(numbers, counts, strict=True) if count == 0]
    return make_table(**columns, event=filled, empty_events=empty)


@st.composite
def error_bounds(draw: st.DrawFn) -> Bounds:
    relative = st.just(0.0) | st.floats(1e-6, 0.9)
    absolute = st.just(0.0) | st.floats(1e-6, 10)
    m, pt = (ErrorBound(draw(relative), draw(absolute)) for _ in "mp")
    return Bounds(m, pt, ErrorBound(absolute=draw(absolute)), ErrorBound(absolute=draw(absolute)))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(jet_tables(), error_bounds() | st.just(Bounds()))
def test_any_jets_come_back_within_any_bounds_in_order(tmp_path: Path, table: pd.DataFrame, bounds: Bounds) -> None:
    compress(table, tmp_path / "jets.zarr.zip", bounds=bounds, chunk_jets=7, workers=1)
    assert_within(read_compressed(tmp_path / "jets.zarr.zip"), table, bounds)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(jet_tables())
def test_lossless_keeps_every_bit_of_any_jets(tmp_path: Path, table: pd.DataFrame) -> None:
    compress(table, tmp_path / "jets.zarr.zip", codec="lossless", chunk_jets=7, workers=1)
    assert_same_bits(read_compressed(tmp_path / "jets.zarr.zip"), table)


@pytest.mark.parametrize("jets", [0, 1])
def test_no_jets_and_one_jet_are_files_too(tmp_path: Path, jets: int) -> None:
    column = np.full(jets, 1.5)
    table = make_table(column, column, column, column, np.arange(jets), empty_events=[7, 9])
    report = compress(table, tmp_path / "jets.zarr.zip")
    assert (report["jets"], report["events"]) == (jets, jets + 2)
    assert_within(read_compressed(tmp_path / "jets.zarr.zip"), table, Bounds())


def test_relations_between_jets_are_found_and_save_space(tmp_path: Path) -> None:
    table = make_jets(20_000)
    report = compress(table, tmp_path / "jets.zarr.zip")
    assert report["mass_slope_sixteenths"] > 8
    assert report["pt_drops"]
    rng = np.random.default_rng(0)
    unrelated = table.assign(
        event=np.arange(len(table)), pt=rng.permutation(table["pt"]), m=rng.permutation(table["m"])
    )
    unrelated.attrs = {}
    alone = compress(unrelated, tmp_path / "alone.zarr.zip")
    assert (alone["mass_slope_sixteenths"], alone["pt_drops"]) == (0, False)
    together, apart = report["stream_bytes"], alone["stream_bytes"]
    assert together["pt"] + together["pt_drop"] < apart["pt"] - 1000
    assert together["m"] < apart["m"] - 1000
    assert_within(read_compressed(tmp_path / "jets.zarr.zip"), table, Bounds())


def test_bound_zero_keeps_a_quantity_exactly(tmp_path: Path) -> None:
    table = make_jets(500)
    compress(table, tmp_path / "jets.zarr.zip", bounds=Bounds(pt=ErrorBound()))
    found = read_compressed(tmp_path / "jets.zarr.zip")
    assert found["pt"].equals(table["pt"])
    assert not found["phi"].equals(table["phi"])


def test_nonfinite_values_are_refused_or_kept_bit_for_bit(tmp_path: Path) -> None:
    table = make_jets(100)
    table.loc[[3, 50], "m"] = np.array([np.nan, -np.inf], np.float32)
    with pytest.raises(JetError, match=r"NaN or infinite m in 2 of 100 jets, first at row 3.*--keep-nonfinite"):
        compress(table, tmp_path / "jets.zarr.zip")
    assert list(tmp_path.iterdir()) == []
    report = compress(table, tmp_path / "jets.zarr.zip", keep_nonfinite=True)
    found = read_compressed(tmp_path / "jets.zarr.zip")
    assert report["exact_values"] == 2
    np.testing.assert_array_equal(found["m"].iloc[[3, 50]], table["m"].iloc[[3, 50]])
    finite = np.isfinite(table["m"]).to_numpy()
    assert_within(found[finite].reset_index(drop=True), table[finite].reset_index(drop=True), Bounds())


def test_command_line_keeps_nonfinite_values_only_if_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = make_jets(50)
    table.loc[3, "eta"] = np.float32(np.nan)
    source, path, back = (str(tmp_path / name) for name in ("in.parquet", "jets.zarr.zip", "out.parquet"))
    write_jets(table, source, keep_nonfinite=True)
    assert main(["compress", source, path]) == 2
    assert "NaN or infinite eta" in capsys.readouterr().err
    assert main(["compress", source, path, "--codec", "lossless", "--keep-nonfinite"]) == 0
    assert main(["decompress", path, back]) == 0
    assert_same_bits(next(iter_jets(back, keep_nonfinite=True)), table)


def test_stored_errors_are_those_of_the_file(tmp_path: Path) -> None:
    table = make_jets(30_000)
    stored = compress(table, tmp_path / "jets.zarr.zip", chunk_jets=7000)["errors"]
    expected = resolution_table(feature_array(table), feature_array(read_compressed(tmp_path / "jets.zarr.zip")))
    for name, row in expected.iterrows():
        assert stored[name]["jets"] == row["jets"]
        assert stored[name]["masked"] == row["masked"]
        assert stored[name]["mean"] == pytest.approx(row["mean"], rel=1e-6, abs=1e-12)
        assert stored[name]["max"] == pytest.approx(row["max"], rel=1e-6)
        assert stored[name]["half_width_68"] == pytest.approx(row["half_width_68"], rel=0.01)
        assert stored[name]["q99"] == pytest.approx(row["q99"], rel=0.01)


def test_zarr_opens_the_file_and_shows_what_it_says_of_itself(tmp_path: Path) -> None:
    report = compress(make_jets(2500), tmp_path / "jets.zarr.zip", chunk_jets=1000)
    with zarr.storage.ZipStore(tmp_path / "jets.zarr.zip", mode="r") as store:
        group: Any = zarr.open_group(store, mode="r")
        assert group.attrs["grids"]["eta"] == report["grids"]["eta"]
        assert group["summary"].attrs["jets"] == 2500
        assert group["summary"].attrs["format"] == "compression-hep 2"


def test_stream_is_compressed_in_bounded_memory(tmp_path: Path) -> None:
    def stream(chunks: int):
        for i in range(chunks):
            yield make_jets(20_000, seed=i, first_event=i * 10**6)

    def peak(chunks: int) -> int:
        tracemalloc.start()
        compress(stream(chunks), tmp_path / "jets.zarr.zip", workers=1)
        decoded = sum(len(part) for part in iter_compressed(tmp_path / "jets.zarr.zip", workers=1))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert decoded == chunks * 20_000
        return most

    peak(1)
    assert peak(12) < 1.5 * peak(3)


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    torch.manual_seed(0)
    jets = CustomNormalization().normalize(feature_array(make_jets(4000)))
    model = Autoencoder(AutoencoderConfig((4, 20, 3, 20, 4), "elu", batch_norm=True))
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    x = torch.as_tensor(jets, dtype=torch.float32)
    for _ in range(200):
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(model(x), x).backward()
        optimizer.step()
    return Checkpoint(
        model, CustomNormalization(), {"model": "small", "data": {"range": {n: [0, 9e9] for n in FEATURES}}}
    )


def test_autoencoder_file_holds_its_decoder_and_loses_little(tmp_path: Path, checkpoint: Checkpoint) -> None:
    table = make_jets(3000, seed=1)
    jets = feature_array(table)
    report = compress(table, tmp_path / "jets.zarr.zip", codec="autoencoder", model=checkpoint, chunk_jets=1000)
    found = feature_array(read_compressed(tmp_path / "jets.zarr.zip"))
    assert 0 < report["latent_mse_growth"] < 0.01

    own = mean_squared_error(reconstruct(checkpoint, jets), jets, checkpoint)
    assert own < mean_squared_error(found, jets, checkpoint) < 1.03 * own
    assert report["errors"]["pt"]["max"] == pytest.approx(resolution_table(jets, found).loc["pt", "max"], rel=1e-5)
    assert report["outside_training_range"] > 1000  # about half have a negative phi or eta
    more = compress(table, tmp_path / "b.zarr.zip", codec="autoencoder", model=checkpoint, latent_bits=12)
    assert more["latent_mse_growth"] < report["latent_mse_growth"] / 10


def mean_squared_error(found: np.ndarray, jets: np.ndarray, checkpoint: Checkpoint) -> float:
    """In the space of the model; phi, which containers wrap, counts as the turn that is nearest."""
    found = found.astype(float)
    found[:, 2] = jets[:, 2] + wrap_angle(found[:, 2] - jets[:, 2])
    normalize = checkpoint.normalization.normalize
    return float(np.mean((normalize(found) - normalize(jets)) ** 2))


@pytest.mark.parametrize("rank", [None, 3, 1])
def test_corrections_bring_every_jet_within_the_bounds(
    tmp_path: Path, checkpoint: Checkpoint, rank: int | None
) -> None:
    table = make_jets(3000, seed=1)
    if rank is not None:
        pca = PCABaseline(rank).fit(checkpoint.normalization.normalize(feature_array(table)))
        checkpoint = Checkpoint(pca, CustomNormalization())
    bounds = Bounds(pt=ErrorBound(0.002), phi=ErrorBound(absolute=0.001))
    compress(table, tmp_path / "jets.zarr.zip", codec="autoencoder", model=checkpoint, bounds=bounds, chunk_jets=1000)
    assert_within(read_compressed(tmp_path / "jets.zarr.zip"), table, bounds)


def test_another_machines_decoder_is_reported_not_believed(tmp_path: Path, checkpoint: Checkpoint, monkeypatch) -> None:
    table = make_jets(1000, seed=1)
    compress(table, tmp_path / "jets.zarr.zip", codec="autoencoder", model=checkpoint, bounds=Bounds())
    back = CustomNormalization.unnormalize
    monkeypatch.setattr(CustomNormalization, "unnormalize", lambda *arguments: back(*arguments) * (1 + 1e-12))
    assert_within(read_compressed(tmp_path / "jets.zarr.zip"), table, Bounds())  # what rounding does is absorbed
    monkeypatch.setattr(CustomNormalization, "unnormalize", lambda *arguments: back(*arguments) * (1 + 1e-3))
    with pytest.raises(ContainerError, match=r"chunk_000000: decodes to other jets than when it was written"):
        read_compressed(tmp_path / "jets.zarr.zip")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"codec": "zip"}, "unknown codec 'zip'"),
        ({"codec": "autoencoder"}, "needs a model"),
        ({"latent_bits": 8}, "latent bits and refinement belong to the codec autoencoder, not to bounded"),
        ({"model": "a"}, "a model belongs to the codec neural or autoencoder, not to bounded"),
        ({"codec": "autoencoder", "model": "a", "embed_model": True}, "autoencoder always stores its decoder"),
        ({"codec": "lossless", "bounds": Bounds()}, "takes no error bounds"),
        ({"unit": "GeV"}, "unit say how to read a file"),
    ],
)
def test_settings_that_do_not_belong_together_are_refused(tmp_path: Path, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compress(make_jets(10), tmp_path / "jets.zarr.zip", **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["bounded", "lossless", "autoencoder", "corrected"])
def test_files_of_the_first_version_keep_decompressing(name: str) -> None:
    found = read_compressed(DATA / f"golden_{name}.zarr.zip")
    expected = np.load(DATA / "golden.npz")
    m, pt, phi, eta = expected[name].T
    assert_same_events(found, make_table(m, pt, phi, eta, expected["event"], expected["empty_events"]))
    if name == "autoencoder":  # a float32 network differs between machines in the last digits
        np.testing.assert_allclose(feature_array(found), expected[name], rtol=1e-4, atol=1e-5)
    else:
        np.testing.assert_array_equal(feature_array(found, np.float32), expected[name])


def test_files_of_this_version_keep_decompressing() -> None:
    found, expected = read_compressed(DATA / "golden_2_jets.zarr.zip"), np.load(DATA / "golden_2.npz")
    assert feature_array(found, np.float32).tobytes() == expected["jets"].tobytes()
    for ours, theirs in zip(event_counts(found), (expected["events"], expected["counts"]), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.fixture(scope="module")
def small_file(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("codec") / "jets.zarr.zip"
    compress(make_jets(90), path, chunk_jets=30)
    return path.read_bytes()


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_flipped_bit_gives_an_error_or_the_same_jets(tmp_path: Path, small_file: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(small_file) - 1))
    damaged = bytearray(small_file)
    damaged[place] ^= 1 << data.draw(st.integers(0, 7))
    path = tmp_path / "jets.zarr.zip"
    path.write_bytes(damaged)
    whole = tmp_path / "whole.zarr.zip"
    whole.write_bytes(small_file)
    expected = read_compressed(whole)
    with suppress(ContainerError):
        assert_same_bits(read_compressed(path), expected)
    with suppress(ContainerError):
        rows = {row for part in iter_compressed(path, recover=True, workers=1) for row in map(tuple, part.to_numpy())}
        assert rows <= set(map(tuple, expected.to_numpy()))


def test_a_damaged_chunk_is_named_and_the_others_recovered(tmp_path: Path) -> None:
    path, out = tmp_path / "jets.zarr.zip", tmp_path / "jets.parquet"
    compress(make_jets(3000), path, chunk_jets=1000)
    expected = list(iter_compressed(path))
    content = bytearray(path.read_bytes())
    start = content.index(b"chunk_000001")
    content[start + 800] ^= 1
    path.write_bytes(content)
    with pytest.raises(ContainerError, match=r"jets.zarr.zip: member chunk_000001 is damaged"):
        decompress(path, out)
    assert not out.exists()
    lost = decompress(path, out, recover=True)
    assert len(lost) == 1
    assert "chunk_000001" in lost[0]
    found = read_jets(out)
    assert len(found) == 3000 - len(expected[1])
    assert set(found["event"]) == set(expected[0]["event"]) | set(expected[2]["event"])


@pytest.mark.parametrize("part", [0.0, 0.01, 0.4, 0.7, 0.95, 0.9999])
def test_a_cut_file_is_refused_and_its_whole_chunks_recovered(tmp_path: Path, part: float) -> None:
    path = tmp_path / "jets.zarr.zip"
    compress(make_jets(3000), path, chunk_jets=1000)
    expected = list(iter_compressed(path))
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(ContainerError, match="not a whole zip file"):
        read_compressed(path)
    if part <= 0.01:
        with pytest.raises(ContainerError, match="missing or damaged"):
            list(iter_compressed(path, recover=True))
        return
    lost: list[str] = []
    found = list(iter_compressed(path, recover=True, lost=lost))
    assert "not a whole zip file" in lost[0]
    assert len(found) == {0.4: 1, 0.7: 2, 0.95: 3, 0.9999: 3}[part]
    for ours, theirs in zip(found, expected, strict=False):
        assert_same_bits(ours, theirs)


@pytest.mark.parametrize("content", [b"PK\x05\x06" + bytes(18), b"not a zip file", b"PAR1" * 100])
def test_another_file_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "jets.zarr.zip"
    path.write_bytes(content)
    with pytest.raises(ContainerError, match=r"jets.zarr.zip: .*compressionhep compress"):
        inspect(path)


STREAM = """
import sys
sys.path[:0] = {folders!r}
from codec_helpers import make_jets
from utils.codec import compress
def stream():
    for i in range(10**6):
        yield make_jets(5000, first_event=i * 10**6)
compress(stream(), {path!r})
"""


def test_a_kill_in_the_middle_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "jets.zarr.zip"
    folders = [str(folder) for folder in Path(__file__).parents[:2]]
    code = STREAM.format(folders=folders, path=str(path))
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        deadline = time.monotonic() + 900
        while sum(file.stat().st_size for file in tmp_path.rglob("*.zip")) < 100_000:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert not path.exists()


@pytest.mark.parametrize("room", [0, 50_000, 430_000])
@pytest.mark.parametrize("suffix", [".zarr.zip", ".h5", ".root", ".parquet", ".csv"])
def test_a_full_disk_is_an_error_and_leaves_no_file(suffix: str, room: int, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    table, path = tmp_path / "in.parquet", tmp_path / f"jets{suffix}"
    write_jets(make_jets(120_000), table)

    def small_disk() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    command = [sys.executable, "-m", "utils.cli", "compress" if suffix == ".zarr.zip" else "convert", table, path]
    result = subprocess.run(
        command, preexec_fn=small_disk, capture_output=True, text=True, cwd=Path(__file__).parents[1], check=False
    )
    assert result.returncode == 2
    (error,) = [line for line in result.stderr.splitlines() if ": note: " not in line]
    assert error.startswith("compressionhep: error: ")
    assert str(path) in error
    assert os.listdir(tmp_path) == ["in.parquet"]


def test_command_line_compresses_and_gives_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = make_jets(2000)
    source, path, back = (str(tmp_path / name) for name in ("in.parquet", "jets.zarr.zip", "out.parquet"))
    write_jets(table, source)
    assert main(["compress", source, path, "--pt-error", "2%,1GeV", "--phi-error", "5mrad"]) == 0
    assert "2000 jets of" in capsys.readouterr().out
    assert inspect(path)["source"]["file"] == "in.parquet"
    assert main(["decompress", path, back]) == 0
    assert_within(read_jets(back), table, Bounds(pt=ErrorBound(0.02, 1)))
    content = bytearray(Path(path).read_bytes())
    content[len(content) // 2] ^= 1
    Path(path).write_bytes(content)
    assert main(["decompress", path, back, "--force"]) == 2
    assert "chunk_000000" in capsys.readouterr().err
    assert main(["compress", source, path, "--pt-error", "2"]) == 2
    assert 'expected "1%"' in capsys.readouterr().err
    assert main(["compress", source, path, "--codec", "autoencoder", "--model", "m", "--eta-error", "1"]) == 2
    assert "only with --bounded" in capsys.readouterr().err


@needs_published
def test_published_jets_take_few_bytes_at_the_default_bounds_and_at_the_autoencoders_error(tmp_path: Path) -> None:
    source = published_folder() / TEST_SAMPLE
    default = compress(source, tmp_path / "jets.zarr.zip", unit="MeV")
    assert default["jets"] == 27_945
    assert default["bytes_per_jet"] < 4.05
    jets = feature_array(read_jets(source, unit="MeV"))
    bounds = Bounds(ErrorBound(0.174, 0.174), ErrorBound(0.114), ErrorBound(absolute=0.125), ErrorBound(absolute=0.208))
    coarse = compress(source, tmp_path / "jets.zarr.zip", unit="MeV", bounds=bounds)
    found = feature_array(read_compressed(tmp_path / "jets.zarr.zip"))
    normalize = CustomNormalization().normalize
    assert np.mean((normalize(found) - normalize(jets)) ** 2) < 5.75e-4
    assert coarse["bytes_per_jet"] < 1.95


@needs_published
def test_published_autoencoder_needs_few_bytes_for_latents_at_its_own_error(tmp_path: Path) -> None:
    checkpoint = load_published(published_folder() / "AE_3D_200_ELU_BN_custom_norm.pth")
    source = published_folder() / TEST_SAMPLE
    report = compress(source, tmp_path / "jets.zarr.zip", unit="MeV", codec="autoencoder", model=checkpoint)
    latents = sum(size for name, size in report["stream_bytes"].items() if name.startswith("latent"))
    assert latents / report["jets"] < 2.85
    jets = feature_array(read_jets(source, unit="MeV"))
    own = mean_squared_error(reconstruct(checkpoint, jets), jets, checkpoint)
    found = feature_array(read_compressed(tmp_path / "jets.zarr.zip"))
    assert mean_squared_error(found, jets, checkpoint) < 1.01 * own
    assert json.loads(json.dumps(report)) == report
