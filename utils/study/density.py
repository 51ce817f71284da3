"""The distribution of a jet's integers, from a network that sees the earlier jets of its event: how few bits suffice.

pt, eta, phi and m are told one after the other, each from those before it and from the earlier jets. What a network
cannot say in its probabilities, no entropy coder can save: so its cross-entropy on jets that it was not trained on is
what a codec with this network would take, but for its weights.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from utils.machine import torch_threads
from utils.study.gridded import GriddedJets
from utils.study.jet_features import FEATURES_OF, ORDER, TOWERS, Ranges, jet_tensors, tower_waves, waves

KNOTS = {"pt": 48, "eta": 120, "phi": 80, "m": 72}
"""Points between which the logarithm of a distribution is linear, at most."""

NEAR, NEAR_BINS, NEAR_KNOTS = 1.2, 12, 25
"""Jets of an event that are nearer than this in eta and in phi know of each other: anti-kt keeps them apart."""

_NEVER = -30.0

Tensors = dict[str, torch.Tensor]

Events = tuple[torch.Tensor, torch.Tensor, int]
"""The number of each jet's event among those at hand, its rank there, and how many events there are."""


@dataclass(frozen=True)
class Density:
    """A network and its training: layers of hidden units for each quantity, the memory of earlier jets (0: none)."""

    hidden: int = 24
    layers: int = 1
    memory: int = 0
    steps: int = 300
    batch_jets: int = 1024
    learning_rate: float = 0.01
    seed: int = 0


