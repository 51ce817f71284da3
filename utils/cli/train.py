"""The command train."""

import os
from dataclasses import replace
from typing import Any

import click
from click.core import ParameterSource

from utils import codec, jets, metrics, networks, training, trees
from utils.cli.messages import say
from utils.cli.options import (
    BOUNDS,
    FILE,
    LOSSES,
    bound_options,
    chosen_bounds,
    chosen_dataset,
    dataset_options,
    force_option,
    profile_option,
    schedule_option,
)
from utils.text import bytes_text

NEURAL_OPTIONS = (*(f"{quantity}_error" for quantity in BOUNDS), "policy", "rules")

AUTOENCODER_OPTIONS = ("variant", "normalization", "profile", "schedule", "loss", "device", "processes")

COLUMN_OPTIONS = ("codec_name", "dataset", "tree", "policy", "rules", "steps", "seed", "output", "force")


@click.command(short_help="train one model")
@click.option(
    "--codec",
    "codec_name",
    type=click.Choice(("autoencoder", "neural")),
    default="autoencoder",
    help="what the model is for; neural takes the bounds, steps, seed and jets alone, or a policy",
)
@click.option("--variant", type=click.Choice(networks.VARIANTS), default="tanh", help="the architecture")
@click.option("--dataset", type=FILE, default="embedded", metavar="DATASET", help="embedded, published, or a file")
@dataset_options
@click.option(
    "--normalization",
    type=click.Choice(networks.NORMALIZATION_KINDS),
    default="custom",
    help="of the four numbers; standard: to mean 0 and deviation 1; custom: that of the original study",
)
@profile_option
@schedule_option
@click.option(
    "--steps",
    type=int,
    metavar="N",
    help="steps of the optimizer (default: those of the profile; with neural 3000)",
)
@click.option("--loss", type=click.Choice(networks.LOSS_KINDS), default="mse", help=LOSSES)
@click.option(
    "--seed", type=int, default=0, metavar="S", help="of all that is random; the test jets are the same with every one"
)
@click.option(
    "--max-jets",
    type=int,
    metavar="N",
    help="at most so many training and validation jets together, and a quarter as many test jets (default: all)",
)
@click.option("--device", metavar="DEVICE", help="cpu, cuda, ... (default: a GPU for each process where there are any)")
@click.option("--output", type=FILE, required=True, metavar="FILE.safetensors", help="where the model goes")
@click.option("--processes", type=click.IntRange(1), default=1, metavar="N", help="processes that train it together")
@bound_options
@click.option(
    "--policy",
    metavar="NAME",
    help="with neural: a model for `slim`, of the columns of a ROOT file (default with --bound: stored)",
)
@click.option("--bound", "rules", multiple=True, metavar="PATTERN=BOUND", help="a rule before those of the policy")
@force_option
@click.pass_context
def train(
    context: click.Context,
    codec_name: str,
    variant: str,
    dataset: str,
    normalization: str,
    profile: str,
    schedule: str,
    steps: int | None,
    loss: str,
    seed: int,
    max_jets: int | None,
    device: str | None,
    output: str,
    processes: int,
    pt_error: str | None,
    m_error: str | None,
    phi_error: str | None,
    eta_error: str | None,
    policy: str | None,
    rules: tuple[str, ...],
    force: bool,
    **reading: Any,
) -> int:
    """Train an autoencoder of jets, and write it with its errors on the test jets. The processes of --processes share
    out every batch; on several machines, `torchrun -m compressionhep train` does so. The exit code is 1 where the
    training diverges. With --codec neural, train the networks of `compress --codec neural`, for many files of one
    kind, at error bounds that hold for all; with a policy too those of `slim --codec neural`, for the columns of files
    like the ROOT file of --dataset."""
    from fastai.torch_core import rank_distrib

    from utils.cli.writing import refuse_outputs
    from utils.machine import pick_device

    bounds = chosen_bounds({"pt": pt_error, "m": m_error, "phi": phi_error, "eta": eta_error})
    _check_codec(context, codec_name, policy is not None or bool(rules))
    refuse_outputs([] if dataset in ("embedded", "published") else [dataset], output, ".safetensors", force=force)
    if policy is not None or rules:
        _train_column_networks(dataset, output, policy or "stored", rules, reading["tree"], steps, seed)
        return 0
    if codec_name == "neural":
        sample = jets.load_sample(chosen_dataset(dataset, reading), max_jets, seed)
        _train_networks(sample, output, codec.Bounds(**bounds), steps, seed)
        return 0
    pick_device(device)
    if processes > 1:
        return training.launch(["-m", "compressionhep", *context.obj, "--processes", "1"], processes)
    sample = jets.load_sample(chosen_dataset(dataset, reading), max_jets, seed)
    config = training.training_config(profile, schedule, steps, loss)
    fitted = networks.NORMALIZATIONS[normalization].fit(jets.feature_array(sample.train))
    batches = training.make_dataloaders(sample, fitted, config, device)
    speaks = rank_distrib() == 0
    result = training.train(networks.VARIANTS[variant], batches, config, seed, progress=speaks)
    if not speaks:
        return 0
    checkpoint = training.make_checkpoint(result, variant, fitted, sample, seed)
    row = metrics.evaluate(checkpoint, sample.test)
    networks.save_checkpoint(output, replace(checkpoint, metadata=checkpoint.metadata | {"metrics": row}))
    last = result.losses.iloc[result.best_epoch]
    say(
        f"{output}: test MSE {row['mse']:.6g}, training loss {last['train']:.6g}, validation loss "
        f"{last['valid']:.6g} in epoch {result.best_epoch + 1} of {len(result.losses)}, {result.seconds:.1f} s"
    )
    return 0


