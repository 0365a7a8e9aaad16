"""Tables for people: one look for all commands.

What lives here: the width and the frame. What must not: what a table says. A figure is never
cut short: where a terminal is narrow, it goes on in the next line. Words are shown as they are: an id like
`btc-updown:up:1` holds neither an emoji nor markup.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

_WIDTH_OF_A_FILE: Final = 160


def screen() -> Console:
    """The console of stdout: as wide as the terminal, or wide enough for every column elsewhere."""
    return Console(width=None if sys.stdout.isatty() else _WIDTH_OF_A_FILE, emoji=False)


def grid(title: str, *, words: Iterable[str], figures: Iterable[str], rows: Iterable[Sequence[str]]) -> Table:
    """A table whose first columns are words and whose others are figures."""
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for name in words:
        table.add_column(name, overflow="fold")
    for name in figures:
        table.add_column(name, justify="right", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def pairs(title: str, rows: Iterable[tuple[str, str]]) -> Table:
    """A table of names and values."""
    table = Table(title=title, title_justify="left", title_style="bold", show_header=False, box=box.SIMPLE_HEAD)
    table.add_column()
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(Text(name), Text(value))
    return table
