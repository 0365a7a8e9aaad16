"""Reversal: sell first, take the other side after; when it begins, when it does not, and its limit."""

from __future__ import annotations

import pytest

from polystra.domain.events import SwitchName, SwitchRequested, TokenBalanceRead
from polystra.domain.facts import NoticeKind
from polystra.domain.market import Outcome
from polystra.domain.orders import OrderStatus, Purpose, Side
from polystra.engine import effects as fx
from polystra.engine.config import EngineConfig, ExitConfig, ReversalConfig, RiskConfig
from polystra.engine.state import OrderTrack
from tests.unit.engine.desk import DOWN, UP, config
from tests.unit.engine.scripted import ScriptedDesk, scripted


def settings(*, max_times: int = 1, enabled: bool = True, exits: bool = False) -> EngineConfig:
    return config(
        reversal=ReversalConfig(enabled=enabled, max_times=max_times),
        exits=ExitConfig(enabled=exits, stop_loss=False),
        risk=RiskConfig(max_entries_per_market=1),
    )


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> ScriptedDesk:
    return scripted(monkeypatch, settings())


def flipped(desk: ScriptedDesk, *, p_up: float = 0.3) -> ScriptedDesk:
    """10 Up shares held at 50 cents; the strategy wants Down at 60 cents, books at 40 to 41."""
    desk.hold()
    desk.says(10, 60, outcome=Outcome.DOWN, p_up=p_up).tick(40, 41)
    return balance(desk)


def balance(desk: ScriptedDesk) -> ScriptedDesk:
    """The venue tells the balance that it is asked for before a close."""
    for question in desk.asked(fx.ReadTokenBalance)[-1:]:
        desk.step(TokenBalanceRead(token_id=question.token_id, shares=10_000_000, at_ns=desk.now_ns))
    return desk


def sales(desk: ScriptedDesk) -> list[OrderTrack]:
    return [t for t in desk.state.orders.values() if t.order.terms.side is Side.SELL]


def reversals(desk: ScriptedDesk) -> list[OrderTrack]:
    return [t for t in desk.orders(Purpose.ENTRY) if t.order.terms.rule == "reversal"]


def sold(desk: ScriptedDesk) -> ScriptedDesk:
    """The sale is filled and its fate known."""
    sale = sales(desk)[-1]
    desk.accept(sale).fill(sale, 10, 40, status="CONFIRMED", maker=False)
    desk.report(sale, "MATCHED", 10)
    return desk


def test_a_flip_sells_what_is_held_and_then_takes_the_other_side(desk):
    flipped(desk)
    [sale] = sales(desk)
    assert sale.order.terms.token_id == UP
    assert sale.order.terms.quantity == 10_000_000
    assert len(desk.notices(NoticeKind.REVERSAL_STARTED)) == 1
    sold(desk).tick(40, 41)
    [entry] = reversals(desk)
    assert (entry.order.terms.token_id, entry.order.terms.side) == (DOWN, Side.BUY)
    assert len(desk.state.positions) == 2


def test_the_other_side_waits_until_the_sale_is_known(desk):
    flipped(desk)
    [sale] = sales(desk)
    for _ in range(3):
        desk.tick(40, 41)
    desk.accept(sale).fill(sale, 6, 40, maker=False)
    for _ in range(3):
        desk.tick(40, 41)
    assert not reversals(desk)
    desk.fill(sale, 4, 40, maker=False)
    desk.report(sale, "MATCHED", 10).tick(40, 41)
    assert len(reversals(desk)) == 1


def test_a_sale_in_doubt_holds_the_other_side_back(desk):
    flipped(desk)
    desk.unknown(sales(desk)[0])
    for _ in range(5):
        desk.tick(40, 41)
    assert not reversals(desk)
    assert len(desk.orders(Purpose.ENTRY)) == 1


def test_nothing_is_taken_when_the_signal_is_gone_after_the_sale(desk):
    flipped(desk)
    sold(desk).silent().tick(40, 41)
    assert not reversals(desk)
    desk.advance(61)
    desk.tick(40, 41)
    assert len(desk.notices(NoticeKind.REVERSAL_ENDED)) == 1
    desk.says(10, 60, outcome=Outcome.DOWN, p_up=0.3).tick(40, 41)
    assert not reversals(desk)


def test_both_legs_with_their_fees_must_pay(desk):
    flipped(desk, p_up=0.42)
    assert not sales(desk)


def test_a_book_that_does_not_hold_the_shares_stops_it(desk):
    desk.hold()
    desk.says(10, 60, outcome=Outcome.DOWN, p_up=0.3).advance(1)
    desk.book(40, 41, size=4).book(59, 60, DOWN)
    desk.look()
    assert not sales(desk)


def test_the_limit_of_a_window(desk):
    flipped(desk)
    sold(desk).tick(40, 41)
    entry = reversals(desk)[0]
    desk.accept(entry).fill(entry, 10, 60, status="CONFIRMED")
    desk.says(10, 60, p_up=0.8)
    for _ in range(3):
        desk.tick(59, 60)
    assert len(sales(desk)) == 1


@pytest.mark.parametrize("name", [SwitchName.KILL, SwitchName.STOP_ENTRY])
def test_none_begins_while_entries_are_stopped_and_none_is_finished(desk, name):
    desk.step(SwitchRequested(name=name, on=True, reason="because", source="test"))
    flipped(desk)
    assert not sales(desk)
    desk.step(SwitchRequested(name=name, on=False, reason="", source="test"))
    balance(desk.tick(40, 41))
    desk.step(SwitchRequested(name=name, on=True, reason="because", source="test"))
    sold(desk).tick(40, 41)
    assert not reversals(desk)


def test_off_same_side_or_unsettled_buys_begin_nothing(monkeypatch, desk):
    off = scripted(monkeypatch, settings(enabled=False))
    flipped(off)
    assert not sales(off)
    desk = scripted(monkeypatch, settings())
    desk.hold()
    desk.says(10, 41, p_up=0.8).tick(40, 41)
    assert not sales(desk)


def test_a_resting_take_profit_is_withdrawn_first(monkeypatch):
    desk = scripted(monkeypatch, settings(exits=True))
    desk.hold()
    [resting] = desk.orders(Purpose.TAKE_PROFIT)
    desk.accept(resting)
    desk.says(10, 60, outcome=Outcome.DOWN, p_up=0.3).tick(40, 41)
    assert resting.order.status is OrderStatus.PENDING_CANCEL
    assert len(sales(desk)) == 1
    desk.cancelled(resting).report(resting, "CANCELED", 0)
    balance(desk.tick(40, 41))
    assert len(sales(desk)) == 2
