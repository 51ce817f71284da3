"""What each figure shows, in a sentence: for the gallery of plots/ and the pages of a run."""

from pathlib import Path

CAPTIONS = {
    "summary": "A training and what came of it: losses, the spectra of m and pt in and out (triangles lie beyond the "
    "axis of their ratio), and the four residuals with median (dashed) and central 68% (grey).",
    "jets": "The four quantities of the training jets, in GeV and rad.",
    "correlations": "Rank correlations of the four quantities: m and pt rise together.",
    "standard": "The same jets under the standard normalization, which keeps the tails.",
    "custom": "The same jets under the custom normalization, whose logarithms bend the spectra.",
    "samples": "The samples that models are trained and tested on; shares beyond the axes in the order of the legend.",
    "transfer": "Mean squared error of each model on the test jets of each sample.",
    "overlay_pretrained": "Input and output of the pre-trained model on the published jets, and their ratio; triangles "
    "lie beyond its axis.",
    "residuals_worst": "Residuals of the model and the sample that fit worst.",
    "learning_rate": "The learning-rate finder: loss against a rate that grows every step.",
    "losses": "Training and validation loss against the epoch, and the validation loss of rank-3 PCA.",
    "activations": "Mean and standard deviation of each layer's activations during the training.",
    "latents_untrained": "The three latents of an untrained network against each quantity.",
    "latents": "The three latents against each quantity: which of them carries what; darker where there are more jets. "
    "Most jets below 1 GeV, where the m axis begins, are massless; the outer 0.1% of each latent is not shown.",
    "overlay": "Input and output spectra, with their ratio; its bars take into account that both are of the same jets, "
    "triangles lie beyond its axis.",
    "residuals": "Residuals jet by jet, with median, central 68% and tails.",
    "corner": "Correlations of the four residuals.",
    "folds": "The plane of m and pt, as the network left alone, one started from a zigzag, and a zigzag draw it.",
    "comparison": "Error over that of rank-3 PCA, every seed of every variant.",
    "training_time": "Validation error against the CPU time of the training, in which its epochs take alike: a line "
    "for each seed, a dot at its end; on the right from half of the shortest training on.",
    "sample_size": "Error against the number of training jets, one seed.",
    "rates_at_a_glance": "Error against bytes per jet, a few methods and the bound: down and to the left is better. "
    "Hollow: latents as float16; dotted lines lead to float32, at 12 bytes.",
    "rate_distortion": "Error against bytes per jet of every method: down and to the left is better. Hollow: latents "
    "as float16; dotted lines lead to float32, at 12 bytes. Stars: the settings that are named.",
    "rate_resolution": "The same in the units of an analysis: the typical jet on the left, the worst one on the right. "
    "Hollow: latents as float16; dotted lines lead to float32.",
    "branches": "The costliest branches, as stored and within their bounds, both under LZMA.",
    "within_bounds": "Errors of the costliest bounded branches of the ROOT file, in units of their bounds; white bins "
    "are empty: a grid of a power of two seldom fills a bound.",
    "collection_sizes": "Bytes a jet with all its columns in each way, against the jets that are stored together.",
    "dijet_mass": "The dijet mass before and after, and its relative change event by event; with the shares of events "
    "beyond the axes.",
    "ladder": "Bytes a jet of the four numbers, from the codec to the practical limit, by quantity.",
    "bits_by_rank": "Bits of phi and pt by the place of a jet in its event, from the jet alone and from its event.",
    "above_bound": "Bytes a jet above the Shannon bound of single jets: what moves the curve is the event.",
    "column_use": "Which column is predicted by which: more bits when a column is shuffled among the jets.",
    "latents_and_corrections": "Bytes of all columns within their bounds: latents with corrections, and networks.",
    "batches": "Jets per second against the jets in a call, the test jets repeated.",
    "scaling": "Time a jet against the number of jets, the test jets repeated.",
}
"""By the name of the file without its suffix, in the order in which a gallery shows them."""

BEGINNINGS = {
    "stages_": "Time of each stage, from the first import to decoding, median and central 68%, on the device {}.",
    "memory_": "Peak memory of each stage in a fresh process, and what of it must exist, on the device {}.",
}
"""For names that end in a device."""

KEY_FIGURES = {
    "1d": "latents",
    "2c": "folds",
    "3": "rates_at_a_glance",
    "5": "collection_sizes",
    "6": "latents_and_corrections",
    "Execution_time_calculation": "batches",
}
"""Which figure stands for a notebook, by the beginning of its name, where it is not the first of `KEYS`."""

KEYS = ("summary", "comparison", "transfer", "custom", "memory_cpu", "residuals", "overlay")


def caption(figure: Path) -> str:
    """What a figure shows; that of a single figure's variant, such as losses_tanh, names the variant."""
    stem = figure.stem
    if stem in CAPTIONS:
        return CAPTIONS[stem]
    for beginning, words in BEGINNINGS.items():
        if stem.startswith(beginning):
            return words.format(stem.removeprefix(beginning))
    known = max((name for name in CAPTIONS if stem.startswith(f"{name}_")), key=len, default=None)
    if known is None:
        return stem.replace("_", " ").capitalize() + "."
    which = stem.removeprefix(f"{known}_").replace("_", " ")
    return f"{CAPTIONS[known].removesuffix('.')} ({which})."


def in_order(figures: list[Path]) -> list[Path]:
    """Figures as a gallery shows them: in the order of `CAPTIONS`, variants behind each other, others at the end."""
    order = {name: number for number, name in enumerate(CAPTIONS)}

    def place(figure: Path) -> tuple[int, str]:
        known = [number for name, number in order.items() if figure.stem == name or figure.stem.startswith(f"{name}_")]
        return max(known, default=len(order)), figure.stem

    return sorted(figures, key=place)


def key_figure(notebook: str, figures: list[Path]) -> Path | None:
    """The figure that stands for a notebook; None where there is none."""
    wanted = (KEY_FIGURES.get(notebook.partition(".")[0]), *KEYS)
    by_stem = {figure.stem: figure for figure in figures}
    return next((by_stem[stem] for stem in wanted if stem in by_stem), in_order(figures)[0] if figures else None)
