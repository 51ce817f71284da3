"""Tables, summaries and the index page say what the metrics say."""

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import nbformat
import pytest
from nbformat.v4 import new_markdown_cell, new_notebook
from PIL import Image

from utils.files import REPOSITORY
from utils.machine import MachineInfo
from utils.report import (
    COMPARISON,
    CUSTOM,
    NO_NORMALIZATION,
    PAGES,
    STANDARD,
    Outcome,
    read_metrics,
    reference_metrics,
    render_page,
    result_tables,
    write_pages,
    write_report,
)
from utils.report.answers import answer
from utils.report.captions import BEGINNINGS, CAPTIONS, caption, in_order
from utils.report.pages import write_page
from utils.study import summarize_seeds
from utils.text import spread_text

RATES = "3. Rate_distortion"

MACHINE: MachineInfo = {
    "cpu": "A <fast> CPU",
    "cores": 2,
    "threads": 2,
    "cpu_capability": "AVX2",
    "memory_bytes": 8 << 30,
    "gpu": None,
    "torch": "2.14.1",
    "python": "3.11.7",
    "platform": "Linux",
}


def model(name: str, mse: float, mse_custom: float | None = None, **changes: float) -> dict[str, Any]:
    errors = {"mean": 0.001, "median": -0.0004, "half_width_68": 0.0491, "q99": 0.234, "max": 2.5, **changes}
    rows = [
        {"quantity": quantity, "unit": "", "jets": 90, "masked": 10 if quantity == "m" else 0, **errors}
        for quantity in ("m", "pt", "phi", "eta")
    ]
    network = name != "pca"
    return {
        "model": name,
        "label": name.upper(),
        "normalization": "custom",
        "parameters": 51653,
        "epochs": 40 if network else 0,
        "training_seconds": 20.4,
        "mse": mse,
        "mse_custom": mse_custom,
        "unphysical": 0,
        "resolution": rows,
        "checkpoint": f"models/{name}.safetensors" if network else None,
    }


def runs(variant: str, *ratios: float, loss: str = "mse", max_jets: int | None = None) -> list[dict[str, Any]]:
    """Rows of a sweep, one seed each, from their MSE over that of PCA; refined, two thirds of it."""
    return [
        model(variant, ratio * 1e-3)
        | {"variant": variant, "schedule": "plain", "seed": seed, "loss": loss}
        | {"max_jets": max_jets, "training_jets": max_jets or 100_000}
        | {"pca_mse": 1e-3, "train_mse": ratio * 1e-3, "training_cpu_seconds": 100.0 + seed}
        | {"refined": model(variant, ratio / 1500) | {"steps": 3, "seconds": {"encode": 1.0, "refine": 50.0}}}
        for seed, ratio in enumerate(ratios)
    ]


def metrics_of(notebook: str, *models: dict[str, Any]) -> dict[str, Any]:
    dataset = {"dataset": "embedded", "sha256": {}, "jets": {"train": 1800, "valid": 200, "test": 100}}
    common = {"notebook": notebook, "profile": "quick", "dataset": dataset, "seed": 0, "device": "cpu"}
    return {**common, "machine": MACHINE, "models": list(models)}


@pytest.mark.skipif(
    not any("commit" in content for content in reference_metrics().values()),
    reason="the reference results are of an earlier form, without what the templates ask for: make reference",
)
@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_what_its_template_makes_of_the_reference_results(page: str) -> None:
    text = render_page(page, reference_metrics())
    assert (REPOSITORY / page).read_text(encoding="utf-8") == text, "compressionhep tables --write"


