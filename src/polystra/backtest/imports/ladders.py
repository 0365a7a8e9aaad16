"""Books and spot of windows at a few moments before the close: one JSON object per window, `samples` inside.

What lives here: samples as books as deep as their average prices tell, spot prices, and the window that the object
says of itself. What must not: guesses of what stood deeper.

A sample has the best bid and ask of both outcomes and what 5, 20 and 50 shares would cost on average. From those the
offers are rebuilt: 5 shares, 15 more and 30 more, each at the price that makes the averages true, rounded up to the
grid, never below the best ask. Bids are the other outcome's offers in a mirror. So 50 shares can be bought, at no
less than what they cost then. Spot is another exchange's price and is told as such; at the opening it is `open_px`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from polystra.backtest.imports.lines import Faults, ImportReport, lines_of
from polystra.backtest.imports.windows import ImportedWindow, told_window
from polystra.backtest.recordings.rows import Recorded
from polystra.domain.book import Level
from polystra.domain.errors import PolystraError
from polystra.domain.events import BookSnapshot, PriceSource, PriceTicked
from polystra.domain.market import Market
from polystra.domain.units import E8, MICRO, NS_PER_S, Nanos, ceil_to

_STEPS: Final = ((5, "vwap5"), (20, "vwap20"), (50, "vwap50"))


class _Side(msgspec.Struct, gc=False):
    ask: float | None
    bid: float | None
    vwap5: float | None = None
    vwap20: float | None = None
    vwap50: float | None = None


class _Sample(msgspec.Struct, gc=False):
    t: float
    """Seconds to the close, negative."""
    up: _Side
    down: _Side
    spot: float | None = None


class _Ladder(msgspec.Struct):
    slug: str
    winner: str
    samples: list[_Sample]
    open_px: float | None = None


_LADDER: Final = msgspec.json.Decoder(_Ladder)


def read_ladders(
    path: Path, table: Mapping[str, ImportedWindow], report: ImportReport, *, fee_ppm: int
) -> tuple[list[Recorded], list[ImportedWindow]]:
    """Read a file; returns its inputs in the order of time and its windows.

    A window that `table` has is the table's.

    Raises:
        RecordingError: the file cannot be read or is empty.
    """
    faults = Faults(report, path.name)
    windows: dict[str, ImportedWindow] = {}
    found: list[Recorded] = []
    for number, line in lines_of(path, report):
        try:
            ladder = _LADDER.decode(line)
            window = told_window(table, ladder.slug, ladder.winner, fee_ppm)
            inputs = list(_inputs(ladder, window.market))
        except msgspec.MsgspecError:
            faults.count("not a window with samples", number)
            continue
        except (PolystraError, ValueError) as error:
            faults.count(str(error), number)
            continue
        if ladder.slug in windows:
            faults.count("its window is in the file already", number)
            continue
        windows[ladder.slug] = window
        found += inputs
        report.messages += 1
    report.files += 1
    faults.tell()
    return sorted(found, key=lambda each: each.now_ns), list(windows.values())


def _inputs(ladder: _Ladder, market: Market) -> Iterator[Recorded]:
    if ladder.open_px is not None:
        yield _spot(market, ladder.open_px, market.opens_at_s * NS_PER_S)
    for sample in ladder.samples:
        if not -market.window_s <= sample.t <= 0:
            raise ValueError(f"a sample is {sample.t} s from the close, which is not in the window")
        now_ns = market.closes_at_s * NS_PER_S + round(sample.t * 1_000) * 1_000_000
        if sample.spot is not None:
            yield _spot(market, sample.spot, now_ns)
        up, down = _offers(sample.up, market), _offers(sample.down, market)
        yield Recorded(now_ns, BookSnapshot(token_id=market.up_token, bids=_mirror(down), asks=up, at_ns=now_ns))
        yield Recorded(now_ns, BookSnapshot(token_id=market.down_token, bids=_mirror(up), asks=down, at_ns=now_ns))


def _spot(market: Market, price: float, at_ns: Nanos) -> Recorded:
    if not price > 0:
        raise ValueError(f"a spot price of {price} cannot be")
    return Recorded(
        at_ns, PriceTicked(symbol=market.symbol, source=PriceSource.SPOT, price=round(price * E8), at_ns=at_ns)
    )


def _offers(side: _Side, market: Market) -> tuple[Level, ...]:
    """Levels whose average prices are those of the sample; the best one alone where it tells no averages."""
    if side.ask is None:
        return ()
    best = _price(side.ask)
    levels: dict[int, int] = {}
    shares, cost, last = 0, 0.0, best
    for until, name in _STEPS:
        average: float | None = getattr(side, name)
        if average is None:
            break
        more = until - shares
        at = max(last, ceil_to(_price((until * average - cost) / more), market.tick_size))
        if at >= MICRO:
            break
        levels[at] = levels.get(at, 0) + more * MICRO
        shares, cost, last = until, until * average, at
    return tuple(levels.items())


def _price(price: float) -> int:
    micros = round(price * MICRO)
    if not 0 < micros <= MICRO:
        raise ValueError(f"a price of {price} cannot be")
    return micros


def _mirror(levels: tuple[Level, ...]) -> tuple[Level, ...]:
    return tuple((MICRO - price, size) for price, size in levels)
