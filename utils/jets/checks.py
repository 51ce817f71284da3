"""What a jet table must be to be used, and the errors that say where it is not."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NoReturn

import numpy as np
import pandas as pd

from utils.jets.events import EVENT_COLUMNS, event_columns, repeated_ids
from utils.jets.table import COLUMNS, FEATURES, MASS_LIMIT, PHI_TOLERANCE, JetError, event_counts, number_of_events
from utils.text import listing


def find_problems(
    table: pd.DataFrame, keep_nonfinite: bool = False, beam_energy: float = np.inf
) -> dict[str, np.ndarray]:
    """What makes jets unusable: description -> rows, an index array that is never empty.

    With `keep_nonfinite`, values that are NaN or infinite are no problem. Momenta above `beam_energy` (GeV) are one.
    """
    problems: dict[str, np.ndarray] = {}
    finite = {}
    for name in FEATURES:
        values = table[name].to_numpy()
        finite[name] = np.isfinite(values)
        if not keep_nonfinite:
            problems[f"NaN or infinite {name}"] = ~finite[name]
    pt, m, phi, eta = (table[name].to_numpy() for name in ("pt", "m", "phi", "eta"))
    with np.errstate(invalid="ignore", over="ignore"):
        problems["pt <= 0"] = finite["pt"] & (pt <= 0)
        problems[f"m <= {MASS_LIMIT:g} GeV"] = finite["m"] & (m <= MASS_LIMIT)
        problems[f"|phi| > pi by more than {PHI_TOLERANCE:g} rad"] = finite["phi"] & (
            np.abs(phi.astype(np.float64)) > np.pi + PHI_TOLERANCE
        )
        if beam_energy < np.inf:
            p = pt.astype(np.float64) * np.cosh(eta.astype(np.float64))
            problems[f"pt * cosh(eta) above the beam energy of {beam_energy:g} GeV"] = (
                finite["pt"] & finite["eta"] & (p > beam_energy * (1 + 1e-6))
            )
    return {name: np.flatnonzero(mask) for name, mask in problems.items() if mask.any()}


def validate_jets(table: pd.DataFrame, source: str = "jet table", first_row: int = 0) -> None:
    """Raise JetError, naming `source` and the first rows, unless every jet of the table can be used.

    Refused: other columns or types than a jet table's, no jets, NaN or infinite values, pt <= 0, m <= -1 GeV,
    |phi| > pi beyond rounding (1e-4), and jets of one event that stand apart. `first_row` is added to the row numbers
    of the message.
    """
    require_columns(table, source)
    if len(table) == 0:
        raise JetError(f"{source}: no jets, in {number_of_events(table)} events")
    require_usable(table, source, first_row)
    require_distinct_events(repeated_ids(event_counts(table)[0]), source)


def require_columns(table: pd.DataFrame, source: str) -> None:
    """The part of `validate_jets` that looks at the names and types of the columns."""
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise JetError(f"{source}: missing columns {', '.join(missing)}; those there are: {listing(table.columns)}")
    events = [name for name in EVENT_COLUMNS if name in table.columns]
    kinds = dict.fromkeys(events, np.int64) | dict.fromkeys(FEATURES, np.float32)
    wrong = [name for name, kind in kinds.items() if table[name].dtype != kind]
    if wrong:
        found = ", ".join(f"{name} is {table[name].dtype}" for name in wrong)
        raise JetError(
            f"{source}: {found}; expected int64 for {', '.join(events)} and float32 for the others (see make_table)"
        )


def require_usable(table: pd.DataFrame, source: str, first_row: int = 0, keep_nonfinite: bool = False) -> None:
    """The part of `validate_jets` that looks at values."""
    if problems := find_problems(table, keep_nonfinite):
        refuse_jets([(table, problems)], source, first_row)


def refuse_jets(
    found: Iterable[tuple[pd.DataFrame, dict[str, np.ndarray]]],
    source: str,
    first_row: int = 0,
    advice: str = "",
    hints: Mapping[str, Sequence[str]] | None = None,
) -> NoReturn:
    """Raise JetError with what is wrong with the jets of tables: how many, and the first rows, from `first_row`; with
    `hints`, by what is wrong, on where that is in the file."""
    counts: Counter[str] = Counter()
    shown: dict[str, list[str]] = {}
    for table, problems in found:
        for description, rows in problems.items():
            counts[description] += len(rows)
            column = next((name for name in FEATURES if name in description.replace("|", " ").split()), None)
            values = [f" ({table[column].iloc[row]:g})" if column else "" for row in rows[:5]]
            places = [f"{row + first_row}{value}" for row, value in zip(rows[:5], values, strict=True)]
            shown.setdefault(description, []).extend(places)
        first_row += len(table)
    parts = []
    for description, first in shown.items():
        more = ", ..." if counts[description] > 5 else ""
        hint = "".join(f" ({hint})" for hint in (hints or {}).get(description, ()))
        parts.append(f"{description} in {counts[description]} jets, rows {', '.join(first[:5])}{more}{hint}")
    raise JetError(f"{source}: of {first_row} jets: {'; '.join(parts)}{advice}")


def require_distinct_events(repeated: np.ndarray, source: str) -> None:
    """Raise JetError where there are ids that turned up again: of events whose jets stand apart, or of two events."""
    if len(repeated) == 0:
        return
    names, apart = list(event_columns(repeated)), np.unique(repeated)
    other = [name for name in EVENT_COLUMNS if name not in names]
    advice = f"sort the rows by {', '.join(names)}"
    if other:
        advice += f" if they are of one event, or name the columns of {' and '.join(other)} if they are of several"
    raise JetError(
        f"{source}: jets of one event must stand together, and its {', '.join(names)} be its own; {len(apart)} event "
        f"numbers turn up again later, such as {', '.join(map(str, apart[:5].tolist()))}; {advice}"
    )
