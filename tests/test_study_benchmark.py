"""Meters that see what is known to be there, and rows that plots and tables can read. No test asserts a wall time."""

import json
import math
import time
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from matplotlib.figure import Figure

from utils import training
from utils.cli import main
from utils.jets import load_sample
from utils.machine import CPU, machine_info, torch_threads
from utils.networks import VARIANTS, CustomNormalization, save_checkpoint
from utils.plotting import plot_batches, plot_memory, plot_scaling, plot_stage_times
from utils.report import EXECUTION_TIME, MEMORY, execution
from utils.study import ORIGINAL, PROJECT, benchmark, memory, timing, training_time, ways

MB = 1_000_000


@pytest.fixture(autouse=True)
def one_thread_and_small_matrices(monkeypatch):
    """Tests beside this one slow threads that wait for each other far more than one alone."""
    monkeypatch.setattr(timing, "MATRIX", 128)
    with torch_threads(1):
        yield


@pytest.fixture(scope="module")
def jets():
    rng = np.random.default_rng(3)
    columns = [rng.gamma(2, 4, 300), 20 + rng.exponential(60, 300), rng.uniform(-3, 3, 300), rng.normal(0, 2, 300)]
    return np.stack(columns, axis=1).astype(np.float32)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "elu_bn.safetensors"
    save_checkpoint(path, benchmark.untrained_checkpoint("elu_bn"))
    return {"elu_bn": path}


@pytest.fixture(scope="module")
def models(files):
    return benchmark.load_models(files)


def test_machine_is_described_in_json():
    machine = json.loads(json.dumps(machine_info(), allow_nan=False))
    assert machine["torch"] == torch.__version__
    assert machine["threads"] == torch.get_num_threads()
    assert machine["memory_bytes"] == psutil.virtual_memory().total
    assert machine["cpu"]


def test_a_timing_is_at_least_a_known_sleep():
    timing = ways.time_call(lambda: time.sleep(0.02), repeats=3)
    assert timing["repeats"] == 3
    assert 0.02 <= timing["low_s"] <= timing["median_s"] <= timing["high_s"]


def test_a_timing_warms_up_once_and_stops_after_its_limit():
    calls: list[None] = []
    timing = ways.time_call(lambda: calls.append(time.sleep(0.01)), repeats=1000, limit_s=0.0)  # type: ignore
    assert timing["repeats"] == 3
    assert len(calls) == 4
    ways.time_call(lambda: calls.append(None), repeats=2, warm_up=False)
    assert len(calls) == 6


def test_summary_of_times_is_median_and_spread():
    assert ways.summarize_times([float(i) for i in range(101)]) == {
        "median_s": 50.0,
        "low_s": 16.0,
        "high_s": 84.0,
        "repeats": 101,
    }


def test_tensor_meter_sees_a_tensor_of_known_size_and_what_was_freed_meanwhile():
    assert 8 * MB <= memory.tensor_peak(lambda: torch.ones(2 * MB)) < 9 * MB
    assert 16 * MB <= memory.tensor_peak(lambda: (torch.ones(2 * MB) + 1).sum()) < 17 * MB


def test_resident_meter_sees_a_tensor_of_known_size_in_a_fresh_process():
    seen = memory.in_fresh_process(_resident_of_a_tensor)
    assert 400 * MB <= seen < 600 * MB  # code that is paged in by its first use counts too


def _resident_of_a_tensor():
    return memory.resident_peak(lambda: torch.ones(100 * MB))


def test_resident_meter_works_where_the_system_keeps_no_peak(monkeypatch):
    monkeypatch.setattr(memory, "reset_resident_peak", lambda: False)
    assert memory.resident_peak(lambda: np.ones(20 * MB)) > 100 * MB


def test_the_published_memory_meter_sees_arrays_but_no_tensors():
    assert memory.heap_peak(lambda: np.ones(2 * MB)) >= 16 * MB
    assert memory.heap_peak(lambda: torch.ones(2 * MB)) < MB


