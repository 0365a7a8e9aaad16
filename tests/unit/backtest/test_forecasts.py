"""Forecasts at fixed moments: who is asked, who knew nothing, and that nothing later is known."""

from __future__ import annotations

import math

import pytest

from polystra.backtest.baselines import Digital
from polystra.backtest.forecasts import ADDITIVE, BAYESIAN, COIN, FAIR_VALUE, MARKET, Checkpoints, opinions
from polystra.domain.events import PriceSource, PriceTicked
from polystra.domain.ids import ConditionId, TokenId
from polystra.domain.market import FeeSchedule, Market, ResolutionKind, ResolutionRule
from polystra.domain.units import MICRO, NS_PER_S
from polystra.engine.strategy.evaluate import Action, Evaluation
from polystra.engine.strategy.fusion import Fused, Fusion, FusionWeights, fuse
from polystra.engine.strategy.signal import Signal, missing

OPENS_S = 1_784_851_200
LAST = ResolutionRule(kind=ResolutionKind.LAST, lookback_s=0)


def market(opens_s: int = OPENS_S) -> Market:
    return Market(
        condition_id=ConditionId(f"condition:{opens_s}"),
        slug=f"btc-updown-5m-{opens_s}",
        symbol="BTC",
        window_s=300,
        opens_at_s=opens_s,
        closes_at_s=opens_s + 300,
        up_token=TokenId("up"),
        down_token=TokenId("down"),
        tick_size=10_000,
        minimum_size=5 * MICRO,
        fees=FeeSchedule(rate_ppm=70_000),
        rule=LAST,
    )


def opinion(prior: float | None = 0.6, fair: float | None = 0.7, age_s: float = 1.0) -> Evaluation:
    fused = fuse(
        0.5 if prior is None else prior,
        [missing("fair_value") if fair is None else Signal("fair_value", 0.2, 1.0, 0.3)],
        FusionWeights(),
        Fusion.BAYESIAN,
    )
    inputs = (("market_prior_p_up", prior), ("fair_value_up", fair), ("price_age_s", age_s))
    return Evaluation(
        action=Action.SKIP, reason="", fair_value_up=0.5 if fair is None else fair, fused=fused, inputs=inputs
    )


def tick(at_s: int, price: float, source: PriceSource = PriceSource.SETTLEMENT) -> PriceTicked:
    return PriceTicked(symbol="BTC", source=source, price=round(price * 10**8), at_ns=at_s * NS_PER_S)


def asked(given: Evaluation | None, *, book_age_s: int = 1) -> dict[str, float]:
    checkpoints = Checkpoints(FusionWeights(), (60,))
    ((due_ns, left_s),) = checkpoints.listed(market())
    checkpoints.book(TokenId("down"), due_ns - book_age_s * NS_PER_S)
    checkpoints.ask(market().condition_id, left_s, given, due_ns)
    (forecast,) = checkpoints.settled(market().condition_id, MICRO)
    assert (forecast.window, forecast.block, forecast.seconds_left) == (market().slug, OPENS_S + 300, 60)
    assert forecast.up
    return dict(forecast.probabilities)


def test_the_moments_are_counted_from_the_close_and_lie_in_the_window():
    checkpoints = Checkpoints(FusionWeights(), (400, 300, 240, 10))
    close_ns = (OPENS_S + 300) * NS_PER_S
    assert checkpoints.listed(market()) == [(close_ns - 240 * NS_PER_S, 240), (close_ns - 10 * NS_PER_S, 10)]
    assert checkpoints.listed(market()) == [], "a market that is listed again is not asked twice"


def test_who_knew_nothing_is_left_out():
    assert set(asked(opinion())) == {COIN, MARKET, ADDITIVE, BAYESIAN, FAIR_VALUE}
    assert set(asked(opinion(prior=None))) == {COIN, FAIR_VALUE}
    assert set(asked(opinion(fair=None))) == {COIN, MARKET, ADDITIVE, BAYESIAN}
    assert set(asked(None)) == {COIN}


