"""Imported pieces as one recording: markets, books, prices, verdicts, in the order of time.

What lives here: what a stream would have said beside the pieces that somebody recorded: that it is connected, which
markets there are, how they ended. What must not: reading the pieces (the modules beside this one).

A market is listed `LISTED_BEFORE_S` before it opens and its verdict is confirmed `VERDICT_AFTER_S` after its close,
when the recorder does not say; the streams count as connected from the first input on. A market whose books were
recorded before it would have been listed is listed with the first of them.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from polystra.backtest.imports.full_depth import FullDepth
from polystra.backtest.imports.lines import ImportReport
from polystra.backtest.imports.windows import ImportedWindow
from polystra.backtest.recordings.rows import Recorded
from polystra.domain.errors import RecordingError
from polystra.domain.events import MarketResolved, MarketsListed, StreamConnected, StreamName
from polystra.domain.market import Market
from polystra.domain.units import NS_PER_S, Nanos

LISTED_BEFORE_S: Final = 30
VERDICT_AFTER_S: Final = 30
_SUFFIX: Final = ".book.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """What somebody recorded, in the order of time, and the markets that it is about.

    `windows` ended as they say; of `markets` nobody knows how they ended.
    """

    inputs: Iterable[Recorded]
    first_ns: Nanos
    windows: Sequence[ImportedWindow] = ()
    markets: Sequence[Market] = ()
    has_prices: bool = False


def piece_of(
    inputs: Sequence[Recorded],
    *,
    windows: Sequence[ImportedWindow] = (),
    markets: Sequence[Market] = (),
    has_prices: bool = False,
) -> list[Piece]:
    """A piece that is in memory; none where it is empty."""
    if not inputs:
        return []
    return [Piece(inputs=inputs, first_ns=inputs[0].now_ns, windows=windows, markets=markets, has_prices=has_prices)]


def feed_piece(feed: Sequence[Recorded], windows: Mapping[str, ImportedWindow]) -> list[Piece]:
    """A settlement feed with all windows of the table: they can be forecast, if not traded."""
    return piece_of(feed, windows=tuple(windows.values()), has_prices=True)


def chosen(windows: Mapping[str, ImportedWindow], slugs: Collection[str]) -> list[ImportedWindow]:
    """The windows of a table that a piece is about."""
    return [window for slug, window in windows.items() if slug in slugs]


def book_pieces(windows: Mapping[str, ImportedWindow], books: Sequence[Path], report: ImportReport) -> Iterator[Piece]:
    """Files of full-depth books, each found to its window by its name; strangers are left out with a note."""
    for path in books:
        slug = path.name.partition(_SUFFIX)[0]
        window = windows.get(slug)
        if window is None:
            report.notes.append(f"{path.name}: no row of the outcome table is about {slug}; the file is left out")
            continue
        market = window.market
        inputs = FullDepth(path, market.up_token, market.down_token, report)
        yield Piece(inputs=inputs, first_ns=(market.opens_at_s - LISTED_BEFORE_S) * NS_PER_S, windows=(window,))


def assemble(pieces: Sequence[Piece], report: ImportReport) -> Iterator[Recorded]:
    """Yield everything in the order of time. Windows that two pieces tell of are listed once, as the first tells.

    Raises:
        RecordingError: nothing belongs together.
    """
    windows: dict[str, ImportedWindow] = {}
    for each in (window for piece in pieces for window in piece.windows):
        known = windows.setdefault(each.market.slug, each)
        if known.winner is not each.winner:
            report.notes.append(f"{each.market.slug}: two files tell different winners; {known.winner} is kept")
    open_ended = {market.slug: (market, piece.first_ns) for piece in pieces for market in piece.markets}
    if not windows and not open_ended:
        raise RecordingError(
            "nothing to import: no book file belongs to a row of the outcome table, and no feed is given"
        )
    edges = sorted(_edges(windows.values(), open_ended.values()), key=_time)
    begin_ns = min([edges[0].now_ns, *(piece.first_ns for piece in pieces)])
    streams = [StreamName.MARKET, *((StreamName.PRICES,) if any(piece.has_prices for piece in pieces) else ())]
    yield from (Recorded(begin_ns, StreamConnected(stream=stream)) for stream in streams)
    yield from heapq.merge(edges, *(piece.inputs for piece in pieces), key=_time)


def _time(recorded: Recorded) -> Nanos:
    return recorded.now_ns


def _edges(windows: Iterable[ImportedWindow], open_ended: Iterable[tuple[Market, Nanos]]) -> Iterator[Recorded]:
    for window in windows:
        market = window.market
        yield Recorded((market.opens_at_s - LISTED_BEFORE_S) * NS_PER_S, MarketsListed(markets=(market,)))
        verdict_ns = (market.closes_at_s + VERDICT_AFTER_S) * NS_PER_S
        verdict = MarketResolved(condition_id=market.condition_id, up_payout=window.up_payout, at_ns=verdict_ns)
        yield Recorded(verdict_ns, verdict)
    for market, first_ns in open_ended:
        listed_ns = (market.opens_at_s - LISTED_BEFORE_S) * NS_PER_S
        yield Recorded(min(listed_ns, first_ns), MarketsListed(markets=(market,)))