def test_threads_are_restored_after_an_error():
    before = torch.get_num_threads()

    def fail():
        with torch_threads(before + 1) as used:
            raise RuntimeError(used)

    with pytest.raises(RuntimeError, match=str(before + 1)):
        fail()
    assert torch.get_num_threads() == before


def test_both_ways_give_the_same_latents_and_jets(models, jets):
    both = ways.both_ways(models["elu_bn"])
    latents = both[ORIGINAL][0](jets)
    np.testing.assert_allclose(both[PROJECT][0](jets), latents, atol=1e-5)
    np.testing.assert_allclose(both[PROJECT][1](latents), both[ORIGINAL][1](latents), rtol=1e-4, atol=1e-4)


def test_arithmetic_of_a_jet_is_that_of_the_matrices():
    assert ways.flop_per_jet(benchmark.untrained_checkpoint("tanh")) == 103_800


def test_untrained_models_are_the_same_for_the_same_seed_and_leave_the_random_state_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, second = (benchmark.untrained_checkpoint("leaky_relu_bn").model.state_dict() for _ in range(2))
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert first["encoder.2.running_var"].unique().numel() > 100


def test_trained_models_are_preferred_and_others_are_made(tmp_path):
    trained = benchmark.untrained_checkpoint("tanh", seed=7)
    trained.metadata["source"] = {"file": "elsewhere"}
    save_checkpoint(tmp_path / "models" / "AE_3D_1d.safetensors", trained)
    (tmp_path / "none").mkdir()
    save_checkpoint(tmp_path / "none" / "your_own_jets.safetensors", trained)
    found = benchmark.find_models(tmp_path / "none", tmp_path / "models")
    assert list(found) == ["tanh", "leaky_relu_bn", "elu_bn"]
    assert found["tanh"] == tmp_path / "models" / "AE_3D_1d.safetensors"
    assert benchmark.describe_weights(found) == {
        "tanh": "AE_3D_1d.safetensors",
        "leaky_relu_bn": "untrained, seed 0",
        "elu_bn": "untrained, seed 0",
    }


def test_cold_start_runs_in_a_process_of_its_own(files):
    rows = timing.time_cold_start(files, repeats=1)
    assert [row["stage"] for row in rows] == list(timing.COLD_STAGES)
    assert all(row["median_s"] > 0 and row["repeats"] == 1 for row in rows)


def test_stages_throughput_and_calls_give_rows_that_the_plots_draw(models, jets):
    stages = timing.time_stages(models, jets, repeats=3)
    assert {(row["stage"], row["way"], "ratio" in row) for row in stages} == {
        ("encoding", PROJECT, True),
        ("encoding", ORIGINAL, False),
        ("decoding", PROJECT, True),
        ("decoding", ORIGINAL, False),
    }
    (row,) = timing.time_throughput(models, jets, turns=3)
    assert row["ratio"] == pytest.approx(row["jets_per_s"] / row["original_jets_per_s"])
    assert set(row["matrix_gflops"]) == {"ONNX Runtime", "PyTorch"}
    assert row["efficiency"] == pytest.approx(103_800 * row["jets_per_s"] / 1e9 / max(row["matrix_gflops"].values()))
    figure = Figure()
    first, second, third = figure.subplots(1, 3)
    points = plot_stage_times(first, stages, ("encoding", "decoding"))
    assert [np.size(container[0].get_xdata()) for container in points] == [2, 2]
    assert first.get_ylabel() == "time [ms], median and central 68%"
    lines = plot_batches(second, timing.time_batches(models, jets, (1, 100), limit_s=0.0))
    assert [np.asarray(line.get_xdata()).tolist() for line in lines] == [[1, 100], [1, 100]]
    scaling = timing.time_scaling(models, jets, (100, 1000, 3000), limit_s=0.0)
    assert [row["jets"] for row in scaling] == [100, 1000, 3000]
    (line,) = plot_scaling(third, scaling)
    assert np.asarray(line.get_ydata()).tolist() == [1e6 * row["median_s"] / row["jets"] for row in scaling]
    assert third.get_xlabel() == "number of jets"


