"""Models as ONNX graphs, from GeV and rad to latents and back.

The graphs are what runs on a CPU, and what `compressionhep export` writes for other programs.
"""

import json
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper

from utils import __version__
from utils.files import atomic_path
from utils.jets import FEATURES, UNITS
from utils.networks.checkpoint import Checkpoint
from utils.networks.folding import decoder_steps, encoder_steps, latent_width
from utils.networks.onnx_graph import Graph
from utils.networks.steps import add_steps

OPSET, IR_VERSION = 15, 8
"""Of 2021, so that the runtimes of older experiment software read the files."""

MAX_DIFFERENCE = 1e-4
"""What `check_export` allows between ONNX and PyTorch, as a fraction of the largest value of a column."""


def encoder_onnx(checkpoint: Checkpoint) -> bytes:
    """ONNX model with the input `jets` (GeV, rad; shape (n, 4)) and the output `latents` (n, latent)."""
    graph = Graph()
    graph.name(add_steps(graph, encoder_steps(checkpoint), "jets"), "latents")
    return _finish(graph, checkpoint, "encoder", ["jets"], ["latents"])


def decoder_onnx(checkpoint: Checkpoint) -> bytes:
    """ONNX model with the input `latents` (n, latent) and the output `reconstructed` (GeV, rad; shape (n, 4))."""
    graph = Graph()
    graph.name(add_steps(graph, decoder_steps(checkpoint), "latents"), "reconstructed")
    return _finish(graph, checkpoint, "decoder", ["latents"], ["reconstructed"])


def autoencoder_onnx(checkpoint: Checkpoint) -> bytes:
    """ONNX model with the input `jets` and the outputs `latents` and `reconstructed`."""
    graph = Graph()
    graph.name(add_steps(graph, encoder_steps(checkpoint), "jets"), "latents")
    graph.name(add_steps(graph, decoder_steps(checkpoint), "latents"), "reconstructed")
    return _finish(graph, checkpoint, "autoencoder", ["jets"], ["latents", "reconstructed"])


def _finish(graph: Graph, checkpoint: Checkpoint, part: str, inputs: list[str], outputs: list[str]) -> bytes:
    columns = ", ".join(f"{name} [{UNITS[name]}]" if UNITS[name] else name for name in FEATURES)
    latent = latent_width(checkpoint)
    values = {
        "jets": (len(FEATURES), columns),
        "latents": (latent, f"{latent} latent values, without unit"),
        "reconstructed": (len(FEATURES), columns),
    }

    def describe(name: str) -> onnx.ValueInfoProto:
        width, text = values[name]
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width], doc_string=text)

    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            f"{checkpoint.name} {part}",
            [describe(name) for name in inputs],
            [describe(name) for name in outputs],
            list(graph.weights.values()),
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="compression-hep",
        producer_version=__version__,
        doc_string=f"{part} of the model {checkpoint.name}; jets have the columns {columns}",
    )
    helper.set_model_props(
        model,
        {
            "model": checkpoint.name,
            "part": part,
            "features": json.dumps(list(FEATURES)),
            "units": json.dumps(UNITS),
            "latent": str(latent),
            "normalization (inside)": json.dumps(checkpoint.normalization.to_dict()),
        },
    )
    return model.SerializeToString(deterministic=True)


def make_session(model: bytes) -> onnxruntime.InferenceSession:
    """ONNX Runtime on one CPU thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def export_paths(path: str | Path) -> dict[str, Path]:
    """The files that `export_model` writes for OUT.onnx: OUT.onnx, OUT.encoder.onnx and OUT.decoder.onnx."""
    path = Path(path)
    if path.suffix != ".onnx":
        raise ValueError(f"{path}: expected a file name that ends in .onnx")
    return {"autoencoder": path} | {part: path.with_name(f"{path.stem}.{part}.onnx") for part in ("encoder", "decoder")}


def export_model(checkpoint: Checkpoint, path: str | Path, jets: np.ndarray) -> dict[str, dict[str, float]]:
    """Write a model to OUT.onnx, and its halves beside it (see `export_paths`), after checking them on `jets`.

    OUT.onnx takes jets and gives latents and reconstructed jets. Returns what `check_export` does; nothing is written
    where it raises ValueError.
    """
    paths = export_paths(path)
    contents = {
        "autoencoder": autoencoder_onnx(checkpoint),
        "encoder": encoder_onnx(checkpoint),
        "decoder": decoder_onnx(checkpoint),
    }
    for content in contents.values():
        onnx.checker.check_model(content, full_check=True)
    differences = check_export(checkpoint, contents, jets)
    with ExitStack() as files:
        for part, content in contents.items():
            files.enter_context(atomic_path(paths[part])).write_bytes(content)
    return differences


def check_export(checkpoint: Checkpoint, contents: dict[str, bytes], jets: np.ndarray) -> dict[str, dict[str, float]]:
    """Largest absolute differences between the ONNX models and PyTorch on `jets`, shape (n, 4), in GeV and rad.

    PyTorch runs the checkpoint as it is, unfolded and in float32. The rows are `latents` (column latent_0, ...) and
    `reconstructed` (columns m, pt, phi, eta); decoders start from the same latents. Raises ValueError where a
    difference exceeds `MAX_DIFFERENCE` of the column's largest value, or where a value is not finite.
    """
    jets = np.ascontiguousarray(jets, dtype=np.float32)
    sessions = {part: make_session(content) for part, content in contents.items()}
    with torch.inference_mode():
        x = torch.from_numpy(jets)
        latents = checkpoint.model.encode(checkpoint.normalization.normalize(x))
        expected = {
            "latents": latents.numpy(),
            "reconstructed": checkpoint.normalization.unnormalize(checkpoint.model.decode(latents)).numpy(),
        }
    whole = dict(zip(expected, sessions["autoencoder"].run(list(expected), {"jets": jets}), strict=True))
    (encoded,) = sessions["encoder"].run(None, {"jets": jets})
    (decoded,) = sessions["decoder"].run(None, {"latents": expected["latents"]})
    names = {"latents": [f"latent_{i}" for i in range(encoded.shape[1])], "reconstructed": list(FEATURES)}
    result = {}
    for name, found in (("latents", [encoded, whole["latents"]]), ("reconstructed", [decoded, whole["reconstructed"]])):
        true = expected[name].astype(np.float64)
        difference = np.max([np.abs(values - true).max(axis=0) for values in found], axis=0)
        allowed = MAX_DIFFERENCE * np.abs(true).max(axis=0)
        if not (difference <= allowed).all():
            raise ValueError(
                f"{checkpoint.name}: ONNX and PyTorch differ in {name} by {difference.tolist()}, more than "
                f"{allowed.tolist()} of {', '.join(names[name])}, on {len(jets)} jets"
            )
        result[name] = dict(zip(names[name], difference.tolist(), strict=True))
    return result
