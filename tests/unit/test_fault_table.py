"""The fault table cannot rot: every row is there, every case names tests that exist, and the page is current."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.fault_rows import ROWS
from tests.fault_table import PAGE, page
from tests.fault_words import Case, Row
from tests.simulation.scenario_file import load

TESTS = Path(__file__).resolve().parents[1]
CASES = [pytest.param(row, case, id=f"{row.number}-{number}") for row in ROWS for number, case in enumerate(row.cases)]


@cache
def functions(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))


def problem(test: str) -> str:
    """Why a name is no test of ours; empty: it is one."""
    place, _, function = test.partition("::")
    path = TESTS / place
    if not path.is_file():
        return f"{place} does not exist"
    if place.startswith("scenarios/"):
        return load(path).known
    if not function.startswith("test_"):
        return f"{test} names no test"
    return "" if function in functions(path) else f"{function} is not in {place}"


def test_every_row_is_there_once_and_in_order() -> None:
    assert [row.number for row in ROWS] == list(range(1, 23))
    assert all(row.cases for row in ROWS)


@pytest.mark.parametrize(("row", "case"), CASES)
def test_every_case_names_tests_that_exist_or_says_why_there_is_none(row: Row, case: Case) -> None:
    assert bool(case.held_by) != bool(case.not_built), f"{row.number}: {case.what}"
    assert [words for words in map(problem, case.held_by) if words] == []


def test_a_name_that_is_no_test_is_noticed() -> None:
    assert "does not exist" in problem("scenarios/no-such-day.yaml")
    assert "is not in" in problem("unit/test_fault_table.py::test_nothing")
    assert "names no test" in problem("unit/test_fault_table.py")


def test_no_case_is_told_twice_in_a_row() -> None:
    for row in ROWS:
        told = [case.what for case in row.cases]
        assert len(told) == len(set(told)), row.name


def test_the_page_for_operators_is_written_from_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m tests.fault_table > docs/failures.md"
