"""What each notebook found, in a sentence whose numbers come from its metrics."""

from collections.abc import Callable, Mapping

from utils.files import Json
from utils.metrics import read_resolutions
from utils.networks import VARIANT_LABELS
from utils.study import BOUNDED, LOSSLESS, LZMA, SMALLEST, distinguished, largest_sample, summarize_seeds
from utils.text import bytes_text, significant, spread_text


def answer(notebook: str, metrics: Json | None) -> str | None:
    """One sentence on what a notebook found; None where there are no metrics, or it is none of this project's."""
    make = ANSWERS.get(notebook.partition(".")[0])
    return None if metrics is None or make is None else make(metrics)


def _normalizations(metrics: Json) -> str:
    worst = max(value for errors in metrics["closure"].values() for value in errors.values())
    massless = metrics["massless"]["train"]["massless"]
    return (
        f"All three normalizations can be undone, to {worst:.0e} of a value; {massless:,} of the "
        f"{metrics['dataset']['jets']['train']:,} training jets are massless."
    )


def _transfer(metrics: Json) -> str:
    mse = {(row["tested_on"], row["trained_on"]): row["mse"] for row in metrics["transfer"]}
    ratios = {pair: value / mse[pair[0], pair[0]] for pair, value in mse.items() if pair[0] != pair[1]}
    (tested, trained), ratio = max(ratios.items(), key=lambda item: item[1])
    return (
        f"They can come out wrong, and nothing says so: on the sample \u201c{tested}\u201d, the model trained on "
        f"\u201c{trained}\u201d has {significant(ratio, 2)} times the error of the one trained there."
    )


def _training(metrics: Json) -> str:
    """Of the models that a notebook shows; means over the seeds where there are several."""
    *models, baseline = metrics["models"]
    over_seeds = {entry["variant"]: entry for entry in summarize_seeds(metrics.get("seeds", []))}
    parts = []
    for model in models:
        entry, found = over_seeds.get(model["model"]), read_resolutions(model["resolution"])
        widths = {name: found[name].half_width_68 for name in ("pt", "m")}
        ratio = _ratio(model, baseline)
        if entry is not None:
            widths = {name: entry["resolution"][name]["half_width_68"][0] for name in widths}
            ratio = spread_text(entry["mse_over_pca"])
        words = " and ".join(f"{significant(100 * width, 2)}% in {name}" for name, width in widths.items())
        space = "" if model["normalization"] == "custom" else " in that space"
        parts.append(f"{model['label']}: {ratio} times the error of rank-3 PCA{space}, {words} (68%)")
    seeds = {len(over_seeds[model["model"]]["seeds"]) for model in models if model["model"] in over_seeds}
    mean = f"; means of {max(seeds)} seeds" if seeds and max(seeds) > 1 else ""
    return "; ".join(parts) + f"{mean}."


def _ratio(model: Json, baseline: Json) -> str:
    ratio = model["mse"] / baseline["mse"]
    return f"{ratio:.2f}" if ratio < 10 else significant(ratio, 3)


def _residual(metrics: Json) -> str:
    stripes, error = max(metrics["zigzag"].items(), key=lambda item: int(item[0]))
    ratio = error / metrics["models"][-1]["mse"]
    formula = f"A formula, a zigzag of {stripes} stripes: {significant(ratio, 2)} times that of PCA."
    return f"{_training(metrics)} {formula}"


def _comparison(metrics: Json) -> str:
    """Of the study's own schedule, where it is among them; which of them their seeds tell apart."""
    entries = largest_sample(metrics["summary"])
    entries = [entry for entry in entries if entry["schedule"] == "plain"] or entries
    ranked = sorted(entries, key=lambda entry: entry["mse_over_pca"][0])
    names = ", ".join(f"{entry['label']} {spread_text(entry['mse_over_pca'])}" for entry in ranked)
    text = f"Error over that of rank-3 PCA, best first: {names}."
    if len(ranked) < 2 or any(entry["mse_over_pca"][1] is None for entry in ranked):  # one variant, or one seed
        return text
    pairs: list[str] = []
    for place, better in enumerate(ranked, 1):
        told = [row["label"] for row in ranked[place:] if distinguished(better["mse_over_pca"], row["mse_over_pca"])]
        if told:
            listed = " and ".join([", ".join(told[:-1]), told[-1]] if told[1:] else told)
            pairs.append(f"{better['label']}{'' if pairs else ' can be told'} from {listed}")
    return f"{text} By their seeds, {'; '.join(pairs)}." if pairs else f"{text} Their seeds tell none of them apart."


