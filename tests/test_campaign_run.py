"""Many files on Dask workers: workers and clients that are killed, files that fail, second runs, clusters elsewhere."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import psutil
import pytest
import uproot
from distributed import LocalCluster

from utils import cluster
from utils.campaign import run_campaign
from utils.cli import is_folder, main
from utils.cluster import ClusterError, connect, run_tasks
from utils.codec import compress, inspect, read_compressed
from utils.files import PARTIAL, RECORDS, OutputError, sha256_of
from utils.jets import FEATURES, JetError, event_counts, make_table, read_jets, write_jets
from utils.metrics import StreamingResolution
from utils.networks import VARIANTS, Autoencoder, Checkpoint, CustomNormalization, save_checkpoint

FILES, JETS = 20, 20_000


def make_jets(seed: int, n: int = JETS):
    rng = np.random.default_rng(seed)
    events = np.sort(rng.integers(0, n // 4, n))
    columns = rng.gamma(2, 4, n), 20 + rng.exponential(60, n), rng.uniform(-3.1, 3.1, n), rng.uniform(-2.5, 2.5, n)
    return make_table(*columns, events)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for i in range(FILES):
        write_jets(make_jets(i), folder / f"run{i % 2}" / f"jets{i}.parquet")
    return folder


def outputs(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): sha256_of(path) for path in sorted(folder.rglob("*.zarr.zip"))}


@pytest.fixture(scope="module")
def expected(data, tmp_path_factory):
    """What one process makes of the files, one after the other."""
    folder = tmp_path_factory.mktemp("expected")
    for path in data.rglob("*.parquet"):
        output = folder / path.relative_to(data).with_suffix("").with_suffix(".zarr.zip")
        output.parent.mkdir(exist_ok=True)
        compress(path, output)
    return outputs(folder)


def files_in(folder: Path, suffix: str) -> list[Path]:
    """Files while others are written: `Path.rglob` fails where a folder is gone before it looks into it."""
    return [Path(here, name) for here, _, names in os.walk(folder) for name in names if name.endswith(suffix)]


def kill_a_worker(folder: Path, others: set[int], killed: list[int]) -> None:
    """Kill a process that works for this one, and is none of the `others`, as soon as the first output is there."""
    deadline = time.monotonic() + 900
    while not files_in(folder, ".zarr.zip") and time.monotonic() < deadline:
        time.sleep(0.01)
    children = [child for child in psutil.Process().children(recursive=True) if child.pid not in others]
    victim = next(child for child in children if "spawn_main" in " ".join(child.cmdline()))
    victim.kill()
    killed.append(victim.pid)


def test_a_killed_worker_costs_nothing_but_time(data, expected, tmp_path):
    others = {child.pid for child in psutil.Process().children(recursive=True)}
    killed: list[int] = []
    killer = threading.Thread(target=kill_a_worker, args=(tmp_path, others, killed), daemon=True)
    killer.start()
    campaign = run_campaign("compress", f"{data}/**/*.parquet", tmp_path, {}, suffix=".zarr.zip", workers=2)
    killer.join(timeout=1000)
    assert killed
    assert not campaign.failures
    assert outputs(tmp_path) == expected
    assert campaign.totals["jets"] == FILES * JETS
    assert 0 < campaign.totals["worst"]["pt"]["max"] <= 0.01
    again = run_campaign("compress", f"{data}/**/*.parquet", tmp_path, {}, suffix=".zarr.zip", workers=1)
    assert again.totals["kept"] == FILES
    assert outputs(tmp_path) == expected


def finished_records(folder: Path) -> list[Path]:
    """Those that have their name: a killed process may leave an unfinished one behind."""
    records = folder / "out" / RECORDS
    return [path for path in files_in(records, ".json") if not path.parent.name.startswith(PARTIAL)]


def test_a_killed_client_is_taken_up_again(data, expected, tmp_path):
    command = [sys.executable, "-m", "utils.cli", "compress", f"{data}/**/*.parquet", str(tmp_path / "out")]
    client = subprocess.Popen([*command, "--workers", "1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 900
    while not finished_records(tmp_path):
        assert time.monotonic() < deadline
        assert client.poll() is None, "the client ended before it could be killed"
        time.sleep(0.005)
    workers = psutil.Process(client.pid).children(recursive=True)
    client.send_signal(signal.SIGKILL)
    client.wait()
    psutil.wait_procs(workers, timeout=300)
    done = len(finished_records(tmp_path))
    assert done < FILES
    result = tmp_path / "result.json"
    assert main([*command[3:], "--workers", "2", "--json", str(result)]) == 0
    assert outputs(tmp_path / "out") == expected
    assert json.loads(result.read_text())["totals"]["kept"] == done
    assert not list(tmp_path.rglob(f"{PARTIAL}*"))


def test_a_failing_file_is_named_and_the_others_finish(data, expected, scheduler, tmp_path, capsys):
    bad = tmp_path / "bad.parquet"
    bad.write_bytes(b"PAR1 and then nothing")
    out = tmp_path / "out"
    assert main(["compress", str(bad), f"{data}/run0/*.parquet", str(out) + "/", "--scheduler", scheduler]) == 1
    printed = capsys.readouterr().out
    assert f"failed: {bad}: cannot be read as Parquet" in printed
    assert "files       11 (1 failed, 0 from an earlier run)" in printed
    assert set(outputs(out).values()) == {value for name, value in expected.items() if name.startswith("run0")}
    assert not (out / "bad.zarr.zip").exists()


def test_a_folder_of_records_that_is_gone_while_they_are_looked_through_is_none(tmp_path, monkeypatch):
    write_jets(make_jets(1), tmp_path / "jets.csv")
    gone = tmp_path / "out" / RECORDS / "unfinished, of another process"
    gone.mkdir(parents=True)
    scandir = os.scandir

    def find_nothing_there(path: Any) -> Any:
        if str(path) == str(gone):
            raise FileNotFoundError(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", find_nothing_there)
    options: dict[str, Any] = {"suffix": ".zarr.zip", "workers": 1, "progress": False}
    campaign = run_campaign("compress", str(tmp_path / "jets.csv"), tmp_path / "out", {}, **options)
    assert [row["state"] for row in campaign.rows] == ["done"]


def test_what_changed_or_is_missing_is_done_again_and_what_was_damaged_is_kept(scheduler, tmp_path):
    source, out = tmp_path / "jets.csv", tmp_path / "out"
    write_jets(make_jets(1), source)

    def states(**settings):
        options = {"suffix": ".zarr.zip", "scheduler": scheduler, "progress": False}
        campaign = run_campaign("compress", str(source), out, settings, **options)
        assert not campaign.failures
        return [row["state"] for row in campaign.rows]

    assert states() == ["done"]
    assert states() == ["kept"]
    assert states(codec="lossless") == ["done"]
    assert states(codec="lossless") == ["kept"]
    write_jets(make_jets(2), source)
    assert states(codec="lossless") == ["done"]
    output = out / "jets.zarr.zip"
    output.write_bytes(output.read_bytes()[:-10])
    options: dict[str, Any] = {"suffix": ".zarr.zip", "scheduler": scheduler, "progress": False}
    (error,) = run_campaign("compress", str(source), out, {"codec": "lossless"}, **options).failures.values()
    assert error.startswith(f"{output}: there already, and not as this project wrote it")
    output.unlink()
    assert states(codec="lossless") == ["done"]
    assert inspect(output)["jets"] == JETS


def test_two_runs_at_once_do_not_harm_each_other(data, expected, tmp_path):
    command = [sys.executable, "-m", "utils.cli", "compress", f"{data}/**/*.parquet", str(tmp_path), "--workers", "1"]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    for run in runs:
        run.communicate()
        assert run.returncode == 0
    assert outputs(tmp_path) == expected


def test_there_and_back_keeps_events_and_bounds(data, scheduler, tmp_path):
    pattern, where = f"{data}/run1/*.parquet", ["--scheduler", scheduler]
    assert main(["compress", pattern, str(tmp_path / "small"), "--codec", "lossless", *where]) == 0
    pattern = str(tmp_path / "small" / "*.zarr.zip")
    assert main(["decompress", pattern, str(tmp_path / "back"), "--format", "root", *where]) == 0
    for path in (tmp_path / "back").glob("*.root"):
        true = read_jets(data / "run1" / f"{path.stem}.parquet")
        found = read_jets(path)
        np.testing.assert_array_equal(found.to_numpy(), true.to_numpy())
    assert main(["convert", str(tmp_path / "back" / "*.root"), str(tmp_path / "cut"), "--pt-min", "60", *where]) == 0
    assert read_jets(tmp_path / "cut" / "jets1.parquet")["pt"].min() >= 60


def test_large_root_files_are_worked_on_in_parts(scheduler, tmp_path):
    jets = make_jets(7)
    events = np.repeat(np.arange(len(event_counts(jets)[0])), event_counts(jets)[1])
    with uproot.recreate(tmp_path / "large.root") as file:  # no event branch: events are counted, from 0
        lists = {name: ak.unflatten(jets[name].to_numpy(), event_counts(jets)[1]) for name in FEATURES}
        file["Events"] = {"Jet": ak.zip({"mass" if name == "m" else name: lists[name] for name in FEATURES})}
    size = (tmp_path / "large.root").stat().st_size
    options = {"suffix": ".zarr.zip", "scheduler": scheduler, "part_bytes": size // 4}
    campaign = run_campaign("compress", tmp_path / "large.root", tmp_path / "out", {"codec": "lossless"}, **options)
    assert len(campaign.rows) > 3
    assert campaign.totals["jets"] == len(jets)
    assert campaign.totals["bytes_in"] == pytest.approx(size, abs=10)
    parts = [read_compressed(row["output"]) for row in campaign.rows]
    for name in FEATURES:
        np.testing.assert_array_equal(np.concatenate([part[name] for part in parts]), jets[name])
    np.testing.assert_array_equal(np.concatenate([part["event"] for part in parts]), events)
    options["part_bytes"] = size
    again = run_campaign("compress", tmp_path / "large.root", tmp_path / "out", {"codec": "lossless"}, **options)
    assert [path.name for path in (tmp_path / "out").glob("*.zarr.zip")] == ["large.zarr.zip"]
    assert again.totals["bytes_in"] == size


def test_evaluate_adds_up_the_errors_of_all_files(data, scheduler, tmp_path, capsys):
    save_checkpoint(tmp_path / "m.safetensors", Checkpoint(Autoencoder(VARIANTS["tanh"]), CustomNormalization()))
    arguments = ["evaluate", f"{data}/run0/*.parquet", "--model", str(tmp_path / "m.safetensors")]
    assert main([*arguments, "--scheduler", scheduler, "--refine", "1", "--json", str(tmp_path / "r.json")]) == 0
    content = json.loads((tmp_path / "r.json").read_text())
    assert content["totals"]["jets"] == content["resolution"]["pt"]["jets"] == FILES // 2 * JETS
    largest = [row["errors"]["pt"]["max"] for row in content["files"]]
    assert content["resolution"]["pt"]["max"] == content["totals"]["worst"]["pt"]["max"] == max(largest)
    assert "half_width_68" in capsys.readouterr().out
    assert main([*arguments[:3], str(tmp_path / "no.safetensors")]) == 2


def test_outputs_that_would_collide_are_refused(data, tmp_path):
    for suffix in (".csv", ".root"):
        write_jets(make_jets(1, 100), tmp_path / f"jets{suffix}")
    with pytest.raises(OutputError, match=r"jets.csv and .*jets.root would both become"):
        run_campaign("compress", f"{tmp_path}/jets.*", tmp_path / "out", {}, suffix=".zarr.zip")
    with pytest.raises(OutputError, match=r"jets.csv: would be replaced by the output"):
        run_campaign("convert", f"{tmp_path}/jets.csv", tmp_path, {"pt_min": 60.0}, suffix=".csv")
    with pytest.raises(JetError, match="no file matches"):
        run_campaign("compress", f"{tmp_path}/nothing*", tmp_path / "out", {}, suffix=".zarr.zip")


def test_a_scheduler_that_does_not_answer_within_its_time_is_a_clear_error(tmp_path, capsys, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    assert cluster.ANSWER_SECONDS <= 20
    monkeypatch.setattr(cluster, "ANSWER_SECONDS", 3)
    write_jets(make_jets(1, 100), tmp_path / "jets.csv")
    assert main(["compress", str(tmp_path / "jets.csv"), str(tmp_path / "out"), "--scheduler", address]) == 2
    assert f"no Dask scheduler answers at {address} within 3 s" in capsys.readouterr().err
    with pytest.raises(ClusterError, match="no such scheduler file"), connect(scheduler=str(tmp_path / "no.json")):
        pass
    with pytest.raises(ClusterError, match="its own workers"), connect(workers=2, scheduler=address):
        pass
    with pytest.raises(ClusterError, match="one worker at least"), connect(workers=0):
        pass


def test_workers_with_several_threads_are_refused():
    with (
        LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address="127.0.0.1:0") as local,
        pytest.raises(ClusterError, match="--nthreads 1"),
        connect(scheduler=local.scheduler_address),
    ):
        pass


def test_options_that_would_do_nothing_are_refused(tmp_path, capsys):
    write_jets(make_jets(1, 100), tmp_path / "jets.csv")
    source, target = str(tmp_path / "jets.csv"), str(tmp_path / "jets.parquet")
    for option in (["--format", "root"], ["--workers", "2"], ["--json", "x.json"], ["--scheduler", "tcp://x:1"]):
        assert main(["convert", source, target, *option]) == 2
        assert f"{option[0]} belongs to work on many files" in capsys.readouterr().err
    assert not Path(target).exists()


def test_a_running_cluster_does_the_same(data, expected, scheduler, tmp_path):
    (tmp_path / "scheduler.json").write_text(json.dumps({"address": scheduler}))
    for number, where in enumerate((scheduler, str(tmp_path / "scheduler.json"))):
        out = tmp_path / f"out{number}"
        options = {"suffix": ".zarr.zip", "scheduler": where}
        campaign = run_campaign("compress", f"{data}/run0/*.parquet", out, {}, **options)
        assert not campaign.failures
        assert set(outputs(out).values()) == {v for name, v in expected.items() if name.startswith("run0")}


def fail_for(number: int) -> int:
    if number == 3:
        raise KeyError("three")
    return number + 1


def test_tasks_give_results_or_their_errors(scheduler):
    with connect(scheduler=scheduler) as client:
        results = dict(run_tasks(client, fail_for, {str(i): (i,) for i in range(5)}, "number"))
    assert {name: value for name, value in results.items() if name != "3"} == {"0": 1, "1": 2, "2": 3, "4": 5}
    assert isinstance(results["3"], KeyError)


def test_an_error_summary_survives_the_wire_in_few_bytes():
    import pickle

    summary = StreamingResolution("pt")
    true = np.linspace(20, 500, 1000, dtype=np.float32)
    summary.add(true, true * np.float32(1.01))
    content = pickle.dumps(summary)
    assert len(content) < 20_000
    assert pickle.loads(content).result() == summary.result()


@pytest.mark.parametrize(
    ("name", "folder"), [("out", True), ("out.d/", True), ("out.zarr.zip", False), ("a.parquet", False)]
)
def test_what_counts_as_a_folder(name, folder, tmp_path):
    assert is_folder(str(tmp_path / name) + ("/" if name.endswith("/") else "")) == folder
    (tmp_path / "there.d").mkdir()
    assert is_folder(tmp_path / "there.d")