def test_a_template_takes_and_rounds_numbers_of_the_metrics(tmp_path: Path) -> None:
    metrics = {COMPARISON: {"summary": [{"variant": "tanh"}, {"variant": "elu_bn"}], "rate": 3.9722}}
    lines = [
        '{{ m("2d").rate | fixed(2) }} {{ (m("2d").rate / 1e5) | sci(3) }}',
        "{% for row in m('2d').summary %}",
        "- {{ row.variant }}",
        "{% endfor %}",
    ]
    for template in PAGES.values():
        (tmp_path / template).write_text("\n".join(lines) + "\n")
    (tmp_path / "CompressionHEP").mkdir()
    assert write_pages(metrics, tmp_path, tmp_path) == [tmp_path / page for page in PAGES]
    for page in PAGES:
        assert (tmp_path / page).read_text().splitlines() == ["3.97 3.97e-5", "- tanh", "- elu_bn"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{{ m("2d").nothing }}', "README.md.j2, line 2: .*nothing"),
        ('{{ m("9") }}', "README.md.j2, line 2: '9' is the beginning of 0 notebooks"),
        ("{{ 1 | no_such_filter }}", "README.md.j2, line 2: No filter named"),
    ],
)
def test_a_number_that_is_missing_is_an_error_with_its_line(line: str, message: str, tmp_path: Path) -> None:
    for page, template in PAGES.items():
        (tmp_path / template).write_text(f"# Title\n{line}\n" if page == "README.md" else "# Title\n")
    with pytest.raises(ValueError, match=message):
        write_pages({COMPARISON: {"rows": [{"seed": 0}]}}, tmp_path, tmp_path)
    assert not any((tmp_path / page).exists() for page in PAGES)


def test_the_normalization_comparison_is_over_seeds_and_says_what_has_no_place_in_the_common_space() -> None:
    seeds = [row | {"mse": 12.3 + row["seed"], "mse_custom": 0.02} for row in runs("tanh", 0.4, 0.5, 0.6)]
    lost = [row | {"mse": 5e-3, "mse_custom": None, "unphysical": 3 * row["seed"]} for row in runs("tanh", 0.4, 0.5)]
    pca = model("pca", 0.55) | {"unphysical": 7}
    metrics = {
        NO_NORMALIZATION: metrics_of(NO_NORMALIZATION, model("tanh", 12.3, 0.02), pca) | {"seeds": seeds},
        STANDARD: metrics_of(STANDARD, model("tanh", 5e-3), model("pca", 0.03, 0.001)) | {"seeds": lost},
    }
    (table,) = result_tables(metrics)
    assert [row[:5] for row in table.rows] == [
        ("none", "tanh", "13.3 ± 1.0", "2.00e-2", "4.91 (23.4)"),
        ("none", "PCA", "0.550", "- (7 jets)", "4.91 (23.4)"),
        ("standard", "tanh", "5.00e-3", "- (0 to 3 jets)", "4.91 (23.4)"),
        ("standard", "PCA", "3.00e-2", "1.00e-3", "4.91 (23.4)"),
    ]
    assert "over 3 seeds" in table.caption
    assert "dataset embedded, test jets 100, profile quick" in table.caption


def test_the_model_comparison_has_each_variant_by_each_schedule_and_ends_with_pca() -> None:
    rows = runs("tanh", 0.4, 0.5, 0.6) + runs("residual_gelu", 0.25, 0.26, 0.27)
    rows += [row | {"schedule": "zigzag"} for row in runs("tanh", 0.3, 0.3, 0.3)]
    rows += runs("residual_gelu", 0.9, max_jets=3000) + runs("residual_gelu", 0.8, loss="resolution")
    content = metrics_of(COMPARISON) | {"summary": summarize_seeds(rows), "rows": rows, "pca": model("pca", 1e-3)}
    content["published_models"] = [model("pub", 7e-4) | {"published_as": "custom norm., tanh"}]
    (table,) = result_tables({COMPARISON: content})
    assert [row[:6] for row in table.rows] == [
        ("tanh", "51,653", "101", "5.00 ± 1.00", "0.50 ± 0.10", "0.333 ± 0.067"),
        ("tanh, started from a zigzag", "51,653", "101", "3.00", "0.300", "0.200"),
        ("residual GELU", "51,653", "101", "2.60 ± 0.10", "0.260 ± 0.010", "0.1733 ± 0.0067"),
        ("published, custom norm., tanh", "51,653", "-", "7.00", "0.70", "-"),
        ("PCA", "51,653", "-", "10.0", "1.00", "-"),
    ]
    assert "over 3 seeds" in table.caption
    assert "after 3 steps" in table.caption


