"""Training autoencoders with fastai: in a notebook, or from the command line in one process or several.

    torchrun --standalone --nproc-per-node 2 -m utils.training --variant tanh --output tanh.safetensors

trains in two processes, on a GPU each where there are any, with the same global batch as `python -m utils.training`.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from fastai.torch_core import rank_distrib

from utils.jets import feature_array, load_sample
from utils.metrics import evaluate
from utils.networks import LOSSES, NORMALIZATIONS, VARIANTS
from utils.study import save_model
from utils.training import SCHEDULES, make_checkpoint, make_dataloaders, train, training_config


def main(arguments: Sequence[str] | None = None) -> int:
    """Train one model from the command line; with `torchrun`, in all of its processes.

    Returns the exit code: 0, 1 where the training diverged, 2 for bad input or usage.
    """
    parser = argparse.ArgumentParser(prog="python -m utils.training", description="Train an autoencoder of jets.")
    parser.add_argument("--variant", default="tanh", choices=VARIANTS, help="default: %(default)s")
    parser.add_argument("--dataset", default="embedded", help="embedded, published, or a file (default: %(default)s)")
    parser.add_argument("--normalization", default="custom", choices=NORMALIZATIONS, help="default: %(default)s")
    parser.add_argument("--profile", default="reference", choices=SCHEDULES["project"], help="default: %(default)s")
    parser.add_argument("--schedule", default="project", choices=SCHEDULES, help="default: %(default)s")
    parser.add_argument("--steps", type=int, help="steps of the optimizer (default: those of the profile)")
    parser.add_argument("--loss", default="mse", choices=LOSSES, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--max-jets", type=int, help="at most so many training jets (default: all)")
    parser.add_argument("--device", help="cpu, cuda, ... (default: a GPU for each process where there are any)")
    parser.add_argument("--output", required=True, metavar="FILE.safetensors", help="where the model goes")
    options = parser.parse_args(arguments)
    try:
        _train_one(options)
    except (ValueError, OSError, FloatingPointError) as error:
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return 1 if isinstance(error, FloatingPointError) else 2
    return 0


def _train_one(options: argparse.Namespace) -> None:
    sample = load_sample(options.dataset, options.max_jets, options.seed)
    config = training_config(options.profile, options.schedule, options.steps, options.loss, options.variant)
    normalization = NORMALIZATIONS[options.normalization].fit(feature_array(sample.train))
    batches = make_dataloaders(sample, normalization, config, options.device)
    result = train(VARIANTS[options.variant], batches, config, options.seed, progress=rank_distrib() == 0)
    if rank_distrib() == 0:
        checkpoint = make_checkpoint(result, options.variant, normalization, sample, options.seed)
        row = evaluate(checkpoint, sample.test)
        save_model(Path(options.output), checkpoint, row)
        last = result.losses.iloc[result.best_epoch]
        print(
            f"{options.output}: test MSE {row['mse']:.6g}, training loss {last['train']:.6g}, validation loss "
            f"{last['valid']:.6g} in epoch {result.best_epoch + 1} of {len(result.losses)}, {result.seconds:.1f} s"
        )
