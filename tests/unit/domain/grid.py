"""Reads a transition table drawn as text: a second telling, independent of the code's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

S = TypeVar("S")
E = TypeVar("E")


def read_grid(text: str, names: Mapping[str, str] | None = None) -> dict[tuple[str, str], str | None]:
    """Return (row, column) -> target; "=" stays, "." is refused, `names` expands short targets."""
    long = names or {}
    lines = [line.split() for line in text.strip().splitlines()]
    columns = lines[0]
    cells: dict[tuple[str, str], str | None] = {}
    for row, *targets in lines[1:]:
        assert len(targets) == len(columns), row
        for column, target in zip(columns, targets, strict=True):
            cells[(row, column)] = None if target == "." else row if target == "=" else long.get(target, target)
    return cells


def reachable(table: Mapping[tuple[S, E], S], start: S) -> set[S]:
    """Every state that some chain of events leads to from `start`."""
    seen = {start}
    frontier = [start]
    while frontier:
        state = frontier.pop()
        for (source, _), target in table.items():
            if source == state and target not in seen:
                seen.add(target)
                frontier.append(target)
    return seen
