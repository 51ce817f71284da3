"""Values that a hostile writer puts where others are expected, with checksums that fit."""

import copy
from typing import Any

import numpy as np

NESTED: Any = []
for _ in range(40):
    NESTED = [NESTED]

EVIL: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 7, 2**31, 2**63, 10**9, 10**30, -(10**30)),
    *(0.5, -0.5, 1e-300, 1e-9, 1e300),
    *("", "x", "int32", "float64", "exact", "relative", "y" * 10**5),
    *([], {}, [[]], [0] * 10**5, ["x"], {"relative": 0, "absolute": 0}, NESTED),
)


def spoiled(value: Any, random: np.random.Generator) -> Any:
    """A copy of JSON with one value, key or length in it that is another."""
    value = copy.deepcopy(value)
    places = [
        (part, key) for part in _containers(value) for key in (part if isinstance(part, dict) else range(len(part)))
    ]
    if not places:
        return _evil(random)
    part, key = places[random.integers(len(places))]
    match random.integers(4):
        case 0:
            del part[key]
        case 1 if isinstance(part[key], int | float):
            part[key] = part[key] * int(random.integers(-3, 4)) + int(random.integers(-3, 4))
        case _:
            part[key] = _evil(random)
    return value


def _evil(random: np.random.Generator) -> Any:
    return copy.deepcopy(EVIL[random.integers(len(EVIL))])


def _containers(value: Any) -> list[Any]:
    found = [value] if isinstance(value, dict | list) else []
    for part in found[:1]:
        for inner in part.values() if isinstance(part, dict) else part:
            found += _containers(inner)
    return found


def bits_changed(content: bytes, random: np.random.Generator) -> bytes:
    """Content with bits flipped, bytes set, cut out or added."""
    changed = bytearray(content)
    for _ in range(random.integers(1, 4)):
        place = int(random.integers(len(changed))) if changed else 0
        match random.integers(5):
            case 0 | 1 if changed:
                changed[place] ^= 1 << int(random.integers(8))
            case 2 if changed:
                changed[place] = int(random.choice([0, 1, 0x7F, 0x80, 0xFF]))
            case 3:
                del changed[place : place + int(random.integers(1, 9))]
            case _:
                changed[place:place] = random.integers(0, 256, random.integers(1, 30), dtype=np.uint8).tobytes()
    return bytes(changed)
