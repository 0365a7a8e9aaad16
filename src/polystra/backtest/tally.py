"""What a backtest came to, collected from its facts as they are made.

What lives here: counts, costs and results per market, and the forecasts. What must not: how they are shown (the
application), scores (`scoring`). Memory grows with markets, their few forecasts and fills, not with the recording.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from polystra.backtest.forecasts import ADDITIVE, BAYESIAN, FORECASTERS, MARKET, Checkpoints
from polystra.backtest.scoring import Forecast, Interval, brier, difference, log_loss, mean_score, total, verdict
from polystra.domain.facts import (
    DecisionRecorded,
    Fact,
    FillRecorded,
    IntentRecorded,
    MarketRecorded,
    PositionRecorded,
    SettlementRecorded,
)
from polystra.domain.fills import Liquidity
from polystra.domain.ids import ConditionId, PositionId
from polystra.domain.market import Market
from polystra.domain.units import MICRO, MicroDollars, Nanos
from polystra.engine.strategy.evaluate import Action


@dataclass(slots=True)
class MarketTally:
    """One market. Money in micro-dollars."""

    market: Market
    decisions: int = 0
    orders: int = 0
    fills: int = 0
    volume: MicroDollars = 0
    fees: MicroDollars = 0
    realised_pnl: MicroDollars = 0
    up_payout: int | None = None
    exits: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecasterScore:
    """One forecaster over all forecasts.

    The difference is to the market's own price (below zero: better), None where there was none.
    """

    name: str
    brier: Interval
    log_loss: Interval
    against_market: Interval | None
    words: str


@dataclass(slots=True)
class Tally:
    """Give `take` every batch of facts; then read."""

    checkpoints: Checkpoints
    """Told by the driver what was said and when; asked here when a market is settled."""
    markets: dict[ConditionId, MarketTally] = field(default_factory=dict)
    forecasts: list[Forecast] = field(default_factory=list)
    taker_fills: int = 0
    maker_fills: int = 0
    slippage: MicroDollars = 0
    """What entries and exits paid beyond the price that their plan reckoned with."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Why nothing was done, by the decisions that were written down."""
    equity: list[tuple[Nanos, MicroDollars]] = field(default_factory=list)
    """Realised result after each settlement; windows that closed at one time make one point."""
    _closed_at_s: int = -1
    _planned: dict[str, int] = field(default_factory=dict)
    _counted: set[str] = field(default_factory=set)
    _results: dict[PositionId, PositionRecorded] = field(default_factory=dict)

    def take(self, facts: Sequence[Fact], now_ns: Nanos) -> None:
        """Collect one batch."""
        for fact in facts:
            match fact:
                case DecisionRecorded():
                    self._decided(fact)
                case MarketRecorded(market=market):
                    self.markets.setdefault(market.condition_id, MarketTally(market)).market = market
                case IntentRecorded(order=order):
                    self.markets[order.terms.condition_id].orders += 1
                    if order.terms.planned_price is not None:
                        self._planned[order.terms.client_order_id] = order.terms.planned_price
                case FillRecorded():
                    self._fill(fact)
                case PositionRecorded():
                    self._results[fact.position_id] = fact
                case SettlementRecorded():
                    self._settled(fact, now_ns)
                case _:
                    pass

    def _decided(self, fact: DecisionRecorded) -> None:
        if (known := self.markets.get(fact.condition_id)) is not None:
            known.decisions += 1
        if fact.action == Action.SKIP:
            self.reasons[fact.reason] += 1

    def _fill(self, fact: FillRecorded) -> None:
        fill = fact.fill
        if fill.key in self._counted:
            return
        self._counted.add(fill.key)
        known = self.markets[fill.condition_id]
        known.fills += 1
        known.volume += fill.cash
        known.fees += fill.fee
        if fill.liquidity is Liquidity.TAKER:
            self.taker_fills += 1
        else:
            self.maker_fills += 1
        planned = self._planned.get(fill.client_order_id)
        if planned is not None:
            reckoned = planned * fill.quantity // MICRO
            self.slippage += fill.cash - reckoned if fill.side == "BUY" else reckoned - fill.cash

    def _settled(self, fact: SettlementRecorded, now_ns: Nanos) -> None:
        known = self.markets[fact.condition_id]
        known.up_payout = fact.up_payout
        known.realised_pnl = fact.realised_pnl
        self.forecasts += self.checkpoints.settled(fact.condition_id, fact.up_payout)
        for position in list(self._results.values()):
            if position.condition_id == fact.condition_id:
                known.exits[position.exit_reason or "HELD"] += 1
                del self._results[position.position_id]
        before = self.equity[-1][1] if self.equity else 0
        if known.market.closes_at_s == self._closed_at_s:
            self.equity.pop()
        self._closed_at_s = known.market.closes_at_s
        self.equity.append((now_ns, before + fact.realised_pnl))

    def absorb(self, later: Tally) -> None:
        """Add what a later recording came to, as if its result went on from this one's."""
        base = self.equity[-1][1] if self.equity else 0
        self.markets |= later.markets
        self.forecasts += later.forecasts
        self.taker_fills += later.taker_fills
        self.maker_fills += later.maker_fills
        self.slippage += later.slippage
        self.reasons += later.reasons
        self.equity += [(at_ns, base + value) for at_ns, value in later.equity]

    # --- answers ----------------------------------------------------------------------

    @property
    def settled(self) -> list[MarketTally]:
        """Markets with a verdict, by their close."""
        ended = [each for each in self.markets.values() if each.up_payout is not None]
        return sorted(ended, key=lambda each: (each.market.closes_at_s, each.market.slug))

    @property
    def blocks(self) -> int:
        """Windows that are independent of one another: those of one closing time count as one."""
        return len({each.market.closes_at_s for each in self.settled})

    def profit(self) -> Interval | None:
        """The realised result in dollars, None without a settled market."""
        amounts: dict[int, list[float]] = defaultdict(list)
        for each in self.settled:
            amounts[each.market.closes_at_s].append(each.realised_pnl / MICRO)
        return total(amounts) if amounts else None

    def drawdown(self) -> MicroDollars:
        """The deepest fall of the realised result from its highest point before."""
        highest = deepest = 0
        for _, value in self.equity:
            highest = max(highest, value)
            deepest = max(deepest, highest - value)
        return deepest

    def scores(self) -> list[ForecasterScore]:
        """Every forecaster that said something, beside the market's own price where there was one."""
        found: list[ForecasterScore] = []
        for name in FORECASTERS:
            own = [each for each in self.forecasts if name in each.probabilities]
            if not own:
                continue
            beside = name != MARKET and any(MARKET in each.probabilities for each in own)
            against = difference(own, name, MARKET, brier) if beside else None
            found.append(
                ForecasterScore(
                    name=name,
                    brier=mean_score(own, name, brier),
                    log_loss=mean_score(own, name, log_loss),
                    against_market=against,
                    words="" if against is None else verdict(against, name, MARKET),
                )
            )
        return found

    def fusions_apart(self) -> str:
        """Whether the two fusions can be told apart, in words; empty where they said nothing."""
        if not any(BAYESIAN in each.probabilities for each in self.forecasts):
            return ""
        return verdict(difference(self.forecasts, BAYESIAN, ADDITIVE, brier), BAYESIAN, ADDITIVE)