class JetDensity(nn.Module):
    """Logits of the levels of each quantity. `eta` are the values of the levels of eta, `count` levels phi has."""

    pt_basis: torch.Tensor
    eta_basis: torch.Tensor
    phi_basis: torch.Tensor
    m_basis: torch.Tensor
    towers_basis: torch.Tensor
    near_basis: torch.Tensor

    def __init__(self, density: Density, ranges: Ranges, eta: np.ndarray, count: int, widths: dict[str, int]):
        super().__init__()
        sizes = {name: ranges.size(name) for name in ORDER} | {"phi": count}
        bases = {name: _hats(sizes[name], KNOTS[name], name == "pt") for name in ORDER}
        bases["eta"] = np.concatenate([bases["eta"], tower_waves(eta, 6)])
        towers = np.stack(waves(TOWERS * (2 * math.pi * (np.arange(count) + 0.5) / count - math.pi), 4))
        self.reach = min(round(NEAR * count / (2 * math.pi)), (count - 1) // 2)
        offsets = np.abs(np.arange(-self.reach, self.reach + 1)) / max(self.reach, 1) * (NEAR_KNOTS - 1)
        near = np.stack([np.interp(offsets, np.arange(NEAR_KNOTS), one) for one in np.eye(NEAR_KNOTS)])
        for name, basis in (bases | {"towers": towers, "near": near}).items():
            self.register_buffer(f"{name}_basis", torch.tensor(basis, dtype=torch.float32))
        memory = density.memory
        self.gru = nn.GRU(widths["jet"] + widths["event"], memory, batch_first=True) if memory else None
        self.parts, inputs = nn.ModuleDict(), widths["event"] + memory
        for name, known in zip(ORDER, (None, *FEATURES_OF[2:]), strict=True):
            inputs += 0 if known is None else widths[known]
            outputs = len(bases[name]) + (len(towers) if name == "phi" else 0)
            self.parts[name] = _network(inputs, outputs, density.hidden, density.layers)
        shapes = {name: (2 if name == "pt" else 1, size) for name, size in sizes.items()}
        self.bias = nn.ParameterDict({name: nn.Parameter(torch.zeros(shape)) for name, shape in shapes.items()})
        self.near = nn.Parameter(torch.zeros(NEAR_BINS, NEAR_KNOTS))

    @property
    def weights(self) -> int:
        """How many weights are trained."""
        return sum(values.numel() for values in self.parameters())

    def forward(self, jets: Tensors, events: Events) -> torch.Tensor:
        """The natural logarithm of the probability of each quantity of each jet, (jets, 4) in the order of `ORDER`."""
        known = jets["event"]
        if self.gru is not None:
            known = torch.cat([known, self._memory(self.gru, jets, events)], 1)
        logits = self.parts["pt"](known) @ self.pt_basis + self.bias["pt"][jets["first"]]
        beyond = torch.arange(logits.shape[1]) > jets["room"][:, None]
        found = [_log_probability(logits.masked_fill(beyond, _NEVER), jets["pt"])]
        known = torch.cat([known, jets["pt_known"]], 1)
        found.append(_log_probability(self.parts["eta"](known) @ self.eta_basis + self.bias["eta"], jets["eta"]))
        known = torch.cat([known, jets["eta_known"]], 1)
        logits = self._apart(self._phi_logits(known, jets["recoil"]), jets, events)
        found.append(_log_probability(logits, jets["phi"]))
        known = torch.cat([known, jets["phi_known"]], 1)
        found.append(_log_probability(self.parts["m"](known) @ self.m_basis + self.bias["m"], jets["m"]))
        return torch.stack(found, 1)

    def _memory(self, gru: nn.GRU, jets: Tensors, events: Events) -> torch.Tensor:
        """What is remembered of the jets before each jet."""
        event, rank, number = events
        both = torch.cat([jets["jet"], jets["event"]], 1)
        padded = torch.zeros(number, int(rank.max()) + 2, both.shape[1])
        padded[event, rank + 1] = both
        return gru(padded)[0][event, rank]

    def _phi_logits(self, known: torch.Tensor, recoil: torch.Tensor) -> torch.Tensor:
        """Logits of the circle's levels: a function of the angle to the recoil, and the towers' pattern."""
        count = self.phi_basis.shape[1]
        angle, towers = self.parts["phi"](known).split([len(self.phi_basis), len(self.towers_basis)], 1)
        turned = (torch.arange(count) - recoil[:, None] + count // 2) % count
        return torch.gather(angle @ self.phi_basis, 1, turned) + towers @ self.towers_basis + self.bias["phi"]

    def _apart(self, logits: torch.Tensor, jets: Tensors, events: Events) -> torch.Tensor:
        """The logits of phi with what each earlier jet of the event that is near in eta adds to them around it."""
        count, offsets = logits.shape[1], torch.arange(-self.reach, self.reach + 1)
        patterns, eta, rank = self.near @ self.near_basis, 2 * jets["eta_known"][:, 0], events[1]
        places, values = [], []
        for lag in range(1, int(rank.max()) + 1):
            here = torch.nonzero(rank >= lag)[:, 0]
            distance = (eta[here] - eta[here - lag]).abs()
            here, distance = here[distance < NEAR], distance[distance < NEAR]
            level = (jets["phi"][here - lag, None] + offsets) % count
            places.append((here[:, None] * count + level).view(-1))
            values.append(patterns[(distance * (NEAR_BINS / NEAR)).long()].view(-1))
        if not places:
            return logits
        return logits.flatten().index_add(0, torch.cat(places), torch.cat(values)).view_as(logits)


def _network(inputs: int, outputs: int, hidden: int, layers: int) -> nn.Sequential:
    sizes = [inputs, *[hidden] * layers]
    steps: list[nn.Module] = []
    for before, after in pairwise(sizes):
        steps += [nn.Linear(before, after), nn.GELU()]
    last = nn.Linear(hidden, outputs)
    nn.init.normal_(last.weight, std=0.02)
    nn.init.zeros_(last.bias)
    return nn.Sequential(*steps, last)


def _hats(levels: int, knots: int, dense_at_zero: bool) -> np.ndarray:
    """Piecewise linear functions, 1 at a knot and 0 at all others, (knots, levels)."""
    share = np.linspace(0, 1, min(knots, levels))
    places = np.unique(np.rint((levels - 1) * (share**2 if dense_at_zero else share)))
    return np.stack([np.interp(np.arange(levels), places, one) for one in np.eye(len(places))])


def _log_probability(logits: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
    return -nn.functional.cross_entropy(logits, level, reduction="none")


def train_density(density: Density, samples: Sequence[GriddedJets], ranges: Ranges) -> JetDensity:
    """Train on the jets of some samples, in batches of whole events, on one thread.

    The samples are on the same grids. The same arguments give the same network on the same machine.
    """
    tensors = [jet_tensors(jets, ranges) for jets in samples]
    data = {name: torch.cat([one[name] for one in tensors]) for name in tensors[0]}
    counts = np.concatenate([jets.counts for jets in samples])
    eta = samples[0].eta_grid.levels(np.arange(ranges.low["eta"], ranges.high["eta"] + 1))
    widths = {name: data[name].shape[1] for name in FEATURES_OF}
    random, number = np.random.default_rng(density.seed), max(1, round(density.batch_jets / counts.mean()))
    with torch_threads(1), torch.random.fork_rng(devices=[]):
        torch.manual_seed(density.seed)
        model = JetDensity(density, ranges, eta, samples[0].phi_grid.count, widths)
        optimizer = torch.optim.AdamW(model.parameters(), density.learning_rate, weight_decay=0.01)
        rates = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, density.learning_rate, total_steps=density.steps, pct_start=0.15
        )
        for _ in range(density.steps):
            found = model(*_events_of(data, counts, random.integers(len(counts), size=number)))
            optimizer.zero_grad(set_to_none=True)
            (-found.sum(1).mean()).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            rates.step()
    return model.eval()


def _events_of(data: Tensors, counts: np.ndarray, events: np.ndarray) -> tuple[Tensors, Events]:
    """The jets of some events."""
    starts, sizes = (np.cumsum(counts) - counts)[events], counts[events]
    event = np.repeat(np.arange(len(events)), sizes)
    rank = np.arange(len(event)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    rows = torch.from_numpy(starts[event] + rank)
    return {name: values[rows] for name, values in data.items()}, (
        torch.from_numpy(event),
        torch.from_numpy(rank),
        len(events),
    )


def density_bits(model: JetDensity, jets: GriddedJets, ranges: Ranges) -> np.ndarray:
    """Bits of each quantity of each jet under a density, (jets, 4) in the order of `ORDER`."""
    data, found = jet_tensors(jets, ranges), []
    with torch_threads(1), torch.inference_mode():
        for events in np.array_split(np.arange(len(jets.counts)), -(-len(jets) // 4096)):
            found.append(model(*_events_of(data, jets.counts, events)))
    return -torch.cat(found).numpy() / math.log(2)
