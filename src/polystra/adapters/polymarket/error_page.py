"""Writes `docs/venue-errors.md`: `python -m polystra.adapters.polymarket.error_page [--check FILE]`.

What lives here: the layout of that page. What must not: meanings and remedies; they stand in
`error_catalogue`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from polystra.adapters.polymarket.error_catalogue import (
    CATALOGUE,
    DROPPED_STALE,
    NEVER_LEFT,
    REFUSED_WITHOUT_ID,
    UNLISTED,
    WITHDRAWN,
)
from polystra.adapters.polymarket.error_classes import CLASS_MEANINGS, ErrorClass, Row

_HEADER: Final = """\
# What the venue answers, and what it means

Every error that the venue is known to give to an order, a cancel or a question; what polystra does
about it; what you can do. The word at the left is the one that stands first in the message of a log
line. "May have acted: yes" means that the order may be at the venue all the same, so its money stays
reserved until the venue has answered for its id.

This page is written from the table that the program uses
(`python -m polystra.adapters.polymarket.error_page > docs/venue-errors.md`).
"""

_CANCELS: Final = """\
## Cancels

A cancel is answered order by order. Whatever the venue says against one (`already canceled or matched`,
`Order not found`, `Order already matched`, ...), the text is not relied on: the order has ended or never
arrived, so it is looked up. An error for a cancel as a whole (restart, pause, limits) leaves the order
as it was, and the cancel is sent again.
"""


def render() -> str:
    """Return the whole page."""
    rows = (*CATALOGUE, REFUSED_WITHOUT_ID, UNLISTED, NEVER_LEFT, DROPPED_STALE, WITHDRAWN)
    sections = [_section(kind, [row for row in rows if row.kind is kind]) for kind in ErrorClass]
    return "\n".join([_HEADER, *sections, _CANCELS])


def _section(kind: ErrorClass, rows: Iterable[Row]) -> str:
    lines = [
        f"## {kind.value}",
        "",
        f"{_sentence(CLASS_MEANINGS[kind])}",
        "",
        "| code | HTTP | the venue says | meaning | what to do | may have acted |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.code} | {_statuses(row)} | {_said(row)} | {_sentence(row.meaning)} | {_sentence(row.remedy)} "
        f"| {'yes' if row.may_have_acted else 'no'} |"
        for row in rows
    ]
    return "\n".join([*lines, ""])


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."


def _said(row: Row) -> str:
    return f"`{row.said}`" if row.pattern else row.said or "(any text, or none)"


def _statuses(row: Row) -> str:
    if not row.statuses:
        return "any" if row.pattern else ""
    return "5xx" if len(row.statuses) > 1 else str(int(min(row.statuses)))


def main(arguments: list[str]) -> int:
    """Print the page, or with `--check FILE` say whether that file is current (exit code 1 if not)."""
    if not arguments:
        sys.stdout.write(render())
        return 0
    if len(arguments) != 2 or arguments[0] != "--check":  # the two words of `--check FILE`
        sys.stderr.write("usage: python -m polystra.adapters.polymarket.error_page [--check FILE]\n")
        return 2
    path = Path(arguments[1])
    if path.is_file() and path.read_text(encoding="utf-8") == render():
        return 0
    sys.stderr.write(f"{path} is not what the catalogue says: write it again and commit it\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
