"""What the command line says: sizes in one measure, errors beside their bounds, and what a model was not made for."""

import json
from pathlib import Path

import numpy as np
import pytest

from utils.cli import main
from utils.codec import FLOAT32_BYTES, Bounds, ErrorBound, compress, inspect
from utils.files import REPOSITORY
from utils.jets import feature_array, make_table, read_jets, write_jets
from utils.networks import encode_jets, load_checkpoint, reconstruct

MODEL = REPOSITORY / "models" / "AE_3D_200_tanh_custom_norm.safetensors"


def make_jets(n: int = 3000, pt: float = 60.0):
    rng = np.random.default_rng(0)
    columns = rng.gamma(2, 4, n), 20 + rng.exponential(pt, n), rng.uniform(-3, 3, n), rng.normal(0, 2, n)
    return make_table(*columns, np.arange(n) // 3)


def test_a_file_and_a_folder_are_compared_with_float32_in_the_same_words(
    tmp_path: Path, scheduler: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "jets.csv"
    write_jets(make_jets(), source)
    assert main(["compress", str(source), str(tmp_path / "one.zarr.zip")]) == 0
    alone = capsys.readouterr().out.splitlines()
    arguments = ["compress", str(source), str(tmp_path / "many"), "--json", str(tmp_path / "r.json")]
    assert main([*arguments, "--scheduler", scheduler]) == 0
    together = capsys.readouterr().out.splitlines()
    size = (tmp_path / "one.zarr.zip").stat().st_size
    words = f"48.0 kB as float32, {size / 1000:.1f} kB compressed: {FLOAT32_BYTES * 3000 / size:.2f} times smaller"
    assert f"jets: {words}" in alone
    assert f"size        {words}" in together
    assert [line for line in alone if line in together] == [line for line in alone if "within the bounds" in line]
    assert (
        json.loads((tmp_path / "r.json").read_text())["totals"]["ratio"] == inspect(tmp_path / "one.zarr.zip")["ratio"]
    )


def test_few_jets_and_no_bounds_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_jets(make_jets(30), tmp_path / "jets.csv")
    arguments = ["compress", str(tmp_path / "jets.csv")]
    assert main([*arguments, str(tmp_path / "a.zarr.zip"), "--codec", "lossless"]) == 0
    printed = capsys.readouterr().out
    assert "480 B as float32" in printed
    assert "too few jets to gain" in printed
    assert "all 30 jets are kept bit for bit" in printed
    model = ["--codec", "autoencoder", "--model", str(MODEL)]
    assert main([*arguments, str(tmp_path / "b.zarr.zip"), *model]) == 0
    printed = capsys.readouterr().out
    assert "within the bounds" not in printed
    assert "largest error of pt: " in printed


def test_errors_in_units_of_the_bound_are_those_of_the_decoded_jets(tmp_path: Path) -> None:
    from utils.codec import read_compressed

    table = make_jets()
    bounds = Bounds(m=ErrorBound(), pt=ErrorBound(0.02, 1.0))
    report = compress(table, tmp_path / "jets.zarr.zip", bounds=bounds, chunk_jets=1000)
    found, pt = read_compressed(tmp_path / "jets.zarr.zip")["pt"].astype(float), table["pt"].astype(float)
    largest = np.max(np.abs(found - pt) / np.maximum(0.02 * pt, 1.0))
    assert list(report["errors_of_bound"]) == ["pt", "phi", "eta"]
    assert report["errors_of_bound"]["pt"] == pytest.approx(largest, abs=1e-6)
    assert 0.9 < largest <= 1


def test_decompress_says_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compress(make_jets(300), tmp_path / "jets.zarr.zip")
    output = tmp_path / "jets.parquet"
    assert main(["decompress", str(tmp_path / "jets.zarr.zip"), str(output)]) == 0
    assert capsys.readouterr().out == f"{output}: 300 jets of 100 events\n"


def test_evaluate_tells_of_jets_outside_the_training_range(
    tmp_path: Path, scheduler: str, capsys: pytest.CaptureFixture[str]
) -> None:
    table = make_jets(300)
    table.loc[:6, "pt"] = np.float32(60_000)
    write_jets(table, tmp_path / "jets.csv")
    assert main(["evaluate", str(tmp_path / "jets.csv"), "--model", str(MODEL), "--scheduler", scheduler]) == 0
    low, high = np.array(list(load_checkpoint(MODEL).metadata["data"]["range"].values())).T
    features = feature_array(table)
    outside = int(np.any((features < low) | (features > high), axis=1).sum())
    assert outside >= 7
    assert f"note: {tmp_path / 'jets.csv'}: {outside} of 300 jets lie outside the range" in capsys.readouterr().err


def test_models_take_the_table_that_read_jets_gives(tmp_path: Path) -> None:
    write_jets(make_jets(30), tmp_path / "jets.csv")
    table, model = read_jets(tmp_path / "jets.csv"), load_checkpoint(MODEL)
    np.testing.assert_array_equal(encode_jets(model, table), encode_jets(model, feature_array(table)))
    latents = encode_jets(model, table, refine=1)
    np.testing.assert_array_equal(latents, encode_jets(model, feature_array(table), refine=1))
    assert reconstruct(model, table).shape == (30, 4)
