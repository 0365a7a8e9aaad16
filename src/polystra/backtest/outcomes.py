"""Does the settlement rule say what really happened? The rule's outcome of recorded windows beside the recorded one.

What lives here: the outcome that the engine's own price memory derives from a feed. What must not: forecasts.
A window counts only where the feed is complete at both boundaries: a tick at the boundary's very second for the last
price, the coverage that the engine itself asks for where averages settle. What is not complete is told, not guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from polystra.backtest.imports.windows import ImportedWindow
from polystra.backtest.recordings.rows import Recorded
from polystra.domain.events import PriceTicked
from polystra.domain.market import Outcome
from polystra.domain.units import NS_PER_S, PriceE8
from polystra.engine.strategy.prices import LATE_S, PriceWindow


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivedOutcome:
    """One window. `derived` is None where the feed has a hole at a boundary."""

    window: ImportedWindow
    opening: PriceE8 | None
    closing: PriceE8 | None
    derived: Outcome | None

    @property
    def agrees(self) -> bool | None:
        """Whether rule and record agree; None where nothing was derived."""
        return None if self.derived is None else self.derived is self.window.winner


def derive_outcomes(windows: Sequence[ImportedWindow], feed: Iterable[Recorded]) -> Iterator[DerivedOutcome]:
    """Walk the feed once and settle every window by its own rule; in the order of their ends.

    Each boundary is read when the feed is half a minute beyond it, so that late corrections are in.
    """
    ordered = sorted(windows, key=lambda window: window.market.closes_at_s)
    boundaries = sorted({s for w in ordered for s in (w.market.opens_at_s, w.market.closes_at_s)})
    ticks = [recorded.event for recorded in feed if isinstance(recorded.event, PriceTicked)]
    seconds = {(tick.symbol, tick.at_ns // NS_PER_S) for tick in ticks}
    prices: dict[tuple[str, int, int], PriceE8 | None] = {}
    memory = {window.market.symbol: PriceWindow(window.market.symbol) for window in ordered}
    lookbacks = {window.market.rule.lookback_s for window in ordered}
    due = iter(boundaries)
    boundary = next(due, None)
    for tick in [*ticks, None]:
        while boundary is not None and (tick is None or tick.at_ns // NS_PER_S > boundary + LATE_S):
            for symbol, window in memory.items():
                for lookback in lookbacks:
                    complete = lookback > 0 or (symbol, boundary) in seconds
                    price = window.price_to_beat(boundary, lookback) if complete else None
                    prices[symbol, boundary, lookback] = price
            boundary = next(due, None)
        if tick is not None and tick.symbol in memory:
            memory[tick.symbol].observe(tick)
    for each in ordered:
        market = each.market
        opening = prices[market.symbol, market.opens_at_s, market.rule.lookback_s]
        closing = prices[market.symbol, market.closes_at_s, market.rule.lookback_s]
        derived = None
        if opening is not None and closing is not None:
            derived = Outcome.UP if closing >= opening else Outcome.DOWN
        yield DerivedOutcome(window=each, opening=opening, closing=closing, derived=derived)
