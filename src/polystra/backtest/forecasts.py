"""What each forecaster said of a window, at fixed times before its close.

What lives here: the moments at which forecasters are asked, their probabilities, and which of them knew nothing. What
must not: scores (`scoring`), decisions (the engine is asked for its opinion and changed by nothing).

A forecast is taken at fixed times, so that a market that was decided on often counts no more than another, and whether
or not the decision of that moment was worth writing down. Who is asked: the market's own price, both fusions on top
of it, the engine's fair value alone; `baselines.Digital`, the last trade of others and a coin need no engine.

A book or a price that is older than `MOST_AGE_S` is not an opinion of that moment: its forecaster is left out.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from polystra.backtest.baselines import Digital
from polystra.backtest.scoring import Forecast
from polystra.domain.book import OrderBook
from polystra.domain.events import PriceTicked
from polystra.domain.ids import ConditionId, TokenId
from polystra.domain.market import Market
from polystra.domain.units import MICRO, NS_PER_S, MicroDollars, MicroPrice, Nanos
from polystra.engine.strategy.evaluate import Evaluation
from polystra.engine.strategy.fusion import Fused, FusionWeights
from polystra.engine.strategy.signal import clamp_probability, logistic, logit

MARKET: Final = "market"
ADDITIVE: Final = "additive"
BAYESIAN: Final = "bayesian"
FAIR_VALUE: Final = "fair value"
DIGITAL: Final = "digital"
LAST_TRADE: Final = "last trade"
COIN: Final = "coin"
FORECASTERS: Final = (MARKET, ADDITIVE, BAYESIAN, FAIR_VALUE, DIGITAL, LAST_TRADE, COIN)
"""The first is what the others are held against."""
CHECKPOINTS_S: Final = (240, 180, 120, 60, 30, 10)
"""Seconds before the close; those outside a window are left out."""
MOST_AGE_S: Final = 30
"""As old as a book may be before the engine itself calls it silent."""


Costs: TypeAlias = tuple[float | None, float | None]
Witness: TypeAlias = Callable[[Market, int, Evaluation | None], None]


class Checkpoints:
    """Collects forecasts of one run: told of markets, books and prices, asked at the moments that are due."""

    def __init__(
        self, weights: FusionWeights, seconds_left: Sequence[int] = CHECKPOINTS_S, witness: Witness | None = None
    ) -> None:
        """`seconds_left` are the moments, in seconds before a close; `witness` sees every opinion as it is given."""
        self._witness = witness
        self._weights = weights
        self._seconds_left = tuple(seconds_left)
        self._markets: dict[ConditionId, Market] = {}
        self._books: dict[TokenId, Nanos] = {}
        """When each token's book was last shown."""
        self._trades: dict[TokenId, tuple[Nanos, MicroPrice]] = {}
        """The last trade of others in each token."""
        self._digital = Digital()
        self._said: dict[ConditionId, list[tuple[int, dict[str, float], Costs]]] = defaultdict(list)

    @property
    def stand_ins(self) -> tuple[str, ...]:
        """Symbols whose digital forecast rests on spot, because there was no settlement feed."""
        return self._digital.stand_ins

    def listed(self, market: Market) -> list[tuple[Nanos, int]]:
        """Take a market: when to ask about it, and how many seconds are left then. Nothing for one that is known."""
        if market.condition_id in self._markets:
            return []
        self._markets[market.condition_id] = market
        self._digital.listed(market)
        return [
            ((market.closes_at_s - left_s) * NS_PER_S, left_s)
            for left_s in self._seconds_left
            if left_s < market.window_s
        ]

    def book(self, token_id: TokenId, now_ns: Nanos) -> None:
        """A book was shown."""
        self._books[token_id] = now_ns

    def trade(self, token_id: TokenId, price: MicroPrice, now_ns: Nanos) -> None:
        """Others traded."""
        self._trades[token_id] = (now_ns, price)

    def price(self, tick: PriceTicked, now_ns: Nanos) -> None:
        """A price was told."""
        self._digital.observe(tick, now_ns)

    def ask(
        self,
        condition_id: ConditionId,
        left_s: int,
        opinion: Evaluation | None,
        now_ns: Nanos,
        books: tuple[OrderBook | None, OrderBook | None] = (None, None),
    ) -> None:
        """One moment of one market: `opinion` is what the engine would say, `books` are those of Up and Down."""
        market = self._markets[condition_id]
        if self._witness is not None:
            self._witness(market, left_s, opinion)
        found = {COIN: 0.5}
        digital = self._digital.probability_up(market, now_ns)
        if digital is not None:
            found[DIGITAL] = digital
        traded = self._last_trade(market, now_ns)
        if traded is not None:
            found[LAST_TRADE] = traded
        if opinion is not None:
            found.update(self._of_engine(market, opinion, now_ns))
        up, down = books
        fresh = now_ns - self._shown_ns(market) <= MOST_AGE_S * NS_PER_S
        costs = (_cost(market, up), _cost(market, down)) if fresh else (None, None)
        self._said[condition_id].append((left_s, found, costs))

    def settled(self, condition_id: ConditionId, up_payout: MicroDollars) -> list[Forecast]:
        """The forecasts of a market that is decided; none where neither side won alone. They are forgotten."""
        said = self._said.pop(condition_id, [])
        market = self._markets.get(condition_id)
        if market is None or up_payout not in (0, MICRO):
            return []
        self._digital.settled(market)
        for token_id in (market.up_token, market.down_token):
            self._books.pop(token_id, None)
            self._trades.pop(token_id, None)
        return [
            Forecast(
                window=market.slug,
                block=market.closes_at_s,
                seconds_left=left_s,
                probabilities=probabilities,
                up=up_payout == MICRO,
                costs=costs,
            )
            for left_s, probabilities, costs in said
        ]

    def _last_trade(self, market: Market, now_ns: Nanos) -> float | None:
        """The price of Up in the newest trade of either token."""
        up_ns, up = self._trades.get(market.up_token, (0, 0))
        down_ns, down = self._trades.get(market.down_token, (0, 0))
        if now_ns - max(up_ns, down_ns) > MOST_AGE_S * NS_PER_S:
            return None
        return clamp_probability((up if up_ns >= down_ns else MICRO - down) / MICRO)

    def _shown_ns(self, market: Market) -> Nanos:
        """When either book of a market was shown last."""
        return max(self._books.get(market.up_token, 0), self._books.get(market.down_token, 0))

    def _of_engine(self, market: Market, opinion: Evaluation, now_ns: Nanos) -> dict[str, float]:
        inputs = dict(opinion.inputs)
        found: dict[str, float] = {}
        age_s = inputs.get("price_age_s")
        if inputs.get("fair_value_up") is not None and isinstance(age_s, int | float) and age_s <= MOST_AGE_S:
            found[FAIR_VALUE] = opinion.fair_value_up
        fresh = now_ns - self._shown_ns(market) <= MOST_AGE_S * NS_PER_S
        if inputs.get("market_prior_p_up") is not None and fresh:
            found.update(opinions(opinion.fused, self._weights))
        return found


def _cost(market: Market, book: OrderBook | None) -> float | None:
    """Dollars for a share at the best ask, fee included, in the smallest order; None where that is not offered."""
    if book is None or book.best_ask is None or book.asks[book.best_ask] < market.minimum_size:
        return None
    least = market.minimum_size
    return book.best_ask / MICRO + market.fees.taker_fee(book.best_ask, least) / least


def opinions(fused: Fused, weights: FusionWeights) -> Mapping[str, float]:
    """P(Up) of the market's price and of both fusions on top of it, whichever of them is traded on."""
    prior = fused.market_prior_p_up
    bias = min(1.0 - 1e-12, max(-1.0 + 1e-12, fused.bayesian_bias))
    shift = 2.0 * math.atanh(bias)
    moved = prior + fused.additive_bias * fused.additive_confidence * weights.largest_score
    return {
        MARKET: prior,
        ADDITIVE: clamp_probability(moved),
        BAYESIAN: clamp_probability(logistic(logit(prior) + shift)),
    }