def test_no_results_fill_no_table() -> None:
    assert result_tables({}) == []
    assert result_tables({"0. 4D_data_normalization": {"profile": "quick"}}) == []


def test_markdown_columns_have_one_width() -> None:
    content = metrics_of(CUSTOM, model("pca", 5e-4, 5e-4)) | {"seeds": runs("tanh", 0.4, 0.5)}
    (table,) = result_tables({CUSTOM: content})
    lines = [line for line in table.markdown().splitlines() if line.startswith("|")]
    assert len(lines) == 4
    assert len({len(line) for line in lines}) == 1


@pytest.fixture
def outcomes(tmp_path: Path) -> list[Outcome]:
    copies = tmp_path / "notebooks"
    copies.mkdir()
    results = []
    for name, error in ((CUSTOM, None), ("a <b> & c", "cell 3 (In [2]): ValueError: <no>")):
        plots = tmp_path / "plots" / name
        plots.mkdir(parents=True)
        image = plots / "über 50% #1.png"
        Image.new("RGB", (1600, 1200), "white").save(image)
        page, executed = copies / f"{name}.html", copies / f"{name}.ipynb"
        text = f"# {name.upper()}: a title\n\nOf [a file of the repository](../datasets/README.md#jets)."
        executed.write_text(nbformat.writes(new_notebook(cells=[new_markdown_cell(text)])))
        write_page(executed, page)
        results.append(Outcome(name, 12.34, executed, page, (image,), error))
    content = plots.parent / CUSTOM / "metrics.json"
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "tanh.safetensors").touch()
    content.write_text(json.dumps(metrics_of(CUSTOM, model("tanh", 5e-4, 5e-4), model("pca", 1e-3))))
    results[0] = Outcome(CUSTOM, 12.34, results[0].executed, results[0].page, (*results[0].files, content))
    return results


def test_summary_json_holds_each_notebooks_outcome_and_metrics(tmp_path: Path, outcomes: list[Outcome]) -> None:
    write_report(tmp_path, "quick", outcomes, MACHINE)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["profile"] == "quick"
    assert summary["dataset"]["jets"]["test"] == 100
    assert summary["machine"] == MACHINE
    first, second = summary["notebooks"]
    assert first["files"] == [f"plots/{CUSTOM}/über 50% #1.png", f"plots/{CUSTOM}/metrics.json"]
    assert (first["name"], first["status"], first["seconds"]) == (CUSTOM, "ok", 12.3)
    assert first["metrics"]["models"][0]["mse"] == 5e-4
    assert (second["status"], second["error"], second["metrics"]) == ("failed", outcomes[1].error, None)
    text = (tmp_path / "summary.md").read_text()
    assert "1 of 2 notebooks ran to their end." in text


