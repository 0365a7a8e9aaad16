"""The shape of the fault table: a row with its cases, a case with its tests.

What lives here: the two records. What must not: the rows themselves (`fault_rows`), the page (`fault_table`).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that is done to the daemon: the tests that hold it, or why there is nothing to hold yet."""

    what: str
    held_by: tuple[str, ...] = ()
    not_built: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One way to lose money: in words for operators what goes wrong and what the daemon does, and the cases."""

    number: int
    name: str
    wrong: str
    answer: str
    cases: tuple[Case, ...]


def case(what: str, *held_by: str) -> Case:
    """A case that tests hold."""
    return Case(what, held_by)


def unbuilt(what: str, why: str) -> Case:
    """A case of something that this program does not do."""
    return Case(what, not_built=why)