def test_the_original_way_is_kept_within_the_memory_that_is_free(models, jets, monkeypatch):
    monkeypatch.setattr(timing, "original_limit", lambda device: 50)
    (row,) = timing.time_throughput(models, jets, turns=3)
    assert (row["jets"], row["original_jets"]) == (300, 50)
    rows = timing.time_batches(models, jets, (10, 100), limit_s=0.0)
    assert [(row["way"], row["jets"]) for row in rows] == [(PROJECT, 10), (PROJECT, 100), (ORIGINAL, 10)]


@pytest.mark.parametrize(("free", "limit"), [(1 << 40, ways.ORIGINAL_JETS), (10_000_000, 1000), (100, 1)])
def test_the_original_way_gets_what_half_of_the_free_memory_holds_and_no_more_than_tells_its_rate(
    free, limit, monkeypatch
):
    memory_left = psutil.virtual_memory()._replace(available=free)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory_left)
    assert ways.original_limit() == limit


def test_memory_of_the_original_way_grows_with_the_jets_and_this_one_stays(files, jets):
    many = ways.tile_jets(jets, 20_000)
    rows = {(row["way"], row["stage"]): row for row in memory.trace_memory(files, many, threads=1)}
    original, project = rows[ORIGINAL, "encoding"], rows[PROJECT, "encoding"]
    activations = 20_000 * 2 * (200 + 100 + 50 + 3) * 4
    assert (original["tensors"] or 0) > activations
    assert original["resident"] > activations
    assert project["resident"] < original["resident"] / 2
    assert project["tensors"] is None
    assert project["floor"] == 20_000 * 3 * 4  # the input was there before
    assert original["python_heap"] < MB
    assert rows[PROJECT, "initialization"]["parameters"] == sum(
        t.numel() * t.element_size() for t in benchmark.load_models(files)["elu_bn"].model.state_dict().values()
    )
    drawn = plot_memory(Figure().subplots(), list(rows.values()))
    assert [np.size(points.get_xdata()) for points in drawn.points] == [3, 3]
    assert np.asarray(drawn.floor[0].get_ydata())[1] == pytest.approx(0.24)


def test_memory_above_input_and_output_does_not_grow_with_the_jets(files):
    for row in memory.trace_bounded(files, 400_000, threads=2):
        assert max(row["encoding"], row["decoding"]) < 64 * MB


def test_training_is_timed_in_both_ways():
    result = training_time.time_training(load_sample(max_jets=2000), epochs=3)
    assert set(result["epoch_s"]) == {PROJECT, ORIGINAL, "ratio"}
    assert (result["reached_s"][ORIGINAL] or 0) > 0
    assert [row["epoch"] for row in result["rows"] if row["way"] == ORIGINAL] == [1, 2, 3]


