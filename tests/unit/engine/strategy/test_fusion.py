import math

import pytest

from polystra.domain.book import OrderBook
from polystra.engine.strategy.fusion import Fusion, FusionWeights, fuse, market_prior
from polystra.engine.strategy.signal import Signal, logit, missing
from polystra.engine.strategy.signals import fair_value

from .scene import FITTED, book

FAIR_VALUE = fair_value.NAME
W = FusionWeights()
FLAT = Signal("momentum", 0.0, 1.0, 0.0)


def fair_value_signal(up: float | None, prior: float, confidence: float) -> Signal:
    """What the fair value says at a strength of 0.7."""
    return FITTED.weigh([fair_value.read(up, prior, confidence)], 60.0)[0]


def test_agreeing_with_the_market_moves_nothing():
    fair = fair_value_signal(0.7, 0.7, 1.0)
    fused = fuse(0.7, (fair, FLAT), W, Fusion.BAYESIAN)
    assert fused.p_up == pytest.approx(0.7)
    assert fused.bayesian_bias == pytest.approx(0.0)
    assert fused.additive_bias == pytest.approx(0.0)
    assert fused.bayesian_confidence == fused.additive_confidence == 1.0


def test_bayes_adds_weighted_log_odds():
    fair = fair_value_signal(0.6, 0.5, 1.0)
    momentum = Signal("momentum", 0.1, 1.0, 0.2)
    fused = fuse(0.5, (fair, momentum), W, Fusion.BAYESIAN)
    assert logit(fused.p_up) == pytest.approx(0.7 * logit(0.6) + 0.2)
    assert 0.5 < fused.p_up < 0.63
    assert fused.bayesian_bias == pytest.approx(2 * fused.p_up - 1)


@pytest.mark.parametrize("sign", [1, -1])
def test_no_bug_moves_the_odds_beyond_the_cap(sign):
    fused = fuse(0.5, (Signal(FAIR_VALUE, sign * 1.0, 1.0, sign * 50.0), FLAT), W, Fusion.BAYESIAN)
    assert logit(fused.p_up) == pytest.approx(sign * 1.0)
    assert fused.bayesian_bias == pytest.approx(math.tanh(sign * 0.5))


def test_additive_is_a_bounded_score_on_the_prior():
    fair = Signal(FAIR_VALUE, 0.8, 0.5, 2.0)
    fused = fuse(0.4, (fair, Signal("momentum", -1.0, 1.0, -0.25)), W, Fusion.ADDITIVE)
    assert fused.additive_confidence == pytest.approx((0.7 * 0.5 + 0.1) / 0.8)
    assert fused.additive_bias == pytest.approx((0.7 * 0.5 * 0.8 - 0.1) / (0.7 * 0.5 + 0.1))
    assert fused.p_up == pytest.approx(0.4 + fused.additive_bias * fused.additive_confidence * 0.15)
    assert fused.confidence == fused.additive_confidence


def test_both_opinions_are_there_whichever_is_traded():
    signals = (fair_value_signal(0.7, 0.5, 0.9), Signal("momentum", 0.3, 0.8, 0.1))
    bayes, additive = (fuse(0.5, signals, W, fusion) for fusion in (Fusion.BAYESIAN, Fusion.ADDITIVE))
    assert bayes.p_up != additive.p_up
    assert bayes.additive_bias == additive.additive_bias
    assert bayes.bayesian_bias == additive.bayesian_bias
    assert bayes.confidence == bayes.bayesian_confidence


def test_a_missing_signal_moves_nothing_and_costs_confidence():
    fair = fair_value_signal(0.7, 0.5, 1.0)
    with_it = fuse(0.5, (fair, FLAT), W, Fusion.BAYESIAN)
    without = fuse(0.5, (fair, missing("momentum")), W, Fusion.BAYESIAN)
    assert without.p_up == with_it.p_up
    assert without.bayesian_confidence == pytest.approx(0.7 / 0.8)
    nothing = fuse(0.5, (fair_value_signal(None, 0.5, 1.0), missing("momentum")), W, Fusion.BAYESIAN)
    assert (nothing.p_up, nothing.confidence, nothing.additive_bias) == (0.5, 0.0, 0.0)


def test_signals_that_contradict_each_other_cost_bayesian_confidence():
    weights = FusionWeights(fair_value=0.5, momentum=0.5)
    fused = fuse(
        0.5, (Signal(FAIR_VALUE, 0.5, 1.0, 1.0), Signal("momentum", -0.5, 1.0, -1.0)), weights, Fusion.BAYESIAN
    )
    assert fused.bayesian_confidence == 0.0
    assert fused.additive_confidence == 1.0
    assert fused.p_up == 0.5


def test_a_stranger_and_an_empty_list_have_no_say():
    assert fuse(0.3, (Signal("astrology", 1.0, 1.0, 5.0),), W, Fusion.BAYESIAN).p_up == pytest.approx(0.3)
    assert fuse(0.3, (), W, Fusion.ADDITIVE).p_up == pytest.approx(0.3)


@pytest.mark.parametrize("prior", [0.0, 0.001, 0.999, 1.0])
@pytest.mark.parametrize("fusion", list(Fusion))
def test_probabilities_stay_inside_the_open_interval(prior, fusion):
    fused = fuse(prior, (fair_value_signal(1.0, prior, 1.0), FLAT), W, fusion)
    assert 0.005 <= fused.p_up <= 0.995
    assert 0.005 <= fused.market_prior_p_up <= 0.995


def test_the_prior_is_the_middle_of_both_books_taken_as_one():
    assert market_prior(book(59, 61), book(37, 40)) == pytest.approx(0.605)
    assert market_prior(book(None, 61), book(37, 40)) == pytest.approx(0.605)
    assert market_prior(book(59, 64), book(37, 39)) == pytest.approx(0.62)
    assert market_prior(book(59, 61), OrderBook()) == pytest.approx(0.60)
    assert market_prior(OrderBook(), book(37, 39)) == pytest.approx(0.62)
    assert market_prior(OrderBook(), OrderBook()) is None


def test_an_empty_side_counts_as_nought_or_one():
    assert market_prior(book(99, None), book(None, 1)) == pytest.approx(0.995)
    assert market_prior(book(None, 1), OrderBook()) == pytest.approx(0.005)


def test_the_microprice_leans_to_the_thin_side():
    up = OrderBook()
    up.replace([(400_000, 30_000_000)], [(600_000, 10_000_000)], at_ns=0)
    assert market_prior(up, OrderBook(), microprice=True) == pytest.approx(0.55)
    assert market_prior(book(99, None), OrderBook(), microprice=True) == pytest.approx(0.995)
