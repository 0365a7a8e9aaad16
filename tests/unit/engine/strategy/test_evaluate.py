import json
import time
from dataclasses import replace

import pytest

from polystra.domain.book import OrderBook
from polystra.domain.market import Outcome
from polystra.domain.units import MICRO, NS_PER_S
from polystra.engine.strategy.config import EntryStyle, StrategyConfig
from polystra.engine.strategy.evaluate import Action, SkipReason, edge_price, evaluate, walk_asks
from polystra.engine.strategy.fusion import Fusion, FusionWeights
from polystra.engine.strategy.signal import Reading, unread
from polystra.engine.strategy.sizing import SizingRules, edge_of

from .scene import CLOSES, FEES, FITTED, MARKET, OPENS, book, view

CONFIG = StrategyConfig(calibration=FITTED)


def levels(*asks: tuple[int, int], bid: int = 49) -> OrderBook:
    """Asks as (cents, shares)."""
    made = OrderBook()
    made.replace([(bid * 10_000, 10**8)], [(cents * 10_000, shares * MICRO) for cents, shares in asks], at_ns=0)
    return made


def test_an_edge_is_entered_on_the_cheap_side():
    decision = evaluate(view(), CONFIG)
    assert decision.action is Action.ENTER
    assert decision.outcome is Outcome.UP
    assert decision.price == 500_000
    assert decision.quantity is not None
    assert decision.quantity % 10_000 == 0
    assert decision.budget == 0
    assert decision.reason == "edge"
    assert decision.edge == pytest.approx(edge_of(decision.fused.p_up, 500_000, FEES), abs=1e-5)
    assert decision.fair_value_up == 0.60


def test_the_other_side_is_bought_when_up_is_dear():
    decision = evaluate(view(fair_value_up=0.38), CONFIG)
    assert decision.action is Action.ENTER
    assert decision.outcome is Outcome.DOWN
    assert decision.price == 510_000


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"market": replace(MARKET, accepting_orders=False)}, SkipReason.NOT_ACCEPTING),
        ({"now_ns": (OPENS - 1) * NS_PER_S}, SkipReason.NOT_OPEN),
        ({"now_ns": (CLOSES - 20) * NS_PER_S}, SkipReason.CLOSE_GUARD),
        ({"now_ns": (CLOSES + 5) * NS_PER_S}, SkipReason.CLOSE_GUARD),
        ({"price": None, "price_age_s": None}, SkipReason.NO_PRICE),
        ({"price_age_s": 5.1}, SkipReason.STALE_PRICE),
        ({"price_to_beat": None, "fair_value_up": None}, SkipReason.NO_PRICE_TO_BEAT),
        ({"sigma": None, "fair_value_up": None}, SkipReason.NO_VOLATILITY),
        ({"up_book": OrderBook(), "down_book": OrderBook()}, SkipReason.NO_BOOK),
        ({"up_book": OrderBook()}, SkipReason.NO_BOOK),
        ({"up_book": book(51, 50)}, SkipReason.BOOK_CROSSED),
        ({"up_book": book(50, None), "down_book": book(49, None)}, SkipReason.NO_OFFER),
        ({"fair_value_confidence": 0.5, "momentum": unread("momentum", "no data")}, SkipReason.CONFIDENCE),
        ({"fair_value_up": 0.51}, SkipReason.EDGE),
        ({"up_book": book(44, 50)}, SkipReason.SPREAD),
        ({"up_book": book(None, 50), "down_book": book(50, 51)}, SkipReason.SPREAD),
        ({"bankroll": 20 * MICRO}, SkipReason.SIZE),
        ({"exposure_left": 0}, SkipReason.SIZE),
        ({"up_book": book(49, 50, size=4 * MICRO)}, SkipReason.LIQUIDITY),
    ],
)
def test_every_refusal_has_its_reason(changes, reason):
    decision = evaluate(view(**changes), CONFIG)
    assert decision.action is Action.SKIP
    assert decision.reason == reason.value
    assert decision.price is None
    assert decision.quantity is None
    assert 0.0 < decision.fused.p_up < 1.0
    assert 0.0 < decision.fair_value_up < 1.0
    json.loads(decision.inputs_json())


def test_every_reason_is_exercised_above():
    marks = test_every_refusal_has_its_reason.pytestmark
    others = {SkipReason.NOT_CALIBRATED, SkipReason.NO_OPINION}  # below, and in test_advisor
    assert {reason for _, reason in marks[0].args[1]} == set(SkipReason) - others


