"""Which recorded windows there were and how they ended: `windows.csv` and outcome tables of other recorders.

What lives here: rows of such a table as markets with their verdicts. What must not: books, prices between the
boundaries. Columns are known by name: `slug`, `start`, `end`, `winner` (Up, Down) always; `condition_id`,
`up_token`, `down_token`, `open_price` or `open_price_strike`, `close_price` or `close_price_feed_at_end`,
`sub_cent_msgs` where they are. A token that nobody noted gets a name of its own, so that its book can be told.

What a table does not say is taken from the recorder's days and stated here: the smallest order is 5 shares, the grid
one cent (a tenth of it where the table counted finer prices), the taker's rate as the caller gives it, and the market
settles on the last price.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from pathlib import Path
from typing import Final

from polystra.backtest.imports.lines import Faults, ImportReport, table_rows
from polystra.domain.errors import PolystraError
from polystra.domain.ids import ConditionId, TokenId
from polystra.domain.market import FeeSchedule, Market, Outcome, ResolutionKind, ResolutionRule
from polystra.domain.units import E8, MICRO, PriceE8

DEFAULT_FEE_PPM: Final = 70_000
"""The rate that crypto markets showed in July 2026; in April it was 72_000."""
_LENGTHS: Final = {"5m": 300, "15m": 900}
_NEEDED: Final = ("slug", "start", "end", "winner")
_LAST: Final = ResolutionRule(kind=ResolutionKind.LAST, lookback_s=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedWindow:
    """One window; prices in 10^-8 dollars, None where nobody noted them."""

    market: Market
    winner: Outcome
    open_price: PriceE8 | None
    close_price: PriceE8 | None

    @property
    def up_payout(self) -> int:
        """What an Up share paid, in micro-dollars."""
        return MICRO if self.winner is Outcome.UP else 0


def read_windows(path: Path, report: ImportReport, *, fee_ppm: int = DEFAULT_FEE_PPM) -> list[ImportedWindow]:
    """Read a table; rows that cannot be used are left out, counted and said.

    Raises:
        RecordingError: the file cannot be read, is empty, or lacks a column.
    """
    faults = Faults(report, path.name)
    found: dict[str, ImportedWindow] = {}
    for number, row in table_rows(path, report, faults, _NEEDED):
        try:
            window = window_of(row, fee_ppm)
        except (PolystraError, ValueError) as error:
            faults.count(str(error), number)
            continue
        if window.market.slug in found:
            faults.count("the window is in the table already", number)
            continue
        found[window.market.slug] = window
        report.messages += 1
    report.files += 1
    faults.tell()
    return sorted(found.values(), key=lambda window: window.market.opens_at_s)


def told_window(table: Mapping[str, ImportedWindow], slug: str, winner: str, fee_ppm: int) -> ImportedWindow:
    """Return the window that a recording tells itself, as the table has it where it has it.

    Raises:
        ValueError: it is no up/down window, or the table knows another winner.
    """
    start = slug.rpartition("-")[2]
    length = _LENGTHS.get(slug.split("-")[2] if slug.count("-") == 3 else "", 0)
    end = str(int(start) + length) if start.isdecimal() else ""
    window = window_of({"slug": slug, "start": start, "end": end, "winner": winner}, fee_ppm)
    known = table.get(slug, window)
    if known.winner is not window.winner:
        raise ValueError("its winner is not the one of the table of windows")
    return known


def window_of(row: Mapping[str, str], fee_ppm: int) -> ImportedWindow:
    """Make a window of a row with the columns of the module docstring.

    Raises:
        ValueError: it is no up/down window, or it ended in neither way.
    """
    slug = row["slug"]
    parts = slug.split("-")
    length = _LENGTHS.get(parts[2] if len(parts) == 4 else "")
    if length is None or parts[1] != "updown":
        raise ValueError(f"the slug {slug!r} names no up/down window of 5m or 15m")
    start, end = int(row["start"]), int(row["end"])
    if end - start != length or str(start) != parts[3]:
        raise ValueError(f"the window {slug} does not run from {start} to {end}")
    words = {"up": Outcome.UP, "down": Outcome.DOWN}
    winner = words.get(row["winner"].strip().lower())
    if winner is None:
        raise ValueError(f"the winner of the window is {row['winner']!r}, not Up or Down")
    market = Market(
        condition_id=ConditionId(row.get("condition_id") or f"condition:{slug}"),
        slug=slug,
        symbol=parts[0].upper(),
        window_s=length,
        opens_at_s=start,
        closes_at_s=end,
        up_token=TokenId(row.get("up_token") or f"up:{slug}"),
        down_token=TokenId(row.get("down_token") or f"down:{slug}"),
        tick_size=1_000 if int(row.get("sub_cent_msgs") or 0) else 10_000,
        minimum_size=5 * MICRO,
        fees=FeeSchedule(rate_ppm=fee_ppm),
        rule=_LAST,
    )
    return ImportedWindow(
        market=market,
        winner=winner,
        open_price=_price(row, "open_price", "open_price_strike"),
        close_price=_price(row, "close_price", "close_price_feed_at_end"),
    )


def _price(row: Mapping[str, str], *names: str) -> PriceE8 | None:
    """Rounded half to even to 10^-8 dollars: some recorders kept prices as binary floats."""
    text = next((row[name] for name in names if row.get(name)), "")
    if not text:
        return None
    try:
        return int((Decimal(text) * E8).to_integral_value(ROUND_HALF_EVEN))
    except InvalidOperation:
        raise ValueError(f"the price {text!r} is not a number") from None
