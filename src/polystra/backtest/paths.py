"""The course of markets, to be drawn: the market's price as the book showed it, and what each forecaster said.

What lives here: sampling while a recording runs, and which markets are kept. What must not: scores, drawing.

A market is sampled some 300 times over its window whatever its length; the forecasters are asked for their opinion
then, which changes nothing in the run. Only `most` markets are kept once they are
settled: those that were traded first, and among them those with the largest results; so memory does not grow with
the recording.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from polystra.backtest.forecasts import FAIR_VALUE, MARKET, opinions
from polystra.backtest.trades import Quote
from polystra.domain.facts import Fact, FillRecorded, MarketRecorded, SettlementRecorded
from polystra.domain.ids import ConditionId, TokenId
from polystra.domain.market import Market
from polystra.domain.units import NS_PER_S, Nanos
from polystra.engine.strategy.evaluate import Evaluation
from polystra.engine.strategy.fusion import FusionWeights

_SAMPLES: Final = 300


@dataclass(slots=True)
class MarketPath:
    """One market. Probabilities of Up; `quotes` are mid prices of the Up token in micro-dollars."""

    market: Market
    price_to_beat: int | None = None
    quotes: list[tuple[Nanos, int]] = field(default_factory=list)
    forecasts: dict[str, list[tuple[Nanos, float]]] = field(default_factory=dict)
    fills: int = 0
    up_payout: int | None = None
    realised_pnl: int = 0
    sampled_ns: Nanos = 0
    """When it was looked at last."""

    @property
    def weight(self) -> tuple[bool, int, str]:
        """How much it is worth keeping."""
        return self.fills > 0, abs(self.realised_pnl), self.market.slug

    @property
    def step_ns(self) -> Nanos:
        """The least time between two samples."""
        return max(1, self.market.window_s // _SAMPLES) * NS_PER_S


@dataclass(slots=True)
class PathSampler:
    """Give `take` every batch of facts and `sample` the time as it passes; then read `paths`."""

    weights: FusionWeights
    most: int = 24
    _live: dict[ConditionId, MarketPath] = field(default_factory=dict)
    _kept: list[tuple[tuple[bool, int, str], int, MarketPath]] = field(default_factory=list)
    _held: int = 0
    settled: int = 0
    """Markets that were settled, kept or not."""

    def take(self, facts: Sequence[Fact]) -> None:
        """Collect one batch."""
        for fact in facts:
            match fact:
                case MarketRecorded(market=market) if fact.at_ns < market.closes_at_s * NS_PER_S:
                    path = self._live.setdefault(market.condition_id, MarketPath(market))
                    path.market, path.price_to_beat = market, fact.price_to_beat
                case FillRecorded(is_new=True, fill=fill) if fill.condition_id in self._live:
                    self._live[fill.condition_id].fills += 1
                case SettlementRecorded() if fact.condition_id in self._live:
                    path = self._live.pop(fact.condition_id)
                    path.up_payout, path.realised_pnl = fact.up_payout, fact.realised_pnl
                    self._keep(path)
                case _:
                    pass

    def sample(
        self,
        now_ns: Nanos,
        quote: Callable[[TokenId], Quote],
        opinion: Callable[[ConditionId], Evaluation | None],
    ) -> None:
        """Look at the books of open windows and ask the forecasters."""
        for condition_id, path in self._live.items():
            market = path.market
            if not market.opens_at_s * NS_PER_S <= now_ns < market.closes_at_s * NS_PER_S:
                continue
            if now_ns - path.sampled_ns < path.step_ns:
                continue
            path.sampled_ns = now_ns
            bid, ask = quote(market.up_token)
            if bid is not None and ask is not None:
                path.quotes.append((now_ns, (bid + ask) // 2))
            told = opinion(condition_id)
            if told is not None:
                self._opinion(path, told, now_ns)

    def absorb(self, later: PathSampler) -> None:
        """Add what a later recording showed."""
        self.settled += later.settled
        for _, _, path in later._kept:
            self._hold(path)

    @property
    def paths(self) -> list[MarketPath]:
        """The markets that were kept, by their opening."""
        return sorted((path for _, _, path in self._kept), key=lambda path: (path.market.opens_at_s, path.market.slug))

    # --- inside -----------------------------------------------------------------------

    def _opinion(self, path: MarketPath, told: Evaluation, now_ns: Nanos) -> None:
        inputs = dict(told.inputs)
        if inputs.get("fair_value_up") is None:
            return
        path.forecasts.setdefault(FAIR_VALUE, []).append((now_ns, told.fair_value_up))
        if inputs.get("market_prior_p_up") is not None:
            for name, p_up in opinions(told.fused, self.weights).items():
                if name != MARKET:
                    path.forecasts.setdefault(name, []).append((now_ns, p_up))

    def _keep(self, path: MarketPath) -> None:
        self.settled += 1
        self._hold(path)

    def _hold(self, path: MarketPath) -> None:
        if self.most <= 0:
            return
        self._held += 1
        entry = (path.weight, self._held, path)
        if len(self._kept) < self.most:
            heapq.heappush(self._kept, entry)
        elif self._kept[0][0] < path.weight:
            heapq.heapreplace(self._kept, entry)
