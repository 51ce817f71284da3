"""Reading back what was written: every value of every branch beside that of the source."""

from collections.abc import Iterator
from dataclasses import replace

from utils.trees.arrays import pieces
from utils.trees.bounds import Errors
from utils.trees.ntuple import field_names
from utils.trees.policy import Plan
from utils.trees.read import iter_chunks, read_chunk
from utils.trees.schema import Column, Tree, TreeError


def require_same(plan: Plan, found: Tree, source: str, path: str) -> Iterator[int]:
    """Compare a tree that was written to `path` with its plan, chunk by chunk; yields the numbers of entries.

    TreeError, with the name of the source, where a branch is not, in name, title, form or any value, what it should be:
    the same bit for bit, or within its bound.
    """
    if found.entries != plan.tree.entries:
        raise TreeError(f"{source}: tree {found.name}: {found.entries} entries were written, not {plan.tree.entries}")
    pairs = list(_twins(plan, found))
    for column, twin in pairs:
        if twin.form != column.form or (column.title and twin.title != column.title):
            raise TreeError(f"{source}: tree {found.name}: branch {column.name} was not written as it is")
    for start, stop, chunk in iter_chunks(plan.tree, plan.columns, source):
        for column, twin in pairs:
            again = read_chunk(found, [twin], start, stop, path)[twin.name]
            both = zip(pieces(chunk[column.name]), pieces(again), strict=True)
            if not all(Errors().add(one, other, plan.bounds[column.name]) for one, other in both):
                raise TreeError(
                    f"{source}: tree {found.name}: branch {column.name}: entries {start} to {stop} were not written as "
                    "they should be; nothing was kept"
                )
        yield stop - start


def _twins(plan: Plan, found: Tree) -> Iterator[tuple[Column, Column]]:
    """Each column of the source beside what was written of it."""
    if found.kind == "TTree":
        back = {column.name: column for column in found.columns}
        yield from ((column, back[column.name]) for column in plan.columns)
        return
    names = field_names(plan.columns)
    for column in plan.columns:
        key = names[column.name]
        yield column, replace(column, key=key, title=str(found.source[key].description or ""))
