"""Samples are split by event, whole, and say where they come from."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st

from utils.jets import (
    JetError,
    PublishedFile,
    PublishedFilesError,
    event_counts,
    first_events,
    git_blob_id,
    load_sample,
    make_table,
    published,
    samples as datasets,
    split_jets,
)

FRACTIONS = (0.5, 0.3, 0.2)


def jets(counts, first=0):
    """A jet table with so many jets in successive events; zero makes an empty event."""
    counts = np.asarray(counts)
    numbers = first + np.arange(len(counts))
    event = np.repeat(numbers, counts)
    pt = np.arange(len(event)) + 20.0
    return make_table(pt / 10, pt, pt * 0, pt * 0, event, numbers[counts == 0])


def events_of(table):
    return event_counts(table)[0].tolist()


@given(st.lists(st.integers(0, 4), min_size=12, max_size=60), st.integers(0, 5))
def test_a_split_shares_out_every_event_once_and_whole(counts, seed):
    table = jets([1, 2, 3] * 4 + counts)
    try:
        parts = split_jets(table, FRACTIONS, seed)
    except JetError:
        return
    assert sorted(number for part in parts for number in events_of(part)) == events_of(table)
    together = pd.concat(parts).sort_values("pt", ignore_index=True)
    pd.testing.assert_frame_equal(together, table, check_flags=False)
    for part in parts:
        assert part["pt"].is_monotonic_increasing
        assert list(part.index) == list(range(len(part)))


def test_a_split_gives_the_fractions_of_the_events_and_depends_on_the_seed_alone():
    table = jets([2] * 1000)
    parts = split_jets(table, FRACTIONS, seed=3)
    assert [len(part) for part in parts] == [1000, 600, 400]
    again, other = split_jets(table, FRACTIONS, seed=3), split_jets(table, FRACTIONS, seed=4)
    assert parts[2].equals(again[2])
    assert not parts[2].equals(other[2])


def test_events_without_jets_are_shared_out_too():
    table = jets([1, 0] * 500)
    first, second = split_jets(table, (0.5, 0.5))
    assert len(first.attrs["empty_events"]) == pytest.approx(250, abs=50)
    assert not set(first.attrs["empty_events"]) & set(second.attrs["empty_events"])


def test_too_few_events_to_split_are_an_error():
    with pytest.raises(JetError, match="2 events with jets are too few"):
        split_jets(jets([5, 5]), FRACTIONS)


@pytest.mark.parametrize(
    ("max_jets", "kept"), [(100, [2, 0, 3, 4, 0]), (9, [2, 0, 3, 4, 0]), (8, [2, 0, 3]), (5, [2, 0, 3]), (1, [2])]
)
def test_max_jets_cuts_between_events(max_jets, kept):
    table = first_events(jets([2, 0, 3, 4, 0]), max_jets)
    assert event_counts(table)[1].tolist() == kept


@pytest.fixture
def jet_file(tmp_path):
    path = tmp_path / "jets.parquet"
    jets([1, 2, 3] * 200).to_parquet(path)
    return path


def test_a_file_is_split_into_disjoint_sets_and_its_test_jets_do_not_depend_on_the_seed(jet_file):
    samples = [load_sample(jet_file, seed=seed) for seed in (0, 1)]
    for sample in samples:
        sets = [set(part["event"]) for part in (sample.train, sample.valid, sample.test)]
        assert [len(events) for events in sets] == [432, 48, 120]
        assert len(set.union(*sets)) == 600
    assert samples[0].test.equals(samples[1].test)
    assert not samples[0].valid.equals(samples[1].valid)


def test_a_sample_says_where_it_comes_from(jet_file):
    sample = load_sample(jet_file, max_jets=100, seed=7)
    source = json.loads(json.dumps(sample.source))
    assert source["dataset"] == str(jet_file)
    assert len(source["sha256"]["jets.parquet"]) == 64
    assert "80% of its events for training and 20% for the test" in source["split"]
    assert source["jets"] == {"train": len(sample.train), "valid": len(sample.valid), "test": len(sample.test)}
    assert source["split_seed"] == 7
    assert len(sample.train) + len(sample.valid) <= 100
    assert len(sample.test) <= 25


def test_the_embedded_sample_keeps_its_own_test_events(jet_file, tmp_path, monkeypatch):
    jets([1, 2] * 30, first=1000).to_parquet(tmp_path / "test.parquet")
    monkeypatch.setattr(datasets, "EMBEDDED_FILES", (jet_file, tmp_path / "test.parquet"))
    sample = load_sample()
    assert sample.test["event"].min() == 1000
    assert len(sample.test) == 90
    assert max(sample.train["event"].max(), sample.valid["event"].max()) < 1000


@pytest.fixture
def published_samples(tmp_path, monkeypatch):
    """A folder of published samples, made up: returns a function that adds one, in MeV, as the study's are."""
    folder = tmp_path / "published"
    folder.mkdir()
    monkeypatch.setenv("COMPRESSIONHEP_PUBLISHED", str(folder))

    def add(name, number):
        pt = np.linspace(20_000, 50_000, number)
        pd.DataFrame({"m": pt / 10, "pt": pt, "phi": pt * 0, "eta": pt * 0 + 1}).to_pickle(folder / name)
        monkeypatch.setitem(published.FILES, name, PublishedFile(f"datasets/{name}", git_blob_id(folder / name)))

    return add


