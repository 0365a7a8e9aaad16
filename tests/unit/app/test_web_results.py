"""The path of the equity: it ends at cash, claims and cost, its days begin at midnight, thinned it keeps its end."""

from __future__ import annotations

from polystra.app.web.results import EquityQuery, calibration_of, equity_of
from polystra.backtest.scoring import Forecast
from polystra.domain.ids import ConditionId, PositionId, TokenId
from polystra.domain.ledger import Posting, PostingKind
from polystra.domain.units import MICRO, NS_PER_S, parse_micros

DAY = 86_400 * NS_PER_S
MIDNIGHT = 20_000 * DAY


def transfer(dollars: int, at_ns: int) -> Posting:
    return Posting(
        source_id=f"transfer:{at_ns}",
        kind=PostingKind.TRANSFER,
        at_ns=at_ns,
        reason="opening balance",
        settled_cash=dollars * MICRO,
    )


def trade(number: int, at_ns: int, *, shares: int, cash: int, fee: int = 0) -> Posting:
    """Buys above zero shares, sells below; money in cents."""
    bought, sold = max(0, shares), max(0, -shares)
    return Posting(
        source_id=f"matched:{number}",
        kind=PostingKind.MATCHED,
        at_ns=at_ns,
        reason="a trade",
        condition_id=ConditionId("0xc"),
        token_id=TokenId("1"),
        position_id=PositionId("p"),
        settled_shares=shares * MICRO,
        settled_cash=(cash - fee) * MICRO // 100,
        bought=bought * MICRO,
        bought_cost=-cash * MICRO // 100 if bought else 0,
        sold=sold * MICRO,
        sold_proceeds=cash * MICRO // 100 if sold else 0,
        fee=fee * MICRO // 100,
    )


BOOKED = [
    transfer(100, MIDNIGHT - DAY),
    trade(1, MIDNIGHT - 100, shares=10, cash=-500),
    trade(2, MIDNIGHT - 50, shares=-5, cash=300, fee=10),
    trade(3, MIDNIGHT + 100, shares=-5, cash=200, fee=10),
]


def test_the_path_ends_at_cash_claims_and_cost() -> None:
    for count in range(1, len(BOOKED) + 1):
        postings = BOOKED[:count]
        told = equity_of(postings, MIDNIGHT + 200, EquityQuery(), unrealised=0, limit=0)
        cash = sum(each.pending_cash + each.settled_cash for each in postings)
        held = sum(each.settled_shares for each in postings)
        assert parse_micros(told.points[-1].equity, field="equity") == cash + held // 2, "cost is half a dollar each"


def test_days_begin_at_midnight_and_the_limit_hangs_below_their_start() -> None:
    told = equity_of(BOOKED, MIDNIGHT + 200, EquityQuery(), unrealised=-2 * MICRO, limit=25 * MICRO)
    assert told.day_start_equity == "100.4", "half a dollar less ten cents was won the day before"
    assert told.loss_floor == "75.4"
    assert told.day_pnl == "-2.6", "sixty cents lost today, two dollars open"
    assert [point.day_pnl for point in told.points] == ["0", "-0.6", "-2.6"]
    assert told.points[0].equity == "100.4", "today's path begins where the day began"


def test_without_a_limit_there_is_no_floor() -> None:
    told = equity_of([], MIDNIGHT, EquityQuery(), unrealised=0, limit=0)
    assert (told.loss_limit, told.loss_floor, len(told.points)) == (None, None, 1)


def test_a_thinned_path_keeps_its_last_booking() -> None:
    many = [transfer(1, MIDNIGHT + number) for number in range(1_000)]
    told = equity_of(many, MIDNIGHT + 2_000, EquityQuery(points=10), unrealised=0, limit=0)
    assert len(told.points) <= 10
    assert told.points[-2].equity == "1000"


def test_forecasts_are_scored_beside_the_market() -> None:
    sure = [
        Forecast(window=str(n), block=0, seconds_left=0, probabilities={"model": 0.9, "market": 0.5}, up=True)
        for n in range(4)
    ]
    told = calibration_of(sure)
    assert (told.forecasts, told.brier_model, told.brier_market) == (4, 0.01, 0.25)
    assert [(each.count, each.forecast, each.won) for each in told.bins] == [(4, 0.9, 1.0)]
    assert calibration_of([]).brier_model is None