def test_a_training_is_timed_in_both_loops():
    result = training_time.time_loops(load_sample(max_jets=2000), epochs=2, turns=1)
    jets = load_sample(max_jets=2000).source["jets"]["train"]
    assert 80 <= result["batch_size"] <= 96
    assert result["steps"] == 2 * (jets // result["batch_size"])
    assert [timing["repeats"] for timing in result["timings"].values()] == [1, 1]
    assert result["ratio"] * result["timings"]["bare"]["median_s"] == pytest.approx(
        result["timings"]["fastai"]["median_s"]
    )


def test_the_bare_loop_does_what_fastais_loop_does():
    sample = load_sample(max_jets=2000)
    config = training.TrainingConfig("adam", 1024, learning_rates=(1e-3, 1e-3), steps=60, betas=(0.9, 0.99))
    batches = training.make_dataloaders(sample, CustomNormalization(), config, "cpu")
    result = training.train(VARIANTS["tanh"], batches, config, seed=3, progress=False)
    bare = training_time.train_bare(VARIANTS["tanh"], batches, config, seed=3)
    assert bare == pytest.approx(result.losses["valid"].min(), rel=1e-3)


def test_benchmark_command_prints_and_writes_the_numbers_beside_the_machine(files, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(
        benchmark.EFFORTS, "quick", benchmark.Effort(3, 1, 0.0, 3, 1000, (1, 100), (100, 500), 1000, 1, 1, 1)
    )
    arguments = ["--jets", "1000", "--threads", "1", "--json", str(tmp_path / "numbers.json")]
    assert main(["benchmark", "--model", str(files["elu_bn"]), *arguments]) == 0
    printed = capsys.readouterr().out
    assert "1 thread," in printed
    assert "first jet" in printed
    content = json.loads((tmp_path / "numbers.json").read_text())
    assert content["machine"]["threads"] == 1
    assert [row["jets"] for row in content["scaling"]] == [100, 500, 1000]
    assert content["throughput"][0]["original_jets"] == 1000


def test_benchmark_command_refuses_no_jets(capsys):
    assert main(["benchmark", "--jets", "0"]) == 2
    assert "expected one jet and one thread at least" in capsys.readouterr().err


def test_third_table_takes_its_numbers_from_both_notebooks():
    source = {"dataset": {"dataset": "embedded", "jets": {"test": 500}}, "profile": "quick", "seed": 0, "device": "cpu"}
    stages = ("import", "initialization", "load", "preparation", "encoding", "decoding")
    row = {"model": "tanh", "label": "tanh", "device": "cpu", "jets": 1_000_000}
    times = {
        "machine": machine_info(),
        "weights": {"tanh": "untrained, seed 0"},
        "stages": [row | {"stage": s, "way": PROJECT, "median_s": (i + 1) / 1e3} for i, s in enumerate(stages)],
        "throughput": [
            row
            | {"original_jets": 4321, "jets_per_s": 1.234e6, "spread": 0.02, "ratio": 5.04, "efficiency": 0.62}
            | {"matrix_gflops": {"ONNX Runtime": 207.4, "PyTorch": 98.7}}
        ],
    }
    memory = {"bounded": [{"model": "tanh", "jets": 10_000_000, "encoding": 8_000_000, "decoding": 9_400_000}]}
    assert execution({EXECUTION_TIME: times | source}) is None
    table = execution({EXECUTION_TIME: times | source, MEMORY: memory | source})
    assert table is not None
    assert list(table.rows) == [("tanh", "cpu", "2.0", "3.0", "4.0", "5.0", "6.0", "1.234 ± 0.025", "5.0", "62%", "9")]
    assert len(table.header) == len(table.rows[0])
    assert "Weights are random" in table.caption
    assert "10,000,000 jets" in table.caption
    assert "one batch of 4,321 jets" in table.caption
    assert "(ONNX Runtime 207 GFLOP/s, PyTorch 99 GFLOP/s)" in table.caption


def test_both_matrix_products_are_the_same_and_the_fastest_of_all_rows_counts():
    products = timing.matrix_products()
    ours, torchs = (np.asarray(products[library]()) for library in ("ONNX Runtime", "PyTorch"))
    np.testing.assert_allclose(ours, torchs, rtol=1e-4)
    rows = [{"matrix_gflops": {"ONNX Runtime": ours, "PyTorch": 90.0}} for ours in (200.0, 210.0, 190.0)]
    assert timing.matrix_rates(rows) == {"ONNX Runtime": 210.0, "PyTorch": 90.0}


def test_models_of_one_name_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "m.safetensors").touch()
    models = [str(tmp_path / folder / "m.safetensors") for folder in ("a", "b")]
    assert main(["benchmark", "--model", *models]) == 2
    assert "two of the models have the same name" in capsys.readouterr().err


def test_a_short_call_that_takes_turns_is_made_once_more_before_it_is_timed(monkeypatch):
    made: list[str] = []
    seconds = {"short": ways.SHORT_S / 2, "long": 2 * ways.SHORT_S}
    monkeypatch.setattr(ways, "time_once", lambda call, device: seconds[call()])

    def call(name: str) -> str:
        made.append(name)
        return name

    timings = ways.time_in_turns({name: partial(call, name) for name in seconds}, 3, CPU, math.inf)
    assert {name: made.count(name) for name in seconds} == {"short": 1 + 2 * 3, "long": 1 + 3}
    assert {name: (timing["median_s"], timing["repeats"]) for name, timing in timings.items()} == {
        name: (pytest.approx(value), 3) for name, value in seconds.items()
    }