def test_a_closed_gate_takes_no_entry():
    decision = evaluate(view(), replace(CONFIG, is_closed=True))
    assert decision.reason == SkipReason.NOT_CALIBRATED.value


def test_unknowns_are_null_in_the_inputs():
    decision = evaluate(view(fair_value_up=None, sigma=None, up_book=OrderBook(), down_book=OrderBook()), CONFIG)
    inputs = json.loads(decision.inputs_json())
    assert inputs["fair_value_up"] is None
    assert inputs["market_prior_p_up"] is None
    assert list(inputs) == sorted(inputs)
    assert decision.fair_value_up == decision.fused.market_prior_p_up == 0.5


def test_the_book_is_walked_for_the_size():
    cheap_then_dear = levels((50, 6), (51, 100))
    decision = evaluate(view(up_book=cheap_then_dear, fair_value_up=0.7), CONFIG)
    assert decision.action is Action.ENTER
    assert decision.price == 510_000
    assert decision.quantity is not None
    assert decision.quantity > 6 * MICRO
    walk = walk_asks(cheap_then_dear, 510_000, decision.quantity, FEES)
    q = decision.fused.p_up
    assert decision.edge == pytest.approx((q * walk.quantity - walk.cost - walk.fee) / walk.cost)
    assert decision.edge < edge_of(q, 500_000, FEES)


def test_levels_beyond_the_edge_price_are_not_bought():
    thin = levels((50, 6), (60, 1000))
    decision = evaluate(view(up_book=thin, fair_value_up=0.6), CONFIG)
    assert decision.action is Action.ENTER
    assert decision.quantity == 6 * MICRO
    assert decision.price == 500_000


def test_without_the_liquidity_check_the_rest_may_rest():
    thin = levels((50, 6), (60, 1000))
    decision = evaluate(view(up_book=thin), replace(CONFIG, check_liquidity=False))
    assert decision.action is Action.ENTER
    assert decision.quantity is not None
    assert decision.quantity > 6 * MICRO
    assert decision.price == 500_000


def test_a_marketable_dollar_is_needed_even_without_the_liquidity_check():
    crumbs = levels((50, 1), (60, 1000))
    decision = evaluate(view(up_book=crumbs), replace(CONFIG, check_liquidity=False))
    assert decision.reason == SkipReason.LIQUIDITY.value


def test_caps_hold_at_the_limit_price():
    config = replace(CONFIG, sizing=SizingRules(use_kelly=False, trade_size=10 * MICRO, max_trade_size=10 * MICRO))
    decision = evaluate(view(up_book=levels((50, 6), (51, 6), (52, 100)), fair_value_up=0.8), config)
    assert decision.action is Action.ENTER
    assert decision.price is not None
    assert decision.quantity is not None
    fee = FEES.taker_fee(decision.price, decision.quantity)
    assert decision.price * decision.quantity // MICRO + fee <= 10 * MICRO


def test_a_market_entry_is_dollars_with_the_edge_price_as_worst():
    decision = evaluate(view(), replace(CONFIG, entry_style=EntryStyle.MARKET))
    assert decision.action is Action.ENTER
    assert decision.price == edge_price(MARKET, decision.fused.p_up, CONFIG.min_edge_ppm)
    assert decision.price > 500_000
    assert decision.budget % 10_000 == 0
    assert decision.quantity is not None
    assert 0 <= decision.quantity * 500_000 // MICRO - decision.budget < 10_000


def test_a_market_entry_must_be_sellable_even_at_the_worst_price():
    """5.2 shares at 0.50 would be 5 shares or fewer at the edge price: nothing to sell legally later."""
    config = replace(
        CONFIG,
        entry_style=EntryStyle.MARKET,
        sizing=SizingRules(use_kelly=False, trade_size=2_700_000),
    )
    decision = evaluate(view(fair_value_up=0.7), config)
    assert decision.reason == SkipReason.LIQUIDITY.value
    assert "fewer than the minimum" in decision.detail


def test_the_edge_price_is_the_last_one_that_pays():
    for q in (0.1, 0.333, 0.5, 0.9, 0.99):
        price = edge_price(MARKET, q, 30_000)
        assert edge_of(q, price, FEES) >= 0.03 or price == MARKET.lowest_price
        assert price == MARKET.highest_price or edge_of(q, price + MARKET.tick_size, FEES) < 0.03
    assert edge_price(MARKET, 0.001, 30_000) == 10_000
    assert edge_price(MARKET, 0.5, -500_000) == edge_price(MARKET, 0.5, 0)