class Links(HTMLParser):
    """Collects what a page links to and shows."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in ("href", "src") and value and value[0] != "#"]


def test_index_links_every_file_and_shows_small_thumbnails(tmp_path: Path, outcomes: list[Outcome]) -> None:
    page = write_report(tmp_path, "quick", outcomes, MACHINE).read_text()
    links = Links()
    links.feed(page)
    targets = [tmp_path / unquote(link) for link in links.found]
    assert all(target.is_file() for target in targets)
    wanted = {path for o in outcomes for path in (o.page, o.executed, *o.files)} | {
        tmp_path / "models/tanh.safetensors"
    }
    assert wanted <= set(targets)
    thumbnails = [target for target in targets if "thumbnails" in target.parts]
    assert len(thumbnails) == 3
    for thumbnail in thumbnails:
        size = (1600, 1200) if "large" in thumbnail.name else (544, 408)
        with Image.open(thumbnail) as image:
            assert image.size == size
    assert page.count('width="544" height="408"') == 2


def test_the_key_result_stands_first_with_its_figure(tmp_path: Path, outcomes: list[Outcome]) -> None:
    page = write_report(tmp_path, "quick", outcomes, MACHINE).read_text()
    key = page[page.index('class="key"') : page.index("</section>")]
    assert str(answer(CUSTOM, metrics_of(CUSTOM, model("tanh", 5e-4, 5e-4), model("pca", 1e-3)))) in key
    assert "_large.png" in key
    assert page.index("</section>") < page.index("Contents")
    assert f"{CUSTOM.upper()}: a title" in page


def test_pages_lead_to_the_one_before_the_index_and_the_one_after(tmp_path: Path, outcomes: list[Outcome]) -> None:
    for _ in range(2):  # again, as a second run does
        write_report(tmp_path, "quick", outcomes, MACHINE)
    for outcome, other in zip(outcomes, reversed(outcomes), strict=True):
        assert outcome.page is not None
        links = Links()
        links.feed(outcome.page.read_text())
        assert "Of a file of the repository." in outcome.page.read_text()
        assert other.page is not None
        wanted = [other.page, tmp_path / "index.html"]
        found = [(outcome.page.parent / unquote(link)).resolve() for link in links.found]
        assert sorted(found) == sorted(2 * [path.resolve() for path in wanted])


def test_a_second_run_adds_to_the_index_of_the_first(tmp_path: Path, outcomes: list[Outcome]) -> None:
    first, second = outcomes
    write_report(tmp_path, "quick", [first], MACHINE)
    page = write_report(tmp_path, "quick", [second], MACHINE).read_text()
    names = [entry["name"] for entry in json.loads((tmp_path / "summary.json").read_text())["notebooks"]]
    assert names == [first.name, second.name]
    assert page.count("<figure>") == 3
    assert "1 of 2 notebooks ran to their end." in (tmp_path / "summary.md").read_text()
    again = replace(first, error="cell 1: broken")
    write_report(tmp_path, "quick", [again], MACHINE)
    entries = json.loads((tmp_path / "summary.json").read_text())["notebooks"]
    assert [(entry["name"], entry["status"]) for entry in entries] == [(first.name, "failed"), (second.name, "failed")]
    write_report(tmp_path, "reference", [first], MACHINE)  # another profile's results do not belong beside these
    assert len(json.loads((tmp_path / "summary.json").read_text())["notebooks"]) == 1


@pytest.mark.parametrize("notebook", reference_metrics())
def test_every_notebook_has_an_answer_in_a_sentence(notebook: str) -> None:
    sentence = answer(notebook, reference_metrics()[notebook])
    assert sentence is not None
    assert sentence.endswith(".")
    assert any(letter.isdigit() for letter in sentence)
    assert answer("anything.else", {}) is None


def test_every_figure_of_the_reference_results_has_a_caption() -> None:
    for path in (REPOSITORY / "plots").glob("*/*.png"):
        assert caption(path).endswith(".")
        assert path.stem.startswith((*CAPTIONS, *BEGINNINGS)), f"{path.name} has no caption"
    assert (
        caption(Path("learning_rate_tanh.png"))
        == "The learning-rate finder: loss against a rate that grows every step (tanh)."
    )
    assert [path.stem for path in in_order([Path("corner.png"), Path("x.png"), Path("losses.png")])] == [
        "losses",
        "corner",
        "x",
    ]


def test_index_shows_a_failed_notebooks_error_and_escapes_names(tmp_path: Path, outcomes: list[Outcome]) -> None:
    page = write_report(tmp_path, "quick", outcomes, MACHINE).read_text()
    assert "<pre>cell 3 (In [2]): ValueError: &lt;no&gt;</pre>" in page
    assert "A &lt;B&gt; &amp; C" in page
    assert "A &lt;fast&gt; CPU" in page
    assert "http" not in page


def test_results_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / CUSTOM).mkdir()
    path = tmp_path / CUSTOM / "metrics.json"
    for content in ("{", "[]", "[" * 10**5, '{"loss": NaN}'):
        path.write_text(content)
        with pytest.raises(ValueError, match=r"metrics\.json: cannot be read: "):
            read_metrics(tmp_path)
    path.write_text('{"seeds": [{"label": 3}], "models": [], "dataset": 1}')
    with pytest.raises(ValueError, match=r"metrics\.json of .*: not all are as this version writes them"):
        result_tables(read_metrics(tmp_path))


def test_networks_that_never_reach_the_large_error_are_not_compared_at_it() -> None:
    columns = ("MSE 0.001", "MSE 0.0051", "MSE 1e-05", "MSE 1e-07")
    rows = {"bounded": (1.5, 1.1, 3, 5), "tanh": (None, 2.0, None, None), "Shannon lower bound": (1.2, 0.8, 3, 4)}
    equal = {name: dict(zip(columns, row, strict=True)) for name, row in rows.items()}
    text = answer("3. Rate_distortion", {"bytes_at_equal_error": equal, "seed": 0})
    assert text is not None
    assert text.endswith("its own latents 2.00, and no code of single jets less than 0.80.")


def test_the_answer_of_the_comparison_says_which_variants_the_seeds_tell_apart():
    def said(*spreads: tuple[float, float | None]) -> str:
        entries = [
            {
                "label": name,
                "variant": name,
                "schedule": "plain",
                "max_jets": None,
                "loss": "mse",
                "mse_over_pca": spread,
            }
            for name, spread in zip("abc", spreads, strict=False)
        ]
        return str(answer("2d. Comparing_the_models", {"summary": entries}))

    assert said((0.3, 0.01), (0.4, 0.01), (0.41, 0.01)).endswith(". By their seeds, a can be told from b and c.")
    assert said((0.3, 0.04), (0.35, 0.04), (0.4, 0.04)).endswith(". By their seeds, a can be told from c.")
    assert said((0.3, 0.01), (0.4, 0.01), (0.5, 0.01)).endswith("a can be told from b and c; b from c.")
    assert said((0.3, 0.1), (0.4, 0.1)).endswith(". Their seeds tell none of them apart.")
    assert "seeds" not in said((0.3, None), (0.4, None))
    assert "seeds" not in said((0.3, 0.1))


def test_numbers_that_notebooks_give_of_the_reference_run_are_those_of_the_reference_run() -> None:
    metrics = reference_metrics()

    def prose(name: str) -> str:
        cells = nbformat.read(REPOSITORY / "CompressionHEP" / f"{name}.ipynb", as_version=4).cells
        return "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")

    shifts = {name.partition(", float32")[0]: abs(row["median"]) for name, row in metrics[RATES]["dijet_mass"].items()}
    custom = max(shifts[name] for name in ("tanh", "LeakyReLU + BN", "ELU + BN", "residual GELU", "rank-3 PCA"))
    assert (
        f"the models under the custom normalization shifted the median by at most {custom:.1%}, tanh under the "
        f"standard one by {shifts['tanh, standard norm.']:.1%}, and those without a normalization by "
        f"{shifts['tanh, no norm.']:.0%} (tanh) and {shifts['linear, no norm.']:.0%} (linear)"
    ) in prose(RATES)
    summary = metrics[COMPARISON]["summary"]
    (tanh,) = [row for row in summary if (row["label"], row["loss"], row["max_jets"]) == ("tanh", "mse", None)]
    assert f"In the reference run they gave tanh {spread_text(tanh['mse_over_pca'])} of the error" in prose(COMPARISON)
    gains = {
        schedule: [
            1 - row["refined_over_pca"][0] / row["mse_over_pca"][0]
            for row in summary
            if (row["schedule"], row["loss"], row["max_jets"]) == (schedule, "mse", None)
        ]
        for schedule in ("plain", "zigzag")
    }
    assert "a tenth to a quarter, after a start from a zigzag a fifth to three tenths" in prose(COMPARISON)
    assert 0.09 < min(gains["plain"]) < max(gains["plain"]) < 0.26
    assert 0.18 < min(gains["zigzag"]) < max(gains["zigzag"]) < 0.32
