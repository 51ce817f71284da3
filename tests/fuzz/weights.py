"""Weights: checkpoints and files of `torch.save`, damaged, or written by someone hostile whose checksums all fit."""

import io
import json
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load, save

from tests.fuzz.child import FINE, Child, Outcome, Tally
from tests.fuzz.inputs import damage
from tests.fuzz.spoil import bits_changed, spoiled
from utils.networks import (
    Autoencoder,
    AutoencoderConfig,
    Checkpoint,
    CheckpointError,
    CustomNormalization,
    PCABaseline,
    load_checkpoint,
    load_published,
    read_header,
    save_checkpoint,
)

CASES = 2000
"""Of each kind in `make fuzz`."""

SECONDS = 300
"""A case that takes longer hangs; most take 20 ms, the first ones seconds, for what is imported late."""

MEGABYTES = 300
"""What reading weights of some kB may take."""

UNDIGESTED = "compression-hep checkpoint 1"


def models() -> list[Checkpoint]:
    """A small one of each kind."""
    torch.manual_seed(0)
    normalization = CustomNormalization()
    networks = [
        AutoencoderConfig((4, 6, 3, 6, 4), "elu", True),
        AutoencoderConfig((4, 6, 6, 3, 6, 6, 4), "gelu", False, True),
    ]
    return [Checkpoint(PCABaseline(), normalization)] + [Checkpoint(Autoencoder(c), normalization) for c in networks]


def torch_file(zipped: bool) -> bytes:
    """Weights as fastai writes them, beside a state of the optimizer."""
    torch.manual_seed(0)
    state = Autoencoder(AutoencoderConfig((4, 6, 3, 6, 4), "elu", True)).state_dict()
    file = io.BytesIO()
    content = {"model": state, "opt": {"betas": (np.float64(0.9), 0.99)}}
    torch.save(content, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


def hostile_checkpoint(path: Path, random: np.random.Generator) -> bytes:
    """A checkpoint, of the version without a digest, whose header or tensors are others."""
    with safe_open(path, framework="pt") as file:
        header = file.metadata() | {"format": UNDIGESTED}
    state = load(path.read_bytes())
    key, name = (list(values)[random.integers(len(values))] for values in (header, state))
    match random.integers(8):
        case 0:
            kinds = torch.int8, torch.float64, torch.float16, torch.bool
            state[name] = state[name].to(kinds[random.integers(len(kinds))])
        case 1:
            state[name] = torch.full_like(state[name], float(random.choice([np.nan, np.inf])), dtype=torch.float32)
        case 2:
            del state[name]
        case 3:
            header[key] = bits_changed(header[key].encode(), random).decode("latin-1")
        case _:
            key = list(header)[random.integers(len(header))] if key in ("format", "digest") else key
            value = header[key] if key in ("format", "digest") else spoiled(json.loads(header[key]), random)
            header[key] = value if isinstance(value, str) and key == "format" else json.dumps(value)
    return save(state, header)


def hostile_zip(content: bytes, random: np.random.Generator) -> bytes:
    """A zip whose members have other bytes, and checksums that fit them."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(file, "w") as target:
        infos = source.infolist()
        changed = random.integers(len(infos)) if random.random() < 0.3 else 0
        for number, info in enumerate(infos):
            member = source.read(info)
            target.writestr(info.filename, bits_changed(member, random) if number == changed else member)
    return file.getvalue()


def read(folder: Path, case: tuple[str | None, bool, bytes]) -> Outcome:
    """What a file comes to: an error, the same weights as those of a whole file, or where none is named any."""
    whole, by_torch, content = case
    path = folder / ("x.pth" if by_torch else "x.safetensors")
    path.write_bytes(content)
    try:
        if not by_torch:
            read_header(path)
        return _outcome(_load(path), None if whole is None else _load(folder / whole))
    except CheckpointError as error:
        return ("error" if path.name in str(error) else "exception"), str(error)


def _load(path: Path) -> Checkpoint:
    if path.suffix == ".safetensors":
        return load_checkpoint(path)
    return load_published(path, activation="elu", normalization=CustomNormalization())


def _outcome(found: Checkpoint, whole: Checkpoint | None) -> Outcome:
    state = found.model.state_dict()
    if not all(bool(torch.isfinite(tensor).all()) for tensor in state.values()):
        return "exception", "weights that are not finite"
    if whole is None:
        return "weights", ""
    expected = whole.model.state_dict()
    same = state.keys() == expected.keys() and all(torch.equal(state[name], expected[name]) for name in state)
    return ("same", "") if same else ("changed, silent", "other weights")


def fuzz(cases: int, seed: int, folder: Path) -> dict[str, Tally]:
    """So many cases of each kind; what came of each."""
    random = np.random.default_rng(seed)
    for number, model in enumerate(models()):
        save_checkpoint(folder / f"whole{number}.safetensors", model)
    zipped, legacy = torch_file(True), torch_file(False)
    (folder / "whole.pth").write_bytes(zipped)
    tallies: dict[str, Tally] = {}
    with Child(partial(read, folder), SECONDS, MEGABYTES) as child:
        for number in range(cases):
            whole = folder / f"whole{number % 3}.safetensors"
            for kind, case in (
                ("checkpoint damaged", (whole.name, False, damage(whole.read_bytes(), random))),
                ("checkpoint hostile", (None, False, hostile_checkpoint(whole, random))),
                ("torch.save damaged, zip", ("whole.pth", True, damage(zipped, random))),
                ("torch.save damaged, no checksum", (None, True, damage(legacy, random))),
                ("torch.save hostile", (None, True, hostile_zip(zipped, random))),
            ):
                tallies.setdefault(kind, Tally()).add(f"{kind} {number}", child.run(case), (*FINE, "weights"))
    return tallies
