"""The failures that have cost people money, each case of each with the tests that hold it.

What lives here: the table, in data, and the page for operators that is written from it (`docs/failures.md`:
`python -m tests.fault_table > docs/failures.md`). What must not: tests; `unit/test_fault_table.py` checks that
every name exists. A test is named by its path below tests/ and its function, a scenario by its file.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.fault_rows import ROWS
from tests.fault_words import Case, Row

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "failures.md"
_HEAD: Final = """# What goes wrong, and what the daemon does then

Each row is a way in which programs like this one have lost money. The first table is for reading; below it
stand the cases of every row with the tests that hold them (paths below `tests/`; a file of `tests/scenarios`
is a run of the whole daemon against the built-in exchange). This page is written from `tests/fault_rows_*.py` by
`python -m tests.fault_table > docs/failures.md`.

| | what goes wrong | what the daemon does | cases held by tests |
|---|---|---|---|
"""


def page(rows: Sequence[Row] = ROWS) -> str:
    """The whole page."""
    table = "".join(_line(row) for row in rows)
    return _HEAD + table + "".join(_cases(row) for row in rows)


def _line(row: Row) -> str:
    held = sum(1 for case in row.cases if case.held_by)
    return f"| {row.number} | {row.wrong} | {row.answer} | {held} of {len(row.cases)} |\n"


def _cases(row: Row) -> str:
    lines = [f"\n## {row.number} {row.name}\n\n"]
    lines += [f"- {case.what}: {_tests(case)}\n" for case in row.cases]
    return "".join(lines)


def _tests(case: Case) -> str:
    told = [f"`{test}`" for test in case.held_by]
    if case.not_built:
        told.append(f"not built: {case.not_built}")
    return ", ".join(told)


if __name__ == "__main__":
    sys.stdout.write(page())
