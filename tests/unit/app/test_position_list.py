"""What is told of a position: size, mark and its age, what is armed and what rests."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from polystra.adapters.store.position_ledger import Finality, LedgerLine, PositionLedger
from polystra.adapters.store.queries import MarketRow
from polystra.app.position_list import PositionLine, duration, position_line, summed
from polystra.app.position_view import explained, the_position
from polystra.app.screen import grid, screen
from polystra.domain.errors import ConfigError
from polystra.domain.facts import PositionRecorded
from polystra.domain.ids import PositionId
from polystra.domain.orders import Order, OrderStatus, Purpose, Side
from polystra.domain.positions import PositionStatus
from polystra.domain.units import NS_PER_S
from tests.fakes import store_facts as facts

NOW = facts.T0 + 90 * NS_PER_S
BUY = replace(facts.order(1), status=OrderStatus.FILLED, filled=10_000_000)
BOUGHT = facts.matched(facts.fill(1, BUY)).posting


def sell(number: int, quantity: int, **changes: Any) -> Order:
    return facts.order(
        number,
        side=Side.SELL,
        purpose=Purpose.TAKE_PROFIT,
        rule="take-profit",
        price=600_000,
        quantity=quantity,
        status=OrderStatus.OPEN,
        created_at_ns=NOW - 61 * NS_PER_S,
        **changes,
    )


def told(*sells: Order, now_ns: int = NOW, memory: dict[str, Any] | None = None, **changes: Any) -> PositionLine:
    record = facts.position(BUY, exits=json.dumps(memory or {}), **changes)
    market = MarketRow(
        condition_id=record.condition_id,
        slug="btc-updown-5m-1790000400",
        symbol="BTC",
        opens_at_s=NOW // NS_PER_S - 60,
        closes_at_s=NOW // NS_PER_S + 240,
        settled=False,
        winner=None,
        decisions=1,
        entries=1,
        orders=1,
        fills=1,
        fees=0,
        realised_pnl=0,
    )
    booked = summed([record], [BOUGHT])[record.position_id]
    return position_line(record, market=market, sells=sells, booked=booked, available="42", now_ns=now_ns)


def test_what_is_held_is_valued_at_its_mark_with_the_age_of_the_mark():
    line = told(mark=550_000, mark_at_ns=NOW - 12 * NS_PER_S)
    assert (line.shares, line.settled_shares, line.average_price) == ("10", "0", "0.52")
    assert (line.mark, line.mark_age_s, line.unrealised_pnl) == ("0.55", 12, "0.3")
    assert (line.age_s, line.resolves_in_s, line.available) == (89, 240, "42")


def test_without_a_mark_nothing_is_said_of_the_worth():
    line = told()
    assert (line.mark, line.mark_source, line.mark_age_s, line.unrealised_pnl) == (None, None, None, None)


def test_a_position_that_is_over_has_no_mark_and_its_age_stands():
    line = told(
        pending_shares=0, status=PositionStatus.RESOLVED, mark=550_000, mark_at_ns=NOW, now_ns=NOW + 900 * NS_PER_S
    )
    assert (line.mark, line.unrealised_pnl, line.resolves_in_s, line.armed) == (None, "0", None, ())
    assert line.age_s == 0


def test_shares_promised_to_live_sells_are_reserved_and_the_sells_listed_with_their_age():
    line = told(sell(2, 4_000_000), sell(3, 6_000_000, filled=1_000_000))
    assert line.reserved_shares == "9"
    assert [(each.rule, each.price, each.shares, each.age_s) for each in line.exits] == [
        ("take-profit", "0.6", "4", 61),
        ("take-profit", "0.6", "5", 61),
    ]
    assert not line.take_profit_watched
    assert not line.armed


def test_a_take_profit_that_does_not_rest_is_watched_and_says_why():
    line = told(memory={"watched": "its placement was refused"})
    assert line.take_profit_watched
    assert line.armed == ("take-profit watched at 0.6 (its placement was refused)",)


@pytest.mark.parametrize(
    ("memory", "words"),
    [
        ({"stop_rule": "stop-loss"}, ("stop-loss at 0.3",)),
        ({"stop_rule": "trailing-stop"}, ("trailing-stop at 0.3, highest bid 0.7",)),
        ({"stop_rule": "break-even", "break_even": True}, ("break-even at 0.3",)),
        ({"stop_rule": "trailing-stop", "break_even": True}, ("trailing-stop at 0.3, highest bid 0.7", "break-even")),
        (
            {"stop_rule": "stop-loss", "time_stop_ns": NOW + 75 * NS_PER_S},
            ("stop-loss at 0.3", "time-stop in 1 min 15 s"),
        ),
        ({"phase": "SELLING", "rule": "stop-loss"}, ("selling now: stop-loss", "stop-loss at 0.3")),
    ],
)
def test_what_is_armed_here_is_told_with_its_price(memory: dict[str, Any], words: tuple[str, ...]):
    line = told(memory=memory, stop_price=300_000, high_water=700_000, take_profit_price=None)
    assert len(line.armed) == len(words)
    assert all(armed.startswith(word) for armed, word in zip(line.armed, words, strict=True))


@pytest.mark.parametrize("broken", ["", "[]", "{"])
def test_a_memory_of_exits_that_cannot_be_read_hides_nothing_else(broken: str):
    record = facts.position(BUY, exits=broken, stop_price=300_000)
    booked = summed([record], [BOUGHT])[record.position_id]
    line = position_line(record, market=None, sells=(), booked=booked, available="0", now_ns=NOW)
    assert line.armed[0] == "stop-loss at 0.3"
    assert line.market == record.condition_id


@pytest.mark.parametrize(
    ("seconds", "words"), [(5, "5 s"), (65, "1 min 5 s"), (3_660, "1 h 1 min"), (-65, "-1 min 5 s")]
)
def test_lengths_of_time(seconds: int, words: str):
    assert duration(seconds) == words


# --- every share explained ----------------------------------------------------------------


def ledger_of(record: PositionRecorded) -> PositionLedger:
    confirmed = facts.settled(facts.fill(1, BUY)).posting
    lines = (
        LedgerLine(posting=BOUGHT, finality=Finality.FINAL),
        LedgerLine(posting=confirmed, finality=Finality.FINAL),
        LedgerLine(posting=facts.resolved(BUY, 10_000_000, 10_000_000).posting, finality=Finality.FINAL),
    )
    return PositionLedger(position=record, lines=lines, fills=())


def test_the_postings_end_at_the_size():
    shares = explained(ledger_of(facts.position(BUY, pending_shares=0)))
    assert [line["size"] for line in shares.lines] == ["10", "10", "0"]
    assert (shares.sum, shares.size, shares.difference) == ("0", "0", "0")
    assert "is the position's size" in shares.verdict


def test_a_size_that_the_postings_do_not_explain_is_named():
    shares = explained(ledger_of(facts.position(BUY, pending_shares=3_000_000)))
    assert shares.difference == "3"
    assert "3 shares are not explained" in shares.verdict


@pytest.mark.parametrize(
    ("wanted", "found", "words"),
    [
        ("b", (), "expected a position's id"),
        ("zz", (), "no position has such an id"),
        ("btc", ("btc:up:1", "btc:up:2"), "several positions begin with (btc:up:1, btc:up:2)"),
    ],
)
def test_an_id_that_means_no_or_several_positions(wanted: str, found: tuple[str, ...], words: str):
    with pytest.raises(ConfigError, match=words.replace("(", r"\(").replace(")", r"\)")):
        the_position(wanted, tuple(map(PositionId, found)))


def test_ids_are_shown_as_they_are():
    console = screen()
    with console.capture() as shown:
        console.print(grid("T", words=("id",), figures=(), rows=[("btc:up:1 [bold]",)]))
    assert "btc:up:1 [bold]" in shown.get()
