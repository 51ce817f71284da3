"""Streams that know of the event: what the codec takes, and that no transform loses a jet."""

import numpy as np
import pytest

from utils import codec
from utils.jets import Sample, load_sample
from utils.study import TRANSFORMS, GriddedJets, bounded_bytes


@pytest.fixture(scope="module")
def sample() -> Sample:
    return load_sample(max_jets=4000)


def test_the_first_step_is_what_the_streams_of_the_codec_take(sample: Sample, tmp_path: object) -> None:
    report = codec.compress(sample.train, f"{tmp_path}/jets.zarr.zip")
    streams = report["stream_bytes"]
    wanted = sum(streams[name] for name in ("m", "pt", "pt_drop", "phi", "eta")) / report["jets"]
    found = bounded_bytes(sample.train, sample.train)
    assert list(found) == ["pt", "eta", "phi", "m"]
    assert sum(found.values()) == pytest.approx(wanted, rel=0.01)


def test_each_transform_is_of_one_quantity_and_a_stream_holds_all_jets(sample: Sample) -> None:
    fit, jets = (GriddedJets.of(table) for table in (sample.train, sample.test))
    found = {name: transform(jets, fit) for name, transform in TRANSFORMS.items()}
    assert [list(columns) for columns in found.values()] == [["phi"], ["pt"], ["m"]]
    plain = bounded_bytes(sample.test, sample.train)
    for columns in found.values():
        for name, size in columns.items():
            assert 0.8 * plain[name] < size < 1.03 * plain[name]


def test_the_event_tells_phi_where_there_is_one(sample: Sample) -> None:
    table = sample.train.assign(phi=np.float32(0.25))
    table.loc[table.index[1::2], "phi"] = np.float32(0.25 - np.pi)
    table["event"] = np.arange(len(table)) // 2
    table["pt"] = np.where(np.arange(len(table)) % 2, 50, 60).astype(np.float32)
    jets, alone = GriddedJets.of(table), GriddedJets.of(table, events=False)
    transform = TRANSFORMS["phi from the recoil"]
    assert transform(jets, jets)["phi"] < transform(alone, alone)["phi"]
