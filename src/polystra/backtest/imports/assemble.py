"""Imported pieces as one recording: markets, books, the settlement feed, verdicts, in the order of time.

What lives here: what a stream would have said beside the pieces that somebody recorded: that it is connected, which
markets there are, how they ended. What must not: reading the pieces (`full_depth`, `windows`, `settlement_feed`).

A market is listed `LISTED_BEFORE_S` before it opens and its verdict is confirmed `VERDICT_AFTER_S` after its close,
when the recorder does not say; the streams count as connected from the first input on.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from polystra.backtest.imports.full_depth import FullDepth
from polystra.backtest.imports.lines import ImportReport
from polystra.backtest.imports.windows import ImportedWindow
from polystra.backtest.recordings.rows import Recorded
from polystra.domain.errors import RecordingError
from polystra.domain.events import MarketResolved, MarketsListed, StreamConnected, StreamName
from polystra.domain.units import NS_PER_S, Nanos

LISTED_BEFORE_S: Final = 30
VERDICT_AFTER_S: Final = 30
_SUFFIX: Final = ".book.jsonl"


def assemble(
    windows: Sequence[ImportedWindow], books: Sequence[Path], feed: Iterable[Recorded], report: ImportReport
) -> Iterator[Recorded]:
    """Yield everything in the order of time; book files are found to their windows by their names.

    Windows without a book file are kept where there is a feed: their outcome can be forecast, if not traded.

    Raises:
        RecordingError: nothing belongs together.
    """
    prices = list(feed)
    by_slug = {window.market.slug: window for window in windows}
    sources: list[Iterable[Recorded]] = [prices]
    used: list[ImportedWindow] = list(windows) if prices else []
    for path in books:
        slug = path.name.partition(_SUFFIX)[0]
        window = by_slug.get(slug)
        if window is None:
            report.notes.append(f"{path.name}: no row of the outcome table is about {slug}; the file is left out")
            continue
        if window not in used:
            used.append(window)
        sources.append(FullDepth(path, window.market.up_token, window.market.down_token, report))
    if not used:
        raise RecordingError(
            "nothing to import: no book file belongs to a row of the outcome table, and no feed is given"
        )
    edges = sorted(_edges(used), key=_time)
    begin_ns = min([edges[0].now_ns, *(prices[0].now_ns for _ in prices[:1])])
    streams = [StreamName.MARKET, *((StreamName.PRICES,) if prices else ())]
    yield from (Recorded(begin_ns, StreamConnected(stream=stream)) for stream in streams)
    yield from heapq.merge(edges, *sources, key=_time)


def _time(recorded: Recorded) -> Nanos:
    return recorded.now_ns


def _edges(windows: Iterable[ImportedWindow]) -> Iterator[Recorded]:
    for window in windows:
        market = window.market
        yield Recorded((market.opens_at_s - LISTED_BEFORE_S) * NS_PER_S, MarketsListed(markets=(market,)))
        verdict_ns = (market.closes_at_s + VERDICT_AFTER_S) * NS_PER_S
        verdict = MarketResolved(condition_id=market.condition_id, up_payout=window.up_payout, at_ns=verdict_ns)
        yield Recorded(verdict_ns, verdict)
