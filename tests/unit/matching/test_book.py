"""The complementing price-time book."""

import pytest

from polystra.matching.book import (
    DOWN,
    UP,
    ComplementBook,
    MatchKind,
    MatchPlan,
    RestingOrder,
    Side,
    Taker,
)

SHARE = 1_000_000
CENT = 10_000


def resting(order_id: str, outcome: int, side: Side, cents: int, shares: float) -> RestingOrder:
    return RestingOrder(order_id, outcome, side, cents * CENT, round(shares * SHARE))


def limit(outcome: int, side: Side, cents: int, shares: float) -> Taker:
    size = round(shares * SHARE)
    cash = cents * CENT * size // SHARE
    maker, taker = (cash, size) if side == "BUY" else (size, cash)
    return Taker(outcome=outcome, side=side, maker_amount=maker, taker_amount=taker)


def dollars(outcome: int, micro_dollars: int, cents: int) -> Taker:
    return Taker(
        outcome=outcome,
        side="BUY",
        maker_amount=micro_dollars,
        taker_amount=micro_dollars * SHARE // (cents * CENT),
        by_collateral=True,
    )


def book_of(*orders: RestingOrder) -> ComplementBook:
    book = ComplementBook()
    for order in orders:
        book.rest(order)
    return book


def legs(plan: MatchPlan) -> list[tuple[str, int, int]]:
    return [(leg.maker.order_id, leg.size, leg.price) for leg in plan.legs]


def test_better_price_first_then_earlier_order() -> None:
    book = book_of(
        resting("late-good", UP, "SELL", 51, 10),
        resting("first", UP, "SELL", 50, 10),
        resting("second", UP, "SELL", 50, 10),
    )
    plan = book.plan(limit(UP, "BUY", 51, 25))
    assert legs(plan) == [
        ("first", 10 * SHARE, 500_000),
        ("second", 10 * SHARE, 500_000),
        ("late-good", 5 * SHARE, 510_000),
    ]
    assert plan.complete
    assert plan.cash == 5_000_000 + 5_000_000 + 2_550_000


def test_limit_is_respected_and_rest_is_incomplete() -> None:
    book = book_of(resting("a", UP, "SELL", 50, 10), resting("b", UP, "SELL", 52, 10))
    plan = book.plan(limit(UP, "BUY", 51, 25))
    assert legs(plan) == [("a", 10 * SHARE, 500_000)]
    assert not plan.complete


@pytest.mark.parametrize(
    ("maker", "taker", "kind"),
    [
        (resting("m", UP, "SELL", 50, 10), limit(UP, "BUY", 50, 10), MatchKind.TRANSFER),
        (resting("m", DOWN, "BUY", 50, 10), limit(UP, "BUY", 50, 10), MatchKind.MINT),
        (resting("m", DOWN, "SELL", 50, 10), limit(UP, "SELL", 50, 10), MatchKind.MERGE),
        (resting("m", DOWN, "BUY", 50, 10), limit(DOWN, "SELL", 50, 10), MatchKind.TRANSFER),
        (resting("m", UP, "BUY", 50, 10), limit(DOWN, "BUY", 50, 10), MatchKind.MINT),
        (resting("m", UP, "SELL", 50, 10), limit(DOWN, "SELL", 50, 10), MatchKind.MERGE),
    ],
)
def test_every_pair_of_sides_that_can_meet(maker: RestingOrder, taker: Taker, kind: MatchKind) -> None:
    (leg,) = book_of(maker).plan(taker).legs
    assert leg.kind is kind


@pytest.mark.parametrize(
    "taker",
    [limit(UP, "SELL", 50, 10), limit(DOWN, "BUY", 50, 10), limit(UP, "BUY", 49, 10), limit(DOWN, "SELL", 51, 10)],
)
def test_pairs_that_do_not_meet(taker: Taker) -> None:
    book = book_of(resting("m", UP, "SELL", 50, 10))
    assert book.plan(taker).legs == ()


def test_cross_outcome_match_gives_the_improvement_to_the_taker() -> None:
    book = book_of(resting("down", DOWN, "BUY", 48, 10))
    plan = book.plan(limit(UP, "BUY", 60, 10))
    assert legs(plan) == [("down", 10 * SHARE, 520_000)]
    assert (plan.legs[0].maker_cash, plan.legs[0].taker_cash) == (4_800_000, 5_200_000)


def test_mint_pays_exactly_one_dollar_per_pair_whatever_the_rounding() -> None:
    book = book_of(resting("down", DOWN, "BUY", 33, 10))
    for _ in range(7):
        plan = book.plan(Taker(outcome=UP, side="BUY", maker_amount=900_001, taker_amount=1_234_567))
        (leg,) = plan.legs
        assert leg.maker_cash + leg.taker_cash == leg.size
        book.apply(plan)
    order = book.get("down")
    assert order is not None
    assert order.cash == 330_000 * order.filled // SHARE
    assert order.reserve == 3_300_000 - order.cash


def test_dollar_bound_buy_takes_what_the_dollars_buy() -> None:
    book = book_of(resting("a", UP, "SELL", 61, 5), resting("b", UP, "SELL", 62, 100))
    plan = book.plan(dollars(UP, 5_000_000, 62))
    assert plan.complete
    assert plan.legs[0].size == 5 * SHARE
    assert plan.legs[1].size == (5_000_000 - 3_050_000) * SHARE // 620_000
    assert 4_999_999 <= plan.cash <= 5_000_000


def test_dollar_bound_buy_on_a_thin_book_is_incomplete() -> None:
    plan = book_of(resting("a", UP, "SELL", 61, 5)).plan(dollars(UP, 5_000_000, 62))
    assert not plan.complete
    assert plan.size == 5 * SHARE


def test_plan_changes_nothing_and_apply_removes_filled_orders() -> None:
    book = book_of(resting("a", UP, "SELL", 50, 10), resting("b", UP, "SELL", 50, 10))
    plan = book.plan(limit(UP, "BUY", 50, 12))
    assert list(book.levels(bids=False)) == [(500_000, 20 * SHARE)]
    book.apply(plan)
    assert list(book.levels(bids=False)) == [(500_000, 8 * SHARE)]
    assert book.get("a") is None
    assert len(book) == 1


def test_both_outcomes_share_levels() -> None:
    book = book_of(
        resting("up", UP, "BUY", 40, 10), resting("down", DOWN, "SELL", 60, 5), resting("x", DOWN, "BUY", 55, 7)
    )
    assert list(book.levels(bids=True)) == [(400_000, 15 * SHARE)]
    assert (book.best_bid, book.best_ask) == (400_000, 450_000)


def test_changes_are_aggregates_since_the_last_look() -> None:
    book = book_of(resting("a", UP, "BUY", 40, 10))
    assert book.drain_changes() == ((True, 400_000, 10 * SHARE),)
    book.rest(resting("b", UP, "BUY", 40, 5))
    book.remove("a")
    assert book.drain_changes() == ((True, 400_000, 5 * SHARE),)
    book.remove("b")
    assert book.drain_changes() == ((True, 400_000, 0),)
    assert book.drain_changes() == ()
    assert book.remove("b") is None
    assert (book.best_bid, book.best_ask) == (None, None)


def test_an_order_rests_once() -> None:
    book = book_of(resting("a", UP, "BUY", 40, 10))
    with pytest.raises(ValueError, match="order a cannot rest"):
        book.rest(resting("a", UP, "BUY", 41, 10))