def test_the_published_test_sample_alone_is_split_and_the_source_says_so(published_samples):
    published_samples(published.TEST_SAMPLE, 100)
    sample = load_sample("published")
    assert [len(part) for part in (sample.train, sample.valid, sample.test)] == [72, 8, 20]
    assert sample.source["split"].startswith("the published test sample alone, 80% of its events")
    everything = pd.concat([sample.train, sample.valid, sample.test])
    assert everything["event"].is_unique
    assert everything["pt"].min() == 20
    assert everything["m"].max() == 5


def test_the_published_split_is_used_where_both_samples_are_at_hand(published_samples):
    published_samples(published.TEST_SAMPLE, 50)
    published_samples(published.TRAIN_SAMPLE, 200)
    sample = load_sample("published")
    assert [len(part) for part in (sample.train, sample.valid, sample.test)] == [180, 20, 50]
    assert set(sample.source["sha256"]) == {published.TEST_SAMPLE, published.TRAIN_SAMPLE}


def test_a_published_sample_that_is_not_there_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPRESSIONHEP_PUBLISHED", str(tmp_path))
    with pytest.raises(PublishedFilesError, match=r"is not in .*compressionhep fetch.*COMPRESSIONHEP_PUBLISHED"):
        load_sample("published")


def test_a_published_sample_with_another_content_is_refused(published_samples, tmp_path):
    published_samples(published.TEST_SAMPLE, 100)
    path = tmp_path / "published" / published.TEST_SAMPLE
    path.write_text("<html>404</html>")
    with pytest.raises(PublishedFilesError, match=r"not the published all_jets_test.* an HTML or XML page .*blob id"):
        load_sample("published")


def test_a_fourth_as_many_test_jets_are_kept_as_training_jets(jet_file):
    sample = load_sample(jet_file, max_jets=400)
    assert 395 <= len(sample.train) + len(sample.valid) <= 400
    assert 95 <= len(sample.test) <= 100


def test_fewer_training_jets_are_the_first_of_both_parts_and_the_test_jets_stay(jet_file):
    sample = load_sample(jet_file, valid_fraction=0.25)
    half = (len(sample.train) + len(sample.valid)) // 2
    less = sample.with_training_jets(half)
    assert len(less.train) == pytest.approx(len(sample.train) / 2, abs=3)
    assert len(less.valid) == pytest.approx(len(sample.valid) / 2, abs=3)
    assert len(less.train) + len(less.valid) <= half + 1
    assert less.train.equals(sample.train.head(len(less.train)))
    assert less.test is sample.test
    assert less.source["jets"] == {"train": len(less.train), "valid": len(less.valid), "test": len(sample.test)}


def test_the_range_of_the_training_jets_is_told(jet_file):
    sample = load_sample(jet_file)
    pt = sample.train["pt"]
    assert sample.training_data["range"]["pt"] == [float(pt.min()), float(pt.max())]
    assert sample.training_data["range"]["phi"] == [0, 0]
