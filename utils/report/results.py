"""The tables of the results.

The numbers come from the `metrics.json` that each notebook writes beside its plots. A further table is one more
function in `RESULT_TABLES`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from utils.files import REPOSITORY, Json, atomic_path, require_clone
from utils.limits import read_json
from utils.machine import machine_line
from utils.metrics import read_resolutions
from utils.study import largest_sample
from utils.text import Table, decimals, spread_text

BEGIN, END = "<!-- tables:begin -->", "<!-- tables:end -->"

NO_NORMALIZATION = "1b. 4D_3D_200_no_norm"

STANDARD = "1c. 4D_3D_200_standard_norm"

CUSTOM = "1d. 4D_3D_200_custom_norm"

LEAKY_RELU = "2a. 4D_3D_200_ReLU_BN_custom_norm"

ELU = "2b. 4D_3D_200_ELU_BN_custom_norm"

RESIDUAL_GELU = "2c. 4D_3D_residual_GELU_custom_norm"

COMPARISON = "2d. Comparing_the_models"

EXECUTION_TIME = "Execution_time_calculation"

MEMORY = "Memory_allocation_trace"

ERROR_COLUMNS = {"pt": ("pt [%]", 100), "m": ("m [%]", 100), "phi": ("phi [mrad]", 1000), "eta": ("eta [0.001]", 1000)}
"""Header and factor of each quantity's residuals in a table."""

Metrics = Mapping[str, Json]
"""The content of each metrics.json, by the name of its notebook."""


def read_metrics(plots: Path) -> dict[str, Json]:
    """Every plots/<notebook>/metrics.json, by notebook; ValueError names the file that cannot be read."""
    return {path.parent.name: read_json(path, dict) for path in sorted(plots.glob("*/metrics.json"))}


def normalization_comparison(metrics: Metrics) -> Table | None:
    """The same networks under each normalization, beside PCA; None without results."""
    rows = [
        (label, model)
        for notebook, label in ((NO_NORMALIZATION, "none"), (STANDARD, "standard"), (CUSTOM, "custom"))
        for model in metrics.get(notebook, {}).get("models", [])
    ]
    return _comparison(
        "Normalization comparison",
        ("normalization", "model", "MSE, own space", "MSE, custom space"),
        [(label, m["label"], _mse(m["mse"]), _mse(m["mse_custom"]), *_errors(m)) for label, m in rows],
        "An MSE in one space says nothing of an MSE in another: compare the custom-space column and the errors.",
        [metrics[name] for name in (NO_NORMALIZATION, STANDARD, CUSTOM) if name in metrics],
        labels=2,
    )


def model_comparison(metrics: Metrics) -> Table | None:
    """The architectures under the custom normalization, beside PCA; None without results.

    From several seeds, where notebook 2d has run, otherwise from the notebooks of the single models.
    """
    if COMPARISON in metrics:
        return _comparison_of_seeds(metrics[COMPARISON])
    wanted = (
        (CUSTOM, "tanh"),
        (LEAKY_RELU, "leaky_relu_bn"),
        (ELU, "elu_bn"),
        (RESIDUAL_GELU, "residual_gelu"),
        (CUSTOM, "pca"),
    )
    models = [
        model
        for notebook, name in wanted
        for model in metrics.get(notebook, {}).get("models", [])
        if model["model"] == name
    ]
    return _comparison(
        "Model comparison",
        ("model", "parameters", "epochs", "MSE", "MSE / PCA"),
        [(m["label"], *_size(m), _mse(m["mse"]), _ratio(m, models), *_errors(m)) for m in models],
        "All under the custom normalization, in whose space the MSE is.",
        [metrics[name] for name in (CUSTOM, LEAKY_RELU, ELU, RESIDUAL_GELU) if name in metrics],
    )