def test_an_offer_off_the_grid_is_not_chased():
    off_grid = OrderBook()
    off_grid.replace([(490_000, 10**8)], [(505_000, 10**8)], at_ns=0)
    decision = evaluate(view(up_book=off_grid, fair_value_up=0.7), CONFIG)
    assert decision.price == 510_000


def test_fusion_chooses_what_is_traded():
    momentum = Reading("momentum", 2.5, 0.9, 1.0)
    bayes = evaluate(view(momentum=momentum), CONFIG)
    additive = evaluate(view(momentum=momentum), replace(CONFIG, fusion=Fusion.ADDITIVE))
    assert bayes.fused.p_up != additive.fused.p_up
    assert bayes.fused.additive_bias == additive.fused.additive_bias


def test_the_same_view_gives_the_same_decision():
    assert evaluate(view(), CONFIG) == evaluate(view(), CONFIG)


def test_a_decision_is_fast():
    """Guards against an accidental scan, not a benchmark: the target is 60 microseconds."""
    deep = levels(*((cents, 50) for cents in range(50, 99)))
    scene = view(up_book=deep)
    best = min(_timed(scene) for _ in range(200))
    assert best < 300e-6


def _timed(scene) -> float:
    start = time.perf_counter()
    evaluate(scene, CONFIG)
    return time.perf_counter() - start


def test_without_a_calibration_the_market_is_believed_and_nothing_is_entered():
    decision = evaluate(view(fair_value_up=0.9), StrategyConfig())
    assert decision.reason == SkipReason.EDGE.value
    assert decision.fused.p_up == pytest.approx(decision.fused.market_prior_p_up)
    told = json.loads(decision.inputs_json())
    assert told["calibration"] is None
    assert told["signals"]["fair_value"]["llr"] == 0.0
    assert told["signals"]["fair_value"]["value"] > 1.0
    assert told["signals"]["fair_value"]["reason"].startswith("no calibration")


def test_what_every_signal_said_is_stored_and_what_the_confidence_is_made_of():
    momentum = Reading("momentum", -1.0, -0.4, 0.8)
    told = json.loads(evaluate(view(momentum=momentum), CONFIG).inputs_json())
    assert told["calibration"] == FITTED.digest
    assert set(told["signals"]) == {"fair_value", "book_imbalance", "momentum"}
    assert told["signals"]["momentum"] == {
        "bias": -0.4,
        "confidence": 0.8,
        "llr": -0.1,
        "share": 0.1,
        "value": -1.0,
        "weight": 1.0,
    }
    parts = told["confidence"]
    assert parts["inputs"] == pytest.approx((0.7 + 0.1 + 0.1 * 0.8) / 0.9)
    assert 0.0 < parts["agreement"] < 1.0
    assert parts["score"] == pytest.approx(parts["inputs"] * parts["agreement"])
    assert parts["needed"] == CONFIG.min_confidence


def test_a_signal_that_is_off_moves_nothing_and_is_still_stored():
    config = replace(CONFIG, weights=FusionWeights(fair_value=0.0))
    decision = evaluate(view(fair_value_up=0.9), config)
    assert decision.fused.p_up == pytest.approx(decision.fused.market_prior_p_up)
    assert json.loads(decision.inputs_json())["signals"]["fair_value"]["weight"] == 0.0


def test_an_uncertain_strength_makes_a_smaller_bet():
    def size(variance: float) -> int:
        covariance = ((variance, 0.0, 0.0), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
        rules = SizingRules(max_trade_size=10**9)
        config = replace(CONFIG, sizing=rules, calibration=replace(FITTED, covariances=(covariance,)))
        return evaluate(view(), config).quantity or 0

    sizes = [size(variance) for variance in (0.0, 0.001, 0.01)]
    assert sizes[0] > sizes[1] > sizes[2] > 0
    assert size(100.0) == 0


def test_the_size_is_kellys_at_what_the_visible_book_costs():
    rules = SizingRules(max_trade_size=10**9)
    config = replace(CONFIG, sizing=rules)
    deep = evaluate(view(up_book=levels((50, 10_000)), fair_value_up=0.7), config)
    thin = evaluate(view(up_book=levels((50, 20), (51, 10_000)), fair_value_up=0.7), config)
    dear = evaluate(view(up_book=levels((51, 10_000)), fair_value_up=0.7), config)
    assert deep.quantity is not None
    assert thin.quantity is not None
    assert dear.quantity is not None
    assert dear.quantity < thin.quantity < deep.quantity