def test_what_is_old_is_no_opinion_of_that_moment():
    assert MARKET in asked(opinion(), book_age_s=30)
    assert MARKET not in asked(opinion(), book_age_s=31)
    assert FAIR_VALUE not in asked(opinion(age_s=31.0))


def test_nobody_is_scored_on_a_market_that_neither_side_won():
    checkpoints = Checkpoints(FusionWeights(), (60,))
    ((due_ns, _),) = checkpoints.listed(market())
    checkpoints.ask(market().condition_id, 60, opinion(), due_ns)
    assert checkpoints.settled(market().condition_id, MICRO // 2) == []
    assert checkpoints.settled(ConditionId("a stranger"), MICRO) == []


@pytest.mark.parametrize("fusion", list(Fusion))
def test_both_fusions_are_told_whichever_is_traded_on(fusion: Fusion):
    weights = FusionWeights()
    fused = fuse(0.6, [Signal("fair_value", 0.6, 0.8, 0.9)], weights, fusion)
    told = opinions(fused, weights)
    traded = {Fusion.BAYESIAN: BAYESIAN, Fusion.ADDITIVE: ADDITIVE}[fusion]
    assert told[traded] == pytest.approx(fused.p_up)
    assert told[MARKET] == 0.6
    assert told[BAYESIAN] != told[ADDITIVE]


def test_a_bias_of_one_is_still_a_probability():
    certain = Fused(0.0, 0.0, 1.0, 1.0, 0.5, 1.0, 1.0)
    assert 0.99 < opinions(certain, FusionWeights())[BAYESIAN] < 1.0


# --- the digital that needs no engine -------------------------------------------------------


def walk(digital: Digital, source: PriceSource, *, every_s: int, until_s: int, step: float = 1.0) -> None:
    """A price that goes up and down by `step` until `until_s` seconds after the opening."""
    for n, second in enumerate(range(OPENS_S - 600, OPENS_S + until_s + 1, every_s)):
        digital.observe(tick(second, 60_000 + step * (n % 2), source), second * NS_PER_S)


def test_the_digital_is_the_closed_form_with_its_own_volatility():
    digital = Digital()
    digital.listed(market())
    walk(digital, PriceSource.SETTLEMENT, every_s=5, until_s=240)
    sigma = math.log(60_001 / 60_000) / math.sqrt(5)
    assert digital.probability_up(market(), (OPENS_S + 240) * NS_PER_S) == pytest.approx(0.5)
    digital.observe(tick(OPENS_S + 241, 60_004), (OPENS_S + 241) * NS_PER_S)
    z = 4 / (sigma * 60_004 * math.sqrt(58))
    expected = 0.5 * math.erfc(-z / math.sqrt(2))
    assert digital.probability_up(market(), (OPENS_S + 242) * NS_PER_S) == pytest.approx(expected, rel=0.02)


def test_spot_stands_in_only_where_there_is_no_feed():
    digital = Digital()
    digital.listed(market())
    walk(digital, PriceSource.SPOT, every_s=15, until_s=240)
    assert digital.probability_up(market(), (OPENS_S + 241) * NS_PER_S) is not None
    assert digital.stand_ins == ("BTC",)
    digital.observe(tick(OPENS_S + 242, 60_000), (OPENS_S + 242) * NS_PER_S)
    assert digital.probability_up(market(), (OPENS_S + 243) * NS_PER_S) is None, "one tick of the feed is no volatility"


def test_the_digital_is_silent_without_a_fresh_price_or_an_opening():
    digital = Digital()
    digital.listed(market())
    walk(digital, PriceSource.SETTLEMENT, every_s=1, until_s=200)
    assert digital.probability_up(market(), (OPENS_S + 230) * NS_PER_S) is not None
    assert digital.probability_up(market(), (OPENS_S + 231) * NS_PER_S) is None
    assert digital.probability_up(market(OPENS_S + 300), (OPENS_S + 210) * NS_PER_S) is None