def _comparison_of_seeds(content: Json) -> Table:
    pca, rows = content["pca"], []
    for entry in largest_sample(content["summary"]):
        refined = entry["refined_over_pca"]
        cells = [entry["label"], f"{entry['parameters']:,}", f"{entry['cpu_seconds'][0]:.0f}"]
        cells += [spread_text(entry["mse"], 1e4), spread_text(entry["mse_over_pca"])]
        cells += [spread_text(refined) if refined else "-"]
        for quantity, (_, factor) in ERROR_COLUMNS.items():
            width, tail = (entry["resolution"][quantity][key] for key in ("half_width_68", "q99"))
            cells.append(f"{spread_text(width, factor)} ({tail[0] * factor:.3g})")
        rows.append(tuple(cells))
    for model in [*content["published_models"], pca]:
        label = model.get("published_as", model["label"])
        cells = [f"published, {label}" if "published_as" in model else label, f"{model['parameters']:,}", "-"]
        cells += [f"{1e4 * model['mse']:.3g}", f"{model['mse'] / pca['mse']:.2f}", "-"]
        found = read_resolutions(model["resolution"])
        for quantity, (_, factor) in ERROR_COLUMNS.items():
            cells.append(f"{factor * found[quantity].half_width_68:.3g} ({factor * found[quantity].q99:.3g})")
        rows.append(tuple(cells))
    steps = next((row["refined"]["steps"] for row in content["rows"] if "refined" in row), 0)
    columns = tuple(name for name, _ in ERROR_COLUMNS.values())
    seeds = len(largest_sample(content["summary"])[0]["seeds"])
    caption = (
        f"All under the custom normalization, in whose space the MSE is: mean ± standard deviation over {seeds} seeds. "
        "Errors on the test jets: half of the central 68%, and in brackets the 99% quantile of the absolute error; pt "
        f"and m relative, massless jets left out of m. Refined: after {steps} steps on the latents of each jet. "
        f"{provenance([content])}"
    )
    header = ("model", "parameters", "CPU [s]", "MSE [1e-4]", "MSE / PCA", "refined / PCA", *columns)
    return Table("Model comparison", header, rows, caption)


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
        cells = [row["label"], device, *(f"{value:.1f}" for value in (*cold, *warm)), f"{row['jets_per_s'] / 1e6:.2f}"]
        cells += [f"{row['ratio']:.1f}", f"{row['efficiency']:.0%}", f"{peak:.0f}" if device == "cpu" else "-"]
        rows.append(tuple(cells))
    milliseconds = (f"{stage} [ms]" for stage in ("init", "load", "prepare", "encode", "decode"))
    rates = ("million jets/s", "× original", "of matrix rate", "memory [MB]")
    trained = {row["model"] for row in times["throughput"]} - {
        name for name, source in times["weights"].items() if source.startswith("untrained")
    }
    machine = times["machine"]
    caption = (
        f"Medians; init, load and prepare in fresh processes, whose imports take "
        f"{min(r['median_s'] for (_, _, stage), r in stages.items() if stage == 'import'):.1f} s; encode and decode of "
        f"the {times['dataset']['jets']['test']:,} test jets. Jets per second through encoder and decoder, in calls of "
        f"{times['throughput'][0]['jets']:,} jets, and the ratio to the original's way (eager, gradients recorded, one "
        "batch) in the same run; the arithmetic as a share of the float32 matrix-product rate; peak memory above input "
        f"and output, for {memory['bounded'][0]['jets']:,} jets. {machine_line(machine)}."
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


def _comparison(
    title: str,
    header: tuple[str, ...],
    rows: Sequence[tuple[str, ...]],
    note: str,
    sources: Sequence[Json],
    labels: int = 1,
) -> Table | None:
    if not rows:
        return None
    columns = (*header, *(name for name, _ in ERROR_COLUMNS.values()))
    masked = max(row["masked"] for source in sources for model in source["models"] for row in model["resolution"])
    caption = (
        f"{note} Errors on the test jets: median ± half of the central 68%, and in brackets the 99% quantile of the "
        f"absolute error; pt and m relative, the {masked:,} massless jets left out of m. {provenance(sources)}"
    )
    return Table(title, columns, rows, caption, labels)


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


def _mse(value: float | None) -> str:
    if value is None:
        return "-"
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{value:.3g}" if 0.1 <= value < 1000 else f"{mantissa}e{int(exponent)}"


def _size(model: Json) -> tuple[str, str]:
    return f"{model['parameters']:,}", str(model.get("epochs") or "-")


def _ratio(model: Json, models: Sequence[Json]) -> str:
    baseline = next((other["mse"] for other in models if other["model"] == "pca"), None)
    return f"{model['mse'] / baseline:.2f}" if baseline else "-"


def _errors(model: Json) -> tuple[str, ...]:
    found = read_resolutions(model["resolution"])
    cells = []
    for quantity, (_, factor) in ERROR_COLUMNS.items():
        resolution = found[quantity]
        median, width, tail = (factor * x for x in (resolution.median, resolution.half_width_68, resolution.q99))
        digits = decimals(width)
        bias = f"{round(median, digits) or 0.0:.{digits}f}".replace("-", "−")
        cells.append(f"{bias} ± {width:.{digits}f} ({tail:.{decimals(tail)}f})")
    return tuple(cells)


def tables_text(metrics: Metrics) -> str:
    """The tables as Markdown, as plots/README.md holds them between its markers."""
    return "\n\n".join(table.markdown() for table in result_tables(metrics))


def write_tables(path: Path, metrics: Metrics) -> None:
    """Put the tables between the markers of a Markdown file; ValueError where it lacks them."""
    before, _, after = _split_at_markers(path)
    with atomic_path(path) as partial:
        partial.write_text(f"{before}{BEGIN}\n{tables_text(metrics)}\n{END}{after}", encoding="utf-8")


def tables_in(path: Path) -> str:
    """What stands between the markers of a Markdown file."""
    return _split_at_markers(path)[1].strip("\n")


def _split_at_markers(path: Path) -> tuple[str, str, str]:
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    text = path.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    between, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path} has no place for the tables: expected the lines {BEGIN} and {END}")
    return before, between, after


def reference_metrics() -> dict[str, Json]:
    """The metrics of the reference results that the repository holds; CloneError where this is no clone of it."""
    require_clone(REPOSITORY / "plots", "the reference results")
    return read_metrics(REPOSITORY / "plots")
