"""Range asymmetric numeral systems (J. Duda, arXiv:1311.2540) over many lanes at a time, in NumPy.

Symbol i is coded by state i modulo the number of lanes. States have 32 bits, words 16, and frequencies add up to 2^16.
What is decoded first was encoded last, so an encoder collects before it codes. A run is what is coded at once, such as
a column: each has its own words, but states go on from run to run, so runs are decoded in order.
"""

from collections.abc import Callable

import numpy as np

BITS = 16
"""Frequencies of symbols add up to two to the power of this."""

MOST_LANES, SYMBOLS_OF_LANE = 2048, 64
"""Lanes cost some three bytes each; fewer take longer."""

_LOW = (1 << BITS) - 1

Find = Callable[[int, int, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]
"""For symbols a to b, whose slots in 0..2^16 - 1 are these: the symbols, where their slots begin, their frequencies."""


def lanes_for(size: int) -> int:
    """How many lanes code runs of so many symbols."""
    return min(max(size // SYMBOLS_OF_LANE, 1), MOST_LANES)


class Encoder:
    """Takes runs, and codes them when all are there."""

    def __init__(self, lanes: int):
        self._lanes, self._runs = lanes, list[list[tuple[np.ndarray, np.ndarray]]]()

    def begin(self) -> None:
        """A new run, to which `put` adds."""
        self._runs.append([])

    def put(self, starts: np.ndarray, frequencies: np.ndarray) -> None:
        """Symbols by where their slots begin and how many they are, 1 to 2^16."""
        self._runs[-1].append((starts.astype(np.uint32), frequencies.astype(np.uint32)))

    def finish(self) -> tuple[bytes, list[bytes]]:
        """The states with which decoding begins, and the words of each run."""
        states = np.full(self._lanes, 1 << BITS, np.uint64)
        words = [self._encode(states, run) for run in reversed(self._runs)]
        return states.astype("<u4").tobytes(), words[::-1]

    def _encode(self, states: np.ndarray, run: list[tuple[np.ndarray, np.ndarray]]) -> bytes:
        words = []
        for starts, frequencies in reversed(run):
            for begin in range((len(starts) - 1) // len(states) * len(states), -1, -len(states)):
                part = slice(begin, begin + len(states))
                start, frequency = starts[part].astype(np.uint64), frequencies[part].astype(np.uint64)
                now = states[: len(start)]
                full = now >= frequency << np.uint64(BITS)
                words.append(now[full].astype(np.uint16))
                now = np.where(full, now >> np.uint64(BITS), now)
                times, rest = np.divmod(now, frequency)
                states[: len(start)] = (times << np.uint64(BITS)) + rest + start
        return np.concatenate(words[::-1]).astype("<u2").tobytes() if words else b""


class Decoder:
    """Gives back the runs of an `Encoder` in order; ValueError where states or words are none of its."""

    def __init__(self, states: bytes, lanes: int):
        self.lanes = lanes
        if len(states) != 4 * self.lanes:
            raise ValueError(f"{len(states)} bytes for {self.lanes} states")
        self._states = np.frombuffer(states, "<u4").astype(np.int64)
        if self._states.min() < 1 << BITS:
            raise ValueError("a state that none can be in")
        self._words, self._at = np.empty(0, np.int64), 0

    def begin(self, words: bytes | np.ndarray) -> None:
        """A new run, of these words: bytes, or an int64 array of words that are no larger than 16 bits."""
        if isinstance(words, bytes):
            if len(words) % 2:
                raise ValueError("half a word")
            words = np.frombuffer(words, "<u2").astype(np.int64)
        self._words, self._at = words, 0

    def get(self, size: int, find: Find) -> np.ndarray:
        """The next symbols of the run, int64."""
        found = np.empty(size, np.int64)
        for begin in range(0, size, self.lanes):
            end = min(size, begin + self.lanes)
            states = self._states[: end - begin]
            slots = states & _LOW
            found[begin:end], starts, frequencies = find(begin, end, slots)
            states = frequencies * (states >> BITS) + slots - starts
            low = np.flatnonzero(states <= _LOW)
            if self._at + len(low) > len(self._words):
                raise ValueError("its words are cut short")
            states[low] = (states[low] << BITS) | self._words[self._at : self._at + len(low)]
            self._at += len(low)
            self._states[: end - begin] = states
        return found

    def left(self) -> np.ndarray:
        """The words of the run that no symbol took so far."""
        return self._words[self._at :]

    def end(self) -> None:
        """ValueError where words of the run are left."""
        if self._at != len(self._words):
            raise ValueError("words that belong to no symbol")
