"""The tables of the results.

The numbers come from the `metrics.json` that each notebook writes beside its plots. A further table is one more
function in `RESULT_TABLES`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from utils.files import REPOSITORY, Json, require_clone
from utils.limits import read_json
from utils.machine import machine_line
from utils.metrics import read_resolutions
from utils.study import ERROR_COLUMNS, largest_sample, matrix_text, summarize_seeds
from utils.text import Table, significant, spread_sci, spread_text

NO_NORMALIZATION = "1b. 4D_3D_200_no_norm"

STANDARD = "1c. 4D_3D_200_standard_norm"

CUSTOM = "1d. 4D_3D_200_custom_norm"

COMPARISON = "2d. Comparing_the_models"

EXECUTION_TIME = "Execution_time_calculation"

MEMORY = "Memory_allocation_trace"

Metrics = Mapping[str, Json]
"""The content of each metrics.json, by the name of its notebook."""


def read_metrics(plots: Path) -> dict[str, Json]:
    """Every plots/<notebook>/metrics.json, by notebook; ValueError names the file that cannot be read."""
    return {path.parent.name: read_json(path, dict) for path in sorted(plots.glob("*/metrics.json"))}


def normalization_comparison(metrics: Metrics) -> Table | None:
    """The same networks under each normalization over their seeds, beside PCA; None without results."""
    rows, sources = [], []
    for notebook, label in ((NO_NORMALIZATION, "none"), (STANDARD, "standard"), (CUSTOM, "custom")):
        content = metrics.get(notebook, {})
        if "seeds" not in content:
            continue
        sources.append(content)
        for entry in summarize_seeds(content["seeds"]):
            cells = [label, entry["label"], spread_sci(entry["mse"]), _common(entry["mse_custom"], entry["unphysical"])]
            rows.append((*cells, *_widths(entry)))
        pca = content["models"][-1]
        common = _common(pca["mse_custom"] and (pca["mse_custom"], None), [pca["unphysical"]])
        rows.append((label, pca["label"], spread_sci((pca["mse"], None)), common, *_single_widths(pca)))
    if not rows:
        return None
    caption = (
        "An MSE in one space says nothing of an MSE in another: compare the column of the common space, that of the "
        f"custom normalization, and the errors. {_seeds_line(sources[0]['seeds'])} A dash in the common space: so many "
        f"jets come out with m <= -1 GeV or pt <= 0, which have no place there. {WIDTHS} {provenance(sources)}"
    )
    header = ("normalization", "model", "MSE, own space", "MSE, common space")
    columns = (name for name, _ in ERROR_COLUMNS.values())
    return Table("Normalization comparison", (*header, *columns), rows, caption, labels=2)


def model_comparison(metrics: Metrics) -> Table | None:
    """The architectures under the custom normalization over their seeds, beside PCA; None without results of 2d."""
    if COMPARISON not in metrics:
        return None
    content = metrics[COMPARISON]
    pca, rows = content["pca"], []
    entries = largest_sample(content["summary"])
    order = list(dict.fromkeys(entry["variant"] for entry in entries))
    for entry in sorted(entries, key=lambda entry: order.index(entry["variant"])):
        refined = entry["refined_over_pca"]
        cells = [entry["label"], f"{entry['parameters']:,}", f"{entry['cpu_seconds'][0]:.0f}"]
        cells += [spread_text(entry["mse"], 1e4), spread_text(entry["mse_over_pca"])]
        cells += [spread_text(refined) if refined else "-"]
        rows.append((*cells, *_widths(entry)))
    for model in [*content["published_models"], pca]:
        label = model.get("published_as", model["label"])
        cells = [f"published, {label}" if "published_as" in model else label, f"{model['parameters']:,}", "-"]
        cells += [significant(1e4 * model["mse"], 3), f"{model['mse'] / pca['mse']:.2f}", "-"]
        rows.append((*cells, *_single_widths(model)))
    steps = next((row["refined"]["steps"] for row in content["rows"] if "refined" in row), 0)
    caption = (
        f"All under the custom normalization, in whose space the MSE is. {_seeds_line(content['rows'])} "
        f"CPU: of the training. Refined: after {steps} steps on the latents of each jet. "
        "A dash: the published models were not trained here and are taken as they are; PCA needs no training, and no "
        f"step makes its latents better. {WIDTHS} {provenance([content])}"
    )
    columns = tuple(name for name, _ in ERROR_COLUMNS.values())
    header = ("model", "parameters", "CPU [s]", "MSE [1e-4]", "MSE / PCA", "refined / PCA", *columns)
    return Table("Model comparison", header, rows, caption)


WIDTHS = (
    "Errors on the test jets: half of the central 68%, and in brackets the 99% quantile of the absolute error; pt and "
    "m relative, massless jets left out of m."
)


def _seeds_line(rows: Sequence[Json]) -> str:
    seeds = len({row["seed"] for row in rows})
    return f"Mean ± standard deviation over {seeds} seeds." if seeds > 1 else "From one seed."


def _widths(entry: Mapping[str, Any]) -> tuple[str, ...]:
    cells = []
    for quantity, (_, factor) in ERROR_COLUMNS.items():
        width, tail = (entry["resolution"][quantity][key] for key in ("half_width_68", "q99"))
        cells.append(f"{spread_text(width, factor)} ({significant(tail[0] * factor, 3)})")
    return tuple(cells)


def _single_widths(model: Json) -> tuple[str, ...]:
    found = read_resolutions(model["resolution"])
    return tuple(
        f"{significant(factor * found[quantity].half_width_68, 3)} ({significant(factor * found[quantity].q99, 3)})"
        for quantity, (_, factor) in ERROR_COLUMNS.items()
    )


def _common(mse: Sequence[float | None] | None, unphysical: Sequence[int]) -> str:
    """An error in the common space, or a dash and how many jets have no place there."""
    if mse is not None:
        return spread_sci(mse)
    fewest, most = min(unphysical), max(unphysical)
    return f"- ({most:,} jets)" if fewest == most else f"- ({fewest:,} to {most:,} jets)"


def execution(metrics: Metrics) -> Table | None:
    """Time and memory of the variants on each device; None without the results of both notebooks."""
    if EXECUTION_TIME not in metrics or MEMORY not in metrics:
        return None
    times, memory = metrics[EXECUTION_TIME], metrics[MEMORY]
    stages = {(r["device"], r["model"], r["stage"]): r for r in times["stages"] if r["way"] == "project"}
    bounded = {row["model"]: row for row in memory["bounded"]}
    rows = []
    for row in times["throughput"]:
        device, name = row["device"], row["model"]
        cold = [1e3 * stages[device, name, stage]["median_s"] for stage in ("initialization", "load", "preparation")]
        warm = [1e3 * stages[device, name, stage]["median_s"] for stage in ("encoding", "decoding")]
        peak = max(bounded[name]["encoding"], bounded[name]["decoding"]) / 1e6
        rate = spread_text((row["jets_per_s"], row["spread"] * row["jets_per_s"]), 1e-6)
        cells = [row["label"], device, *(f"{value:.1f}" for value in (*cold, *warm)), rate]
        cells += [f"{row['ratio']:.1f}", f"{row['efficiency']:.0%}", f"{peak:.0f}" if device == "cpu" else "-"]
        rows.append(tuple(cells))
    milliseconds = (f"{stage} [ms]" for stage in ("init", "load", "prepare", "encode", "decode"))
    rates = ("million jets/s", "× original", "of matrix rate", "memory [MB]")
    trained = {row["model"] for row in times["throughput"]} - {
        name for name, source in times["weights"].items() if source.startswith("untrained")
    }
    machine = times["machine"]
    first = times["throughput"][0]
    imports = np.median([row["median_s"] for (_, _, stage), row in stages.items() if stage == "import"])
    caption = (
        f"Medians; init, load and prepare in fresh processes, whose imports take {imports:.1f} s; encode and decode of "
        f"the {times['dataset']['jets']['test']:,} test jets. Jets per second through encoder and decoder, in calls of "
        f"{first['jets']:,} jets, with half of their 16-84% range, and the ratio to the original's way (eager, "
        f"gradients recorded, one batch of {first['original_jets']:,} jets) in the same run; the matrix rate is that "
        f"of the fastest float32 product ({matrix_text(times['throughput'])}); peak memory above input and "
        "output, for "
        f"{memory['bounded'][0]['jets']:,} jets. {machine_line(machine)}."
        + ("" if trained else " Weights are random, which takes the same time.")
        + f" {provenance([times, memory])}"
    )
    return Table("Execution time and memory", ("model", "device", *milliseconds, *rates), rows, caption, labels=2)


RESULT_TABLES: tuple[Callable[[Metrics], Table | None], ...] = (normalization_comparison, model_comparison, execution)
"""What makes each table of plots/README.md, in their order."""


def result_tables(metrics: Metrics) -> list[Table]:
    """The tables that these results fill; ValueError where they are not as this version writes them."""
    try:
        return [table for make in RESULT_TABLES if (table := make(metrics)) is not None]
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        names = ", ".join(metrics)
        raise ValueError(f"metrics.json of {names}: not all are as this version writes them ({error!r})") from error


def provenance(sources: Iterable[Json]) -> str:
    """One sentence on the data, the profile and the device behind some metrics; all values where they differ."""
    facts = []
    for source in sources:
        dataset = source["dataset"]
        facts.append(
            {
                "dataset": dataset["dataset"],
                "test jets": f"{dataset['jets']['test']:,}",
                "profile": source["profile"],
                "seed": str(source["seed"]),
                "device": source["device"],
            }
        )
    parts = [f"{key} {' / '.join(dict.fromkeys(fact[key] for fact in facts))}" for key in facts[0]]
    return f"From {', '.join(parts)}."


def tables_text(metrics: Metrics) -> str:
    """The tables as Markdown."""
    return "\n\n".join(table.markdown() for table in result_tables(metrics))


def reference_metrics() -> dict[str, Json]:
    """The metrics of the reference results that the repository holds; CloneError where this is no clone of it."""
    require_clone(REPOSITORY / "plots", "the reference results")
    return read_metrics(REPOSITORY / "plots")
