"""What is said of jets that were compressed: their size, and their errors beside the bounds."""

from collections.abc import Mapping
from typing import Any

from utils.codec import FLOAT32_BYTES
from utils.text import bytes_text

FEW_JETS = 10_000
"""A container's own few kB still count beside so many jets."""


def size_text(jets: int, size: int) -> str:
    """The bytes of jets as float32, those of their container or containers, and how these compare."""
    before = FLOAT32_BYTES * jets
    if size < before:
        gain = f"{before / size:.2f} times smaller"
    else:
        gain = "too few jets to gain" if jets < FEW_JETS else "no gain"
    return f"{bytes_text(before)} as float32, {bytes_text(size)} compressed: {gain}"


def bounds_text(jets: int, errors_of_bound: Mapping[str, float]) -> str:
    """That all jets are within the bounds, and how near to them their largest errors come."""
    if not errors_of_bound:
        return f"all {jets:,} jets are kept bit for bit"
    errors = ", ".join(f"{name} {share:.2f}" for name, share in errors_of_bound.items())
    return f"all {jets:,} jets within the bounds; largest errors in units of the bound: {errors}"


def errors_lines(errors: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The largest error of each quantity, where no bound was promised; those of pt and m relative and in GeV."""
    lines = []
    for quantity, worst in errors.items():
        if worst.get("max_absolute") is not None:
            shown = f"{100 * worst.get('max', 0):.3g}%, {worst['max_absolute']:.3g} GeV"
        else:
            shown = f"{worst.get('max', 0):.3g}" + (" rad" if quantity == "phi" else "")
        lines.append(f"largest error of {quantity}: {shown}")
    return lines


def outside_text(source: str, jets: int, outside: int) -> str:
    """That a model was given jets of another kind than those that it was trained on."""
    return (
        f"{source}: {outside:,} of {jets:,} jets lie outside the range of the model's training jets (in m, pt, phi or "
        "eta): it was not made for them"
    )
