import pytest

from polystra.domain.market import FeeSchedule
from polystra.domain.units import MICRO
from polystra.engine.strategy.sizing import (
    SizingRules,
    affordable,
    all_in_cost,
    cost_per_share,
    edge_of,
    exit_is_legal,
    exit_refusal,
    kelly,
    minimum_refusal,
    size_entry,
    trust,
    wager,
)

FEES = FeeSchedule(72_000)
FREE = FeeSchedule(0)
FIVE = 5 * MICRO


@pytest.mark.parametrize(
    ("q", "p", "before", "after"),
    [
        (0.53, 0.50, 0.060, 0.025),
        (0.55, 0.50, 0.100, 0.066),
        (0.60, 0.50, 0.200, 0.170),
        (0.80, 0.75, 0.200, 0.154),
        (0.95, 0.90, 0.500, 0.465),
        (0.97, 0.95, 0.400, 0.356),
    ],
)
def test_kelly_values(q, p, before, after):
    price = round(p * MICRO)
    assert kelly(q, cost_per_share(price, FREE)) == pytest.approx(before, abs=6e-4)
    assert kelly(q, cost_per_share(price, FEES)) == pytest.approx(after, abs=6e-4)


@pytest.mark.parametrize(
    ("p", "q"),
    [(0.05, 0.0534), (0.1, 0.1065), (0.2, 0.2115), (0.3, 0.3151), (0.4, 0.4173), (0.5, 0.5180), (0.97, 0.9721)],
)
def test_break_even_is_price_plus_fee(p, q):
    assert cost_per_share(round(p * MICRO), FEES) == pytest.approx(q, abs=6e-5)
    assert edge_of(cost_per_share(round(p * MICRO), FEES), round(p * MICRO), FEES) == pytest.approx(0.0, abs=1e-12)


def test_a_maker_pays_no_fee():
    assert cost_per_share(500_000, FEES, taker=False) == 0.5


def test_no_edge_no_wager():
    assert kelly(0.5, 0.518) == 0.0
    assert kelly(1.0, 1.0) == 0.0
    assert wager(0.51, cost_per_share(500_000, FEES), SizingRules(), 10**9) == 0


def test_an_uncertain_chance_is_trusted_by_the_square_of_its_edge():
    assert trust(0.05, 0.0) == 1.0
    assert trust(0.05, 0.05**2) == pytest.approx(0.5)
    assert trust(0.01, 0.03**2) == pytest.approx(0.1)
    assert trust(0.0, 0.01) == 0.0
    rules = SizingRules(max_trade_size=10**9)
    sure = wager(0.6, 0.518, rules, 10**9)
    assert sure == pytest.approx(0.25 * 0.170 * 10**9, rel=1e-2)
    assert wager(0.6, 0.518, rules, 10**9, variance=0.082**2) == pytest.approx(sure / 2, rel=1e-6)


def test_slippage_through_the_book_is_part_of_the_cost():
    rules = SizingRules(max_trade_size=10**9)
    common = {"bankroll": 10**9, "exposure_left": 10**9}
    plain = size_entry(0.6, 500_000, FEES, FIVE, rules, **common)
    slipped = size_entry(0.6, 500_000, FEES, FIVE, rules, cost=0.55, **common)
    assert 0 < slipped.quantity < plain.quantity
    assert size_entry(0.6, 500_000, FEES, FIVE, rules, cost=0.6, **common).quantity == 0


@pytest.mark.parametrize(("q", "bankroll"), [(0.53, 416), (0.55, 156), (0.60, 61)])
def test_smallest_bankroll_for_five_shares_at_quarter_kelly(q, bankroll):
    rules = SizingRules(max_trade_size=10**9)
    enough = size_entry(q, 500_000, FEES, FIVE, rules, bankroll=(bankroll + 1) * MICRO, exposure_left=10**12)
    short = size_entry(q, 500_000, FEES, FIVE, rules, bankroll=(bankroll - 2) * MICRO, exposure_left=10**12)
    assert enough.quantity >= FIVE
    assert short.quantity == 0
    assert "minimum of 5" in short.refusal


