"""Models on jets that they were not trained on: the samples, the numbers and the figures of notebook 1a."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from utils.jets import (
    FEATURES,
    FOLDER_VARIABLE,
    JetError,
    Sample,
    feature_array,
    load_contrasting_samples,
    make_table,
    number_of_events,
    samples as datasets,
)
from utils.metrics import describe_transfer, evaluate_transfer, transfer_frame
from utils.networks import StandardNormalization, pca_checkpoint
from utils.plotting import plot_samples, plot_transfer


def jets(events, scale=1.0, seed=0):
    """Two jets an event, the second of low pt and forward."""
    random = np.random.default_rng(seed)
    pt = np.ravel([random.uniform(60, 90, events), random.uniform(20, 30, events)], order="F") * scale
    eta = np.ravel([random.uniform(-1, 1, events), random.uniform(2.5, 4, events)], order="F")
    phi = random.uniform(-3, 3, 2 * events)
    return make_table(pt * random.uniform(0.1, 0.2, 2 * events), pt, phi, eta, np.repeat(np.arange(events), 2))


def sample(scale=1.0):
    train, valid, test = (jets(40, scale, seed) for seed in range(3))
    return Sample(train, valid, test, source={"dataset": "toy", "jets": {"train": 80, "valid": 80, "test": 80}})


@pytest.fixture
def transfer():
    samples = {"soft": sample(), "hard": sample(3.0)}
    models = {
        name: pca_checkpoint(StandardNormalization().fit(feature_array(one.train)), one)
        for name, one in samples.items()
    }
    return evaluate_transfer(models, samples)


def test_a_selection_keeps_jets_by_pt_and_eta_and_says_so():
    chosen = sample().select(pt_min=40, eta_max=2.1)
    for part in (chosen.train, chosen.valid, chosen.test):
        assert part["pt"].min() > 40
        assert part["eta"].abs().max() < 2.1
        assert (len(part), number_of_events(part)) == (40, 40)
    assert chosen.source["selection"] == "pt >= 40 GeV, |eta| <= 2.1"
    assert chosen.source["jets"] == {"train": 40, "valid": 40, "test": 40}


def test_events_that_lose_all_their_jets_to_a_selection_are_empty_events():
    chosen = sample().select(pt_min=75, eta_max=2.1)
    assert 0 < len(chosen.test) < 40
    assert number_of_events(chosen.test) == 40


def test_a_selection_that_keeps_nothing_is_an_error():
    with pytest.raises(JetError, match=r"none of the 80 train jets has pt >= 500 GeV and \|eta\| <= 1$"):
        sample().select(pt_min=500, eta_max=1)


def test_without_the_published_jets_there_are_a_sample_and_a_selection_of_it(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    path = tmp_path / "mine.parquet"
    jets(100).to_parquet(path)
    samples = load_contrasting_samples(path)
    assert list(samples) == ["mine", "central, high pt"]
    assert 2 * len(samples["central, high pt"].train) == len(samples["mine"].train)


def test_the_published_jets_join_where_they_are_at_hand(tmp_path, monkeypatch):
    path = tmp_path / "mine.parquet"
    jets(100).to_parquet(path)
    monkeypatch.setattr(datasets, "has_published", lambda name: True)
    whole = datasets.load_sample
    monkeypatch.setattr(datasets, "load_sample", lambda name, **options: whole(path, **options))
    assert list(load_contrasting_samples("mine")) == ["mine", "published", "central, high pt"]
    assert list(load_contrasting_samples("published")) == ["published", "embedded", "central, high pt"]


def test_each_model_is_tested_on_each_sample(transfer):
    frame = transfer_frame(transfer)
    assert list(frame.index) == [("soft", "soft"), ("soft", "hard"), ("hard", "soft"), ("hard", "hard")]
    assert list(frame.columns) == ["MSE", *FEATURES]
    assert frame.loc[("soft", "hard"), "pt"] == next(
        entry["half_width_68"]
        for row in transfer
        if (row["tested_on"], row["trained_on"]) == ("soft", "hard")
        for entry in row["resolution"]
        if entry["quantity"] == "pt"
    )


def test_the_description_compares_the_foreign_model_with_the_own_one(transfer):
    mse = transfer_frame(transfer)["MSE"]
    first, second = describe_transfer(transfer).splitlines()
    ratio = mse["soft", "hard"] / mse["soft", "soft"]
    assert first.startswith(f"- Tested on **soft**: the model trained on hard has {ratio:#.3g} times the MSE")
    assert second.startswith("- Tested on **hard**: the model trained on soft has")


def test_samples_are_drawn_as_shares_with_labelled_axes():
    figure, axes = plt.subplots(2, 2)
    drawn = plot_samples(axes, {"soft": feature_array(jets(40)), "hard": feature_array(jets(500, 3.0))})
    assert [len(patches) for patches in drawn] == [2, 2, 2, 2]
    for patches in drawn:
        shares = [np.sum(patch.get_data()[0]) for patch in patches]  # in percent, without what lies beyond the axis
        assert shares == pytest.approx([100, 100], abs=0.5)
    assert axes.flat[1].get_xlabel() == r"$p_{\mathrm{T}}$ [GeV]"
    assert [text.get_text() for text in axes.flat[1].get_legend().get_texts()] == [
        "stat. uncertainty",
        "soft: 80 jets",
        "hard: 1,000 jets",
    ]
    plt.close(figure)


def test_a_transfer_is_drawn_with_its_numbers_a_row_for_each_training_sample():
    index = pd.MultiIndex.from_product([["a", "b"], ["a", "b"]])
    figure, ax = plt.subplots()
    plot_transfer(ax, pd.Series([1e-4, 2e-4, 3e-4, 4e-4], index))
    assert [text.get_text() for text in ax.texts] == ["1.00e-4", "3.00e-4", "2.00e-4", "4.00e-4"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("tested on", "trained on")
    low, high = ax.collections[0].get_clim()
    assert high / low == pytest.approx(10), "colours must not dramatize small differences"
    plt.close(figure)


def test_a_foreign_model_is_compared_on_the_jets_that_both_were_tested_on():
    mse = {("a", "a"): 1.0, ("a", "b"): 6.0, ("b", "a"): 40.0, ("b", "b"): 8.0}
    rows = [{"tested_on": tested, "trained_on": trained, "mse": value} for (tested, trained), value in mse.items()]
    on_a, on_b = describe_transfer(rows).splitlines()
    assert (
        "Tested on **a**: the model trained on b has 6.00 times the MSE of the one trained on a (6 against 1)" in on_a
    )
    assert (
        "Tested on **b**: the model trained on a has 5.00 times the MSE of the one trained on b (40 against 8)" in on_b
    )
