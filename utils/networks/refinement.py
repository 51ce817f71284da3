"""Better latents than the encoder gives: a few damped Gauss-Newton steps on the decoder, jet by jet."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch.func import vjp, vmap

from utils.machine import torch_threads
from utils.networks.checkpoint import Checkpoint
from utils.networks.losses import ResidualLoss, make_loss
from utils.networks.prepared import prepare

BATCH_SIZE = 2048
"""Jets that are refined together. The last batch is filled up to it, so that a jet meets the same matrix shapes, and
gives the same latents, whatever comes with it."""

FIRST_DAMPING = 1e-2

LEAST_GAIN = 1e-6
"""A step counts where the squared residuals fall by this fraction: float32 sees no less."""


def refine_latents(
    checkpoint: Checkpoint, jets: np.ndarray, latents: np.ndarray, steps: int, threads: int | None = None
) -> np.ndarray:
    """Move latents, shape (jets, latent), so that the decoder gives back `jets` (GeV, rad; shape (jets, 4)) better.

    The Levenberg-Marquardt method (Marquardt, J. SIAM 11 (1963) 431) for every jet by itself: each of the `steps` tries
    one move, and keeps it where the residuals of the loss that the model was trained with fall. At the end, jets whose
    decoded values still got worse, by rounding, go back to where they started: no jet is ever made worse. Returns
    float32 latents. It runs where the model lies, on a CPU with `threads` threads (default: as many as torch's).
    """
    if steps < 0:
        raise ValueError(f"refinement takes a number of steps, none or more, found {steps}")
    start = np.ascontiguousarray(latents, dtype=np.float32)
    if steps == 0 or not len(start):
        return start
    loss = make_loss(checkpoint.metadata.get("training", {}).get("loss", "mse"), checkpoint.normalization)
    jets = np.asarray(jets, dtype=np.float32)
    device = next(iter(checkpoint.model.state_dict().values())).device
    model = prepare(checkpoint, threads=1)

    def costs(x: np.ndarray, z: np.ndarray) -> np.ndarray:
        true, decoded = (checkpoint.normalization.normalize(torch.from_numpy(a).double()) for a in (x, model.decode(z)))
        return loss.residuals(decoded, true).square().sum(dim=1).numpy()

    def work(first: int) -> np.ndarray:
        x, z = (array[first : first + BATCH_SIZE] for array in (jets, start))
        fill = ((0, BATCH_SIZE - len(z)), (0, 0))
        filled_x, filled_z = (torch.from_numpy(np.pad(a, fill, mode="edge")).to(device) for a in (x, z))
        y = checkpoint.normalization.normalize(filled_x)
        moved = _refine(checkpoint, loss, y, filled_z, steps).cpu().numpy()[: len(z)]
        return np.where((costs(x, moved) > costs(x, z))[:, None], z, moved)

    workers = (threads or torch.get_num_threads()) if device.type == "cpu" else 1
    with torch_threads(1), ThreadPoolExecutor(workers) as pool:
        return np.concatenate(list(pool.map(work, range(0, len(start), BATCH_SIZE))))


@torch.no_grad()
def _refine(checkpoint: Checkpoint, loss: ResidualLoss, y: torch.Tensor, z: torch.Tensor, steps: int) -> torch.Tensor:
    def residuals(latents: torch.Tensor) -> torch.Tensor:
        return loss.residuals(checkpoint.model.decode(latents), y)

    directions = torch.eye(y.shape[1], device=y.device)[:, None, :].expand(-1, *y.shape)
    damping = torch.full((len(z), 1), FIRST_DAMPING, dtype=torch.float64, device=z.device)
    for step in range(steps):
        found, pullback = vjp(residuals, z)[:2]
        (rows,) = vmap(pullback)(directions)
        if step == 0:
            cost = found.square().sum(dim=1)
        jacobian = rows.permute(1, 0, 2).double()
        metric = jacobian.mT @ jacobian
        diagonal = metric.diagonal(dim1=1, dim2=2)
        floor = 1e-6 * diagonal.mean(dim=1, keepdim=True) + 1e-12
        damped = metric + torch.diag_embed(damping * diagonal + floor)
        gradient = jacobian.mT @ found.double()[:, :, None]
        moved = z - torch.linalg.solve(damped, gradient).squeeze(2).to(z)
        new_cost = residuals(moved).square().sum(dim=1)
        better = new_cost < (1 - LEAST_GAIN) * cost
        z = torch.where(better[:, None], moved, z)
        cost = torch.where(better, new_cost, cost)
        damping = torch.where(better[:, None], damping / 10, damping * 10)
    return z
