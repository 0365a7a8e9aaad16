"""The same facts in any order, any of them repeated, leave the engine with the same books.

A set of facts about one entry and its take-profit is drawn, complete in itself (every trade ends
CONFIRMED or FAILED), then told in two orders with repetitions. The channels keep no order among
each other, so none is assumed, except that the take-profit exists only once shares have arrived.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from polystra.domain import events as ev
from polystra.domain.fills import FillReport
from polystra.domain.ids import TradeId
from polystra.domain.orders import Purpose
from polystra.engine.config import ExitConfig
from polystra.engine.state import OrderTrack
from tests.unit.engine.desk import Desk, config, ledger_sums, live_sells

WORDS = (("CONFIRMED",), ("MATCHED", "CONFIRMED"), ("MATCHED", "MINED", "RETRYING", "CONFIRMED"), ("MATCHED", "FAILED"))
TRADES = st.lists(st.tuples(st.integers(1, 5), st.sampled_from(WORDS)), min_size=1, max_size=4)


def story(desk: Desk, track: OrderTrack, trades: list[tuple[int, tuple[str, ...]]], end: str) -> list[ev.WorldEvent]:
    """Everything that the venue ever says of an order that traded so."""
    facts: list[ev.WorldEvent] = [ev.SubmitAccepted(order_id=track.order_id, status=ev.VenueOrderStatus.LIVE)]
    matched = 0
    for number, (shares, words) in enumerate(trades):
        matched += shares
        facts.append(desk.word(track, "LIVE", matched))
        facts += [desk.leg(track, shares, status=word, trade=number) for word in words]
    facts.append(desk.word(track, end, matched))
    return facts


def told(desk: Desk, facts: list[ev.WorldEvent], rng: Random) -> None:
    """Tell the facts in a random order, about a third of them twice; the engine's rules hold after each."""
    arrivals = facts + [fact for fact in facts if rng.random() < 0.3]
    rng.shuffle(arrivals)
    for fact in arrivals:
        desk.step(fact)
        for position in desk.state.positions.values():
            arrived = desk.state.arrived_shares(position.position_id)
            assert arrived >= 0
            assert live_sells(desk, position.position_id) <= arrived


def held(trades: list[tuple[int, tuple[str, ...]]]) -> int:
    return sum(shares for shares, words in trades if words[-1] != "FAILED") * 1_000_000


@given(trades=TRADES, end=st.sampled_from(["CANCELED", "EXPIRED"]), one=st.integers(0, 999), two=st.integers(0, 999))
@settings(max_examples=150)
def test_an_entry_told_in_any_order_leaves_the_same_books(trades, end, one, two):
    sums = []
    for seed in (one, two):
        desk = Desk(config(exits=ExitConfig(enabled=False))).ready()
        track = desk.enter()
        told(desk, story(desk, track, trades, end), Random(seed))
        assert track.is_settled
        assert track.order.filled == held(trades)
        assert desk.position().shares == desk.position().settled_shares == held(trades)
        assert desk.position().bought_cost == held(trades) // 2
        assert desk.state.ledger.pending_cash == 0
        sums.append(ledger_sums(desk))
    assert sums[0] == sums[1]


@given(trades=TRADES, end=st.sampled_from(["CANCELED", "EXPIRED"]), one=st.integers(0, 999), two=st.integers(0, 999))
@settings(max_examples=150)
def test_a_take_profit_told_in_any_order_leaves_the_same_books(trades, end, one, two):
    sums = []
    for seed in (one, two):
        desk = Desk().ready()
        desk.hold(20)
        [track] = desk.orders(Purpose.TAKE_PROFIT)
        desk.trades = 100
        facts = story(desk, track, trades, end)
        told(desk, [_renamed(fact) for fact in facts], Random(seed))
        assert track.is_settled
        assert track.order.filled == held(trades)
        position = desk.position()
        assert position.shares == position.settled_shares == 20_000_000 - held(trades)
        assert position.sold_proceeds == held(trades) * 9 // 10
        sums.append(ledger_sums(desk))
    assert sums[0] == sums[1]


def _renamed(fact: ev.WorldEvent) -> ev.WorldEvent:
    """Trades of the take-profit have names of their own."""
    return replace(fact, trade_id=TradeId(f"s{fact.trade_id}")) if isinstance(fact, FillReport) else fact