def _rates(metrics: Json) -> str:
    equal = metrics["bytes_at_equal_error"]
    labels = tuple(VARIANT_LABELS.values())
    learned = {name: row for name, row in equal.items() if name.startswith(labels)}
    coarse, mse, *_ = equal["bounded"]
    best = next(name for name, row in learned.items() if row[mse] is not None)
    sizes = (equal[name][mse] for name in ("bounded", best, "Shannon lower bound"))
    plain, latents, bound = (f"{size:.2f}" for size in sizes)
    text = (
        f"Rounding and an entropy coder: within 1% of the error of {best} (seed {metrics['seed']}, {mse}) they take "
        f"{plain} bytes a jet, its own latents {latents}, and no code of single jets less than {bound}"
    )
    reached = [row[coarse] for row in learned.values() if row[coarse] is not None]
    if not reached:
        return f"{text}."
    plain, latents = f"{equal['bounded'][coarse]:.2f}", f"{min(reached):.2f}"
    return f"{text}; at a larger error ({coarse}) {plain}, and the best latents {latents}, their decoder not counted."


def _own_jets(metrics: Json) -> str:
    model, baseline = metrics["models"]
    size = metrics["compressed"]["bytes_per_jet"]
    return (
        f"The network trained on them has {_ratio(model, baseline)} times the error of rank-3 PCA; the codec bounded "
        f"takes {size:.2f} bytes a jet, the whole file counted."
    )


def _collections(metrics: Json) -> str:
    ways = {way: f"{row['jet']:.1f}" for way, row in metrics["ways"].items()}
    return (
        f"With all its columns, each value within its bound, a jet takes {ways[SMALLEST]} bytes in the container and "
        f"{ways[BOUNDED]} in a ROOT file that every program reads; without any loss {ways[LOSSLESS]} in the container, "
        f"and {ways[LZMA]} as it came, under LZMA."
    )


def _networks(metrics: Json) -> str:
    ladder = [row["bytes_per_jet"] for row in metrics["ladder"].values()]
    columns, file = metrics["columns"], metrics["files"][-1]
    alone = sum(columns["alone"].values())
    coded = min(row["bytes a jet"] for row in columns["networks"].values()) / alone
    latents = min(row["bytes"] for row in metrics["latents"]) / alone
    return (
        f"Four numbers take {ladder[0]:.2f} bytes a jet, columns alone, by the codec and {ladder[-1]:.2f} by the "
        f"largest network, which looks at the event. Of the bytes of {len(columns['alone'])} columns, latents with "
        f"corrections leave {latents:.0%} at the same guarantee, small networks {coded:.0%}, weights not counted; a "
        f"file of {file['jets']:,} jets has {file['ratio']:.0%} of its bytes, weights inside."
    )


def _times(metrics: Json) -> str:
    best = max(metrics["throughput"], key=lambda row: row["jets_per_s"])
    rows = [row for row in metrics["throughput"] if row["device"] == best["device"]]
    rates, ratios = (sorted(float(row[name]) for row in rows) for name in ("jets_per_s", "ratio"))
    return (
        f"{rates[0] / 1e6:.2g} to {rates[-1] / 1e6:.2g} million jets a second, there and back, by the network (device "
        f"{best['device']}), {significant(ratios[0], 2)} to {significant(ratios[-1], 2)} times as many as in the "
        f"original's way, one batch of {best['original_jets']:,} jets."
    )


def _memory(metrics: Json) -> str:
    peak = max(max(row["encoding"], row["decoding"]) for row in metrics["bounded"])
    jets = metrics["bounded"][0]["jets"]
    return f"Once a model is ready, {bytes_text(peak)} above input and output, for {jets:,} jets."


ANSWERS: Mapping[str, Callable[[Json], str]] = {
    "0": _normalizations,
    "1a": _transfer,
    "1b": _training,
    "1c": _training,
    "1d": _training,
    "2a": _training,
    "2b": _training,
    "2c": _residual,
    "2d": _comparison,
    "3": _rates,
    "4": _own_jets,
    "5": _collections,
    "6": _networks,
    "Execution_time_calculation": _times,
    "Memory_allocation_trace": _memory,
}
"""By the beginning of the notebook's name."""
