"""One self-contained HTML page out of figures, tables and sentences: the reports of `backtest`, `sweep` and `compare`.

What lives here: the page's layout and look, and escaping. What must not: what a report says, drawing
(`report_figures`: the drawing library is slow to import, so only those who draw import it).

The page asks nothing of the network: no script, no font, no picture from elsewhere, and its own policy forbids any.
It follows the reader's light or dark scheme, and wide figures and tables scroll sideways on a narrow screen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final, TypeAlias

from polystra.domain.errors import ConfigError

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1f2430; --dim: #5d6675; --paper: #ffffff; --line: #d8dde6; --card: #f6f8fb;
  --warn: #8a4b00; --warn-paper: #fff4e0; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ef; --dim: #9aa4b5; --paper: #14171d; --line: #323945;
  --card: #1b2028; --warn: #ffc66d; --warn-paper: #33270f; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: .5rem 0; }
h2 { font-size: 1.2rem; margin: 2rem 0 .5rem; border-bottom: 1px solid var(--line); padding-bottom: .25rem; }
h3 { font-size: 1rem; margin: 1rem 0 .25rem; }
p { margin: .5rem 0; max-width: 60rem; }
.dim, figcaption, footer { color: var(--dim); font-size: .875rem; }
.warn { border-left: 4px solid var(--warn); background: var(--warn-paper); padding: .5rem .75rem; max-width: none; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); gap: .5rem; margin: .75rem 0; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .4rem; padding: .5rem .75rem; }
.card b { display: block; font-size: 1.1rem; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.card span { color: var(--dim); font-size: .8rem; }
.wide { overflow-x: auto; max-width: 100%; }
figure { margin: 1rem 0; }
figure svg { display: block; width: 100%; min-width: 36rem; height: auto; color: var(--ink); }
table { border-collapse: collapse; font-size: .875rem; width: 100%; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--dim); font-weight: 600; white-space: nowrap; }
td.figure, th.figure { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
details > summary { cursor: pointer; color: var(--dim); padding: .25rem 0; }
@media print { figure, table { break-inside: avoid; } }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cards:
    """Headline figures: (name, value)."""

    pairs: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A paragraph; with `warning` set apart from the others."""

    text: str
    warning: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A figure: `svg` is an `<svg>` element without ids that another one has (see `report_figures.Chart.svg`)."""

    title: str
    caption: str
    svg: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A table: columns of words, then columns of figures (aligned to the right). `folded` hides it until asked for."""

    title: str = ""
    words: Sequence[str]
    figures: Sequence[str] = ()
    rows: Sequence[Sequence[str]]
    folded: bool = False


Block: TypeAlias = Cards | Text | Drawing | Grid


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A headline and what stands under it."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The whole report. `lead` stands under the title; `caveats` are set apart before anything else."""

    title: str
    lead: str
    caveats: Sequence[str]
    sections: Sequence[Section]
    footer: str = ""

    def html(self) -> str:
        """The page as one document."""
        parts = [
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            f"<title>{escape(self.title)}</title><style>{_STYLE}</style></head><body>",
            f"<header><h1>{escape(self.title)}</h1><p>{escape(self.lead)}</p></header>",
            *(f'<p class="warn">{escape(each)}</p>' for each in self.caveats),
            *(_section(each) for each in self.sections),
            f"<footer><p>{escape(self.footer)}</p></footer>" if self.footer else "",
            "</body></html>\n",
        ]
        return "\n".join(part for part in parts if part)

    def write(self, path: Path) -> None:
        """Write the page into a file, making its folder.

        Raises:
            ConfigError: it cannot be written.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self.html(), encoding="utf-8")
        except OSError as error:
            raise ConfigError(
                f"{path}: the page cannot be written ({error.strerror or error}); name another file"
            ) from error


def _section(section: Section) -> str:
    inside = "\n".join(_block(each) for each in section.blocks)
    return f"<section><h2>{escape(section.title)}</h2>\n{inside}</section>"


def _block(block: Block) -> str:
    match block:
        case Cards():
            cards = (
                f'<div class="card"><span>{escape(name)}</span><b>{escape(value)}</b></div>'
                for name, value in block.pairs
            )
            return f'<div class="cards">{"".join(cards)}</div>'
        case Text():
            return f'<p class="warn">{escape(block.text)}</p>' if block.warning else f"<p>{escape(block.text)}</p>"
        case Drawing():
            title = f"<h3>{escape(block.title)}</h3>" if block.title else ""
            return (
                f'<figure>{title}<div class="wide">{block.svg}</div>'
                f"<figcaption>{escape(block.caption)}</figcaption></figure>"
            )
        case Grid():
            return _grid(block)


def _grid(grid: Grid) -> str:
    words = len(grid.words)

    def cell(tag: str, place: int, text: str) -> str:
        kind = ' class="figure"' if place >= words else ""
        return f"<{tag}{kind}>{escape(text)}</{tag}>"

    head = "".join(cell("th", place, name) for place, name in enumerate((*grid.words, *grid.figures)))
    rows = "\n".join(
        f"<tr>{''.join(cell('td', place, text) for place, text in enumerate(row))}</tr>" for row in grid.rows
    )
    table = f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>\n{rows}</tbody></table></div>'
    if grid.folded:
        return f"<details><summary>{escape(grid.title)} ({len(grid.rows)})</summary>{table}</details>"
    return f"<h3>{escape(grid.title)}</h3>{table}" if grid.title else table