def _check_codec(context: click.Context, name: str, columns: bool) -> None:
    """ValueError for options of `train` that belong to the other codec, or not to a model of columns."""
    given = {
        str(option.name): option.opts[0]
        for option in context.command.params
        if context.get_parameter_source(str(option.name)) is ParameterSource.COMMANDLINE
    }
    foreign, other = (NEURAL_OPTIONS, "neural") if name == "autoencoder" else (AUTOENCODER_OPTIONS, "autoencoder")
    for option in foreign:
        if option in given:
            raise ValueError(f"{given[option]}: belongs to train --codec {other}, not to {name}")
    if columns and (others := [text for option, text in given.items() if option not in COLUMN_OPTIONS]):
        raise ValueError(f"{others[0]}: belongs to models of jets, not to one of columns, which has a policy")


def _train_networks(sample: "jets.Sample", output: str, bounds: "codec.Bounds", steps: int | None, seed: int) -> None:
    """Train networks of the codec neural, write them, and say what they make of the test jets."""
    networks, saving = codec.train_jet_networks(sample, bounds, steps, seed)
    codec.save_networks(output, networks, {"data": sample.source, "seed": seed, "saving": saving})
    each = {name: saving[f"bytes_{name}"] / max(saving["jets"], 1) for name in ("coded", "bounded")}
    say(
        f"{output}: {each['coded']:.3f} bytes a jet of the test, {each['bounded']:.3f} by the codec bounded; "
        f"{saving['network_bytes']:,} bytes inside a container, checksum {networks.sha256[:12]}"
    )


def _train_column_networks(
    source: str, output: str, policy: str, rules: tuple[str, ...], tree: str | None, steps: int | None, seed: int
) -> None:
    """Train networks for the columns of a ROOT file, write them, and say what they make of it."""
    if source in ("embedded", "published"):
        raise ValueError("a model of columns is fitted to a ROOT file: --dataset FILE.root")
    chosen = trees.load_policy(policy, rules)
    networks, report = codec.train_column_networks(source, chosen, tree=tree, steps=steps, seed=seed)
    metadata = {"source": os.path.basename(source), "policy": chosen.to_dict(), "seed": seed}
    codec.save_networks(output, networks, metadata)
    say(f"{output}: {bytes_text(os.path.getsize(output))} of networks, checksum {networks.sha256[:12]}")
    for name, found in report.items():
        for one in found:
            if one["coded"]:
                share = f"{one['bytes_coded'] / one['bytes_alone']:.0%} of the bytes"
                say(f"  {name} {one['collection']}: {one['coded']} of {one['columns']} columns in {share}")
            else:
                say(f"  {name} {one['collection']}: none: they would save nothing")
