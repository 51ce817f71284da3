"""Integers of jets by networks: they come back from the same bytes everywhere, whatever the networks think."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tests.jet_network_helpers import event_table, random_networks
from utils.codec import jet_networks
from utils.codec.bounded import BoundedScheme
from utils.codec.bounds import Bounds, ErrorBound
from utils.codec.incoming import jet_columns
from utils.codec.jet_networks import LONGEST, JetNetworks
from utils.jets import event_counts
from utils.networks import IntegerNetwork

LIMIT = 2**30


def coded(networks: JetNetworks, integers: dict, counts: np.ndarray) -> dict[str, np.ndarray]:
    return {name: values for name, (values, _) in networks.encode(integers, counts).items()}


def random_integers(rng: np.random.Generator, jets: int) -> dict[str, np.ndarray]:
    """Integers as grids give them, and some as far out as they go."""
    found = {
        "pt": 545 + rng.integers(0, 200, jets),
        "eta": rng.integers(-480, 480, jets),
        "phi": rng.integers(0, 629, jets),
        "m": rng.integers(0, 300, jets),
    }
    for name in ("pt", "eta", "m"):
        found[name][rng.random(jets) < 0.05] = rng.choice([0, -LIMIT, LIMIT, 10_000, -3])
    return {name: values.astype(np.int32) for name, values in found.items()}


@given(seed=st.integers(0, 2**32), events=st.integers(0, 60), most=st.sampled_from([1, 3, 70]))
@settings(max_examples=20, deadline=None)
def test_integers_come_back_whatever_networks_think_of_them(seed: int, events: int, most: int) -> None:
    rng = np.random.default_rng(seed)
    networks, counts = random_networks(seed), rng.integers(0, most + 1, events)
    integers = random_integers(rng, int(counts.sum()))
    found = networks.decode(coded(networks, integers, counts), counts)
    assert all((found[name] == values).all() for name, values in integers.items())


def test_jets_far_behind_in_an_event_are_coded_as_of_another_in_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    networks, counts = random_networks(1), np.array([3 * LONGEST + 1, 0, 1])
    integers = random_integers(np.random.default_rng(0), int(counts.sum()))
    calls: list[int] = []
    put = jet_networks.put_integers

    def counted(*given: Any) -> np.ndarray:
        calls.append(1)
        return put(*given)

    monkeypatch.setattr(jet_networks, "put_integers", counted)
    found = networks.decode(coded(networks, integers, counts), counts)
    assert (found["pt"] == integers["pt"]).all()
    assert len(calls) == 4 * LONGEST


@pytest.mark.parametrize("absolute", [1e-5, 0.2])
def test_bounds_may_be_fine_or_coarse(absolute: float) -> None:
    bound = ErrorBound(0.0, absolute)
    networks = random_networks(2, Bounds(m=bound, pt=ErrorBound(absolute), phi=bound, eta=bound))
    columns = jet_columns(event_table(0, 40))
    counts = event_counts(event_table(0, 40))[1]
    integers, _, _ = networks.plain.quantize(columns)
    found = networks.decode(coded(networks, integers, counts), counts)
    assert all((found[name] == values).all() for name, values in integers.items())


def digest_of_bytes() -> str:
    """A digest of all that networks make of some events."""
    table = event_table(7, 300)
    columns, counts = jet_columns(table), event_counts(table)[1]
    networks = random_networks(7, symbols=40, hidden=16)
    integers, _, _ = networks.plain.quantize(columns)
    arrays = coded(networks, integers, counts)
    return hashlib.sha256(b"".join(arrays[name].tobytes() for name in sorted(arrays))).hexdigest()


def reference_logits(network: IntegerNetwork, inputs: np.ndarray) -> np.ndarray:
    """The same by int64, summed backwards."""
    inputs = inputs.astype(np.int64)[::-1]
    hidden = (network.hidden[:, ::-1].astype(np.int64) @ inputs + network.hidden_bias[:, None]) >> 7
    hidden = np.clip(hidden, 0, 1023)[::-1]
    found = (network.output[:, ::-1].astype(np.int64) @ hidden + network.output_bias[:, None]) >> 3
    return found.astype(np.float32)


def test_bytes_are_those_of_int64_summed_in_another_order(monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest_of_bytes()
    monkeypatch.setattr(IntegerNetwork, "logits", reference_logits)
    assert digest_of_bytes() == before
    monkeypatch.setattr(IntegerNetwork, "logits", lambda network, inputs: reference_logits(network, -inputs))
    assert digest_of_bytes() != before


def test_bytes_are_the_same_in_fresh_processes_of_other_threads_and_kernels() -> None:
    root = Path(__file__).parents[1]
    program = f"import sys; sys.path.insert(0, {str(root)!r}); "
    program += "from tests.test_codec_jet_networks import digest_of_bytes; print(digest_of_bytes())"
    found = [digest_of_bytes()]
    for threads, kernels in (
        ("1", {"ATEN_CPU_CAPABILITY": "default", "OPENBLAS_CORETYPE": "Prescott"}),
        ("2", {"ATEN_CPU_CAPABILITY": "default"}),
    ):
        counts = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), threads)
        run = [sys.executable, "-c", program]
        done = subprocess.run(run, env=os.environ | counts | kernels, capture_output=True, text=True, check=True)
        found.append(done.stdout.strip())
    assert found == 3 * found[:1]


def test_damaged_arrays_are_an_error_or_other_integers_and_never_a_crash() -> None:
    networks, rng = random_networks(3), np.random.default_rng(3)
    counts = rng.integers(0, 9, 40)
    integers = random_integers(rng, int(counts.sum()))
    whole = coded(networks, integers, counts)
    for _ in range(30):
        arrays = {name: values.copy() for name, values in whole.items()}
        name = str(rng.choice([name for name in arrays if len(arrays[name])]))
        arrays[name][rng.integers(len(arrays[name]))] ^= int(rng.integers(1, 2**16))
        try:
            found = networks.decode(arrays, counts)
        except ValueError:
            continue
        assert any((found[name] != integers[name]).any() for name in integers)
    for wrong in (
        {"pt": whole["pt"][:-1]},
        {"pt": np.append(whole["pt"], np.uint32(0))},
        {"eta": np.append(whole["eta"], np.uint32(9))},
        {"states": whole["states"][:0]},
        {"m_escapes": whole["m_escapes"][:-1]},
        {"m_escapes": whole["m_escapes"] * 2**40},
    ):
        with pytest.raises(ValueError, match=r"."):
            networks.decode(whole | wrong, counts)


def test_networks_are_described_and_named_by_what_they_are() -> None:
    networks = random_networks(4)
    again = JetNetworks.from_dict(networks.to_dict(), networks.arrays)
    assert again.sha256 == networks.sha256 != random_networks(5).sha256
    described = networks.to_dict()
    spoiled = {name: values.copy() for name, values in networks.arrays.items()}
    spoiled["output"][3] += 1
    for about, arrays, why in (
        (described, spoiled, "do not fit the checksum"),
        (described, {}, "its arrays are"),
        (described, networks.arrays | {"output": networks.arrays["output"][:-1]}, "cut short"),
        (described | {"mass_slope_sixteenths": 12}, networks.arrays, "do not fit the checksum"),
        (described | {"networks": described["networks"] | {"version": 2}}, networks.arrays, "version 2"),
        (described | {"networks": described["networks"] | {"floor": 2**40}}, networks.arrays, "from pt"),
        (described | BoundedScheme.of(Bounds(phi=ErrorBound())).to_dict(), networks.arrays, "no grid"),
    ):
        with pytest.raises(ValueError, match=why):
            JetNetworks.from_dict(about, arrays)