def test_every_cap_binds():
    rules = SizingRules(max_trade_size=25 * MICRO)
    common = {"bankroll": 10**12, "exposure_left": 10**12}
    by_trade = size_entry(0.9, 500_000, FEES, FIVE, rules, **common)
    assert by_trade.all_in <= 25 * MICRO < all_in_cost(500_000, by_trade.quantity + 10_000, FEES)
    by_exposure = size_entry(0.9, 500_000, FEES, FIVE, rules, **{**common, "exposure_left": 4 * MICRO})
    assert 0 < by_exposure.all_in <= 4 * MICRO
    fixed = SizingRules(use_kelly=False, trade_size=100 * MICRO, max_trade_size=200 * MICRO)
    by_bankroll = size_entry(0.9, 500_000, FEES, FIVE, fixed, bankroll=6 * MICRO, exposure_left=10**12)
    assert 0 < by_bankroll.all_in <= 6 * MICRO


def test_a_fixed_size_is_all_in():
    rules = SizingRules(use_kelly=False, trade_size=5 * MICRO)
    sized = size_entry(0.6, 500_000, FEES, FIVE, rules, bankroll=10**9, exposure_left=10**9)
    assert sized.quantity == 9_650_000  # 5 / 0.518 floored to 0.01 share
    assert sized.all_in == 4_998_700


def test_refusals_say_what_was_missing():
    rules = SizingRules()
    none_left = size_entry(0.9, 500_000, FEES, FIVE, rules, bankroll=10**9, exposure_left=0)
    assert none_left.refusal == "no exposure is left at chance 0.9000 and price 0.5"
    negative = size_entry(0.9, 500_000, FEES, FIVE, rules, bankroll=10**9, exposure_left=-5)
    assert negative.quantity == 0
    no_edge = size_entry(0.5, 500_000, FEES, FIVE, rules, bankroll=10**9, exposure_left=10**9)
    assert no_edge.refusal.startswith("nothing to wager")
    broke = size_entry(0.9, 500_000, FEES, FIVE, rules, bankroll=-1, exposure_left=10**9)
    assert broke.quantity == 0
    cheap = SizingRules(use_kelly=False, trade_size=700_000)
    too_cheap = size_entry(0.3, 100_000, FEES, FIVE, cheap, bankroll=10**9, exposure_left=10**9)
    assert "dollars are less than the minimum of 1" in too_cheap.refusal


@pytest.mark.parametrize("price", [10_000, 123_400, 500_000, 990_000, 999_900])
@pytest.mark.parametrize("budget", [1, 53_561, 132_197, 999_999, 5_000_001, 24_999_999])
def test_affordable_is_the_largest_size_within_budget(price, budget):
    quantity = affordable(price, FEES, budget)
    assert quantity % 10_000 == 0
    assert quantity == 0 or all_in_cost(price, quantity, FEES) <= budget
    assert all_in_cost(price, quantity + 10_000, FEES) > budget


def test_an_exit_needs_the_minimum_in_whole_steps_and_a_step_for_rounding():
    assert exit_is_legal(FIVE + 10_000, FIVE)
    assert not exit_is_legal(FIVE, FIVE)
    assert not exit_is_legal(FIVE + 9_999, FIVE)
    assert exit_is_legal(FIVE + 19_999, FIVE)
    assert minimum_refusal(FIVE + 10_000, MICRO, FIVE) == ""


@pytest.mark.parametrize("short", [0, 1, 2_286, 9_999])
def test_what_ends_a_little_short_can_still_rest_for_sale(short):
    bought = FIVE + 10_000 - short
    assert exit_refusal(FIVE + 10_000, FIVE) == ""
    assert bought // 10_000 * 10_000 >= FIVE


def test_the_refusal_names_what_is_missing():
    assert "5 shares are fewer than the minimum of 5 and 0.01 for rounding" in exit_refusal(FIVE, FIVE)
    assert exit_refusal(FIVE + 10_000, FIVE, stop_price=30_000) == ""
    low = exit_refusal(FIVE + 10_000, FIVE, stop_price=30_000, minimum_value=MICRO)
    assert "worth 0.15 dollars at the stop of 0.03" in low
    assert exit_refusal(40 * MICRO, FIVE, stop_price=30_000, minimum_value=MICRO) == ""
