"""Looks at recorded windows: what the engine would have known at fixed times before each close, and how it ended.

What lives here: the sampling. What must not: fits, scores, another way of reading prices and books: the looks are
taken from the memory of the engine itself, driven over the recording like a backtest that never trades.

A look at a time sees every input that was taken before that time and none at it or after it. The outcome is learnt
from the verdict, which comes after the close, and is joined to the looks when the run is over.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from polystra.backtest.driver import Driver
from polystra.backtest.recordings.rows import Recorded
from polystra.domain.facts import Fact, MarketRecorded, SettlementRecorded
from polystra.domain.ids import ConditionId
from polystra.domain.market import Market
from polystra.domain.units import MICRO, NS_PER_S, Nanos
from polystra.engine.config import EngineConfig
from polystra.engine.state import EngineState
from polystra.engine.strategy.calibration import UNFITTED
from polystra.engine.strategy.fusion import market_prior
from polystra.engine.strategy.signal import Reading, unread
from polystra.engine.strategy.signals import book_imbalance, momentum
from polystra.engine.strategy.view import observe
from polystra.matching.paper_venue import PaperRules

TIMES_S: Final = (10, 20, 30, 45, 60, 75, 90, 120, 150, 180, 210, 240, 270, 300, 420, 540, 660, 780, 1_800, 3_000)
"""Seconds before the close at which a window is looked at; those beyond its length are left out."""
_OPEN_S: Final = 10
"""No look in the first seconds of a window."""
_NEVER_NS: Final[Nanos] = 1 << 62


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One window at one moment. `readings` are those of the signals but the fair value, which rests on what is fitted.

    `deviations` is the fair value's argument (see `fair_value.deviations_up`) at the measured volatility, and
    `quality` the confidence in it. `block` is what windows that depend on one another share: their closing time.
    """

    window: str
    symbol: str
    window_s: int
    block: int
    seconds_left: int
    prior: float | None
    deviations: float | None
    quality: float
    readings: tuple[Reading, ...]
    up: bool


class LookSampler:
    """Takes looks while it drives the engine over one recording."""

    def __init__(self, config: EngineConfig, times_s: Sequence[int] = TIMES_S) -> None:
        blind = replace(config.strategy, calibration=UNFITTED)
        self._config = replace(config, strategy=blind, evaluate_every_ns=_NEVER_NS)
        self._times_s = times_s
        self._driver = Driver(self._config, PaperRules(), self._facts)
        self._known: set[ConditionId] = set()
        self._looks: list[tuple[ConditionId, Look]] = []
        self._payouts: dict[ConditionId, int] = {}

    def run(self, inputs: Iterable[Recorded]) -> list[Look]:
        """Drive the engine over the inputs; return the looks of the windows that ended Up or Down, by time."""
        self._driver.run(inputs)
        ended = {condition: payout == MICRO for condition, payout in self._payouts.items() if payout in (0, MICRO)}
        looks = [replace(look, up=ended[condition]) for condition, look in self._looks if condition in ended]
        return sorted(looks, key=lambda look: (look.block, look.window, -look.seconds_left))

    def _facts(self, facts: Sequence[Fact], now_ns: Nanos) -> None:
        for fact in facts:
            if isinstance(fact, MarketRecorded) and fact.market.condition_id not in self._known:
                self._known.add(fact.market.condition_id)
                self._plan(fact.market, now_ns)
            elif isinstance(fact, SettlementRecorded):
                self._payouts[fact.condition_id] = fact.up_payout

    def _plan(self, market: Market, now_ns: Nanos) -> None:
        for left_s in self._times_s:
            due_ns = (market.closes_at_s - left_s) * NS_PER_S
            if left_s <= market.window_s - _OPEN_S and due_ns > now_ns:
                self._driver.at(due_ns, partial(self._look, market.condition_id, left_s))

    def _look(self, condition_id: ConditionId, left_s: int, now_ns: Nanos) -> None:
        look = look_at(self._driver.state, condition_id, left_s, now_ns)
        if look is not None:
            self._looks.append((condition_id, look))


def look_at(state: EngineState, condition_id: ConditionId, left_s: int, now_ns: Nanos) -> Look | None:
    """What is known of a market now (its outcome is not), None when it is not watched; what is stale is not known."""
    known = state.markets.get(condition_id)
    if known is None or known.frozen or known.market.symbol not in state.prices:
        return None
    market, config = known.market, state.config
    up, down = known.books[market.up_token], known.books[market.down_token]
    oldest_ns = now_ns - config.risk.stale_book_ns
    trusted = all(book.in_sync and not book.is_crossed and book.updated_at_ns >= oldest_ns for book in (up, down))
    view = observe(
        market,
        state.prices[market.symbol],
        up,
        down,
        now_ns=now_ns,
        bankroll=0,
        exposure_left=0,
        price_to_beat=known.price_to_beat,
    )
    fresh = view.price_age_s is not None and view.price_age_s <= config.strategy.max_price_age_s
    return Look(
        window=market.slug,
        symbol=market.symbol,
        window_s=market.window_s,
        block=market.closes_at_s,
        seconds_left=left_s,
        prior=market_prior(up, down) if trusted else None,
        deviations=view.deviations_up if fresh and view.price_to_beat is not None else None,
        quality=view.fair_value_confidence,
        readings=(
            book_imbalance.read(up, down, market.tick_size) if trusted else unread(book_imbalance.NAME, "no book"),
            view.momentum if fresh else unread(momentum.NAME, "no fresh price"),
        ),
        up=False,
    )
