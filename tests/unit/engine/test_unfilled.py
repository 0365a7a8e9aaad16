"""Entries that do not fill: the time-out, the early cancel, the second try at market, and how they end."""

from __future__ import annotations

import pytest

from polystra.domain.events import EntryRequested, SwitchName, SwitchRequested
from polystra.domain.facts import NoticeKind, PositionRecorded
from polystra.domain.market import Outcome
from polystra.domain.orders import OrderStatus, Purpose, TimeInForce
from polystra.engine.config import EngineConfig, ExitConfig, UnfilledConfig
from polystra.engine.state import OrderTrack
from tests.unit.engine.desk import CONDITION, config
from tests.unit.engine.scripted import ScriptedDesk, scripted


def settings(**unfilled: object) -> EngineConfig:
    values: dict[str, object] = {"timeout_s": 30, **unfilled}
    return config(unfilled=UnfilledConfig(**values), exits=ExitConfig(enabled=False))  # type: ignore[arg-type]


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> ScriptedDesk:
    return scripted(monkeypatch, settings())


def resting(desk: ScriptedDesk) -> OrderTrack:
    """An entry of 10 shares at 50 cents that rests; nothing more is wanted."""
    desk.says().tick()
    track = desk.last_order()
    desk.accept(track)
    desk.silent()
    return track


def timed_out(desk: ScriptedDesk, bid: float, ask: float) -> OrderTrack:
    """It has just timed out with the book at these prices."""
    track = resting(desk)
    for _ in range(15):
        desk.tick(bid, ask, seconds=2)
    assert track.order.status is OrderStatus.PENDING_CANCEL
    return track


def gone(desk: ScriptedDesk, track: OrderTrack, filled: float = 0) -> ScriptedDesk:
    """The venue says that it is cancelled, with so much filled before."""
    if filled:
        desk.fill(track, filled, status="CONFIRMED")
    desk.cancelled(track).report(track, "CANCELED", filled)
    return desk


def retries(desk: ScriptedDesk) -> list[OrderTrack]:
    return [t for t in desk.orders(Purpose.ENTRY) if t.order.terms.rule == "retry-at-market"]


# --- the second try ------------------------------------------------------------------------


def test_a_winner_that_timed_out_is_tried_at_market_within_the_dollars_that_were_left(desk):
    track = timed_out(desk, 58, 60)
    gone(desk, track).says(20, 60).tick(58, 60)
    [retry] = retries(desk)
    terms = retry.order.terms
    assert (terms.time_in_force, terms.budget, terms.price) == (TimeInForce.FAK, 5_000_000, 600_000)
    assert terms.position_id == track.order.terms.position_id
    assert terms.token_id == track.order.terms.token_id


def test_what_was_filled_before_is_not_bought_again(desk):
    track = timed_out(desk, 58, 60)
    gone(desk, track, filled=6).says(20, 60).tick(58, 60)
    [retry] = retries(desk)
    assert retry.order.terms.budget == 2_000_000


def test_it_waits_until_the_fate_of_the_first_is_known(desk):
    track = timed_out(desk, 58, 60)
    desk.says(20, 60)
    for _ in range(3):
        desk.tick(58, 60)
    desk.cancelled(track)
    for _ in range(2):
        desk.tick(58, 60)
    assert not retries(desk)
    desk.report(track, "CANCELED", 3)
    desk.tick(58, 60)
    assert not retries(desk)
    desk.fill(track, 3)
    desk.tick(58, 60)
    assert len(retries(desk)) == 1


@pytest.mark.parametrize(("bid", "ask"), [(54, 56), (55, 57), (50, 52)])
def test_no_second_try_without_a_clear_gain(desk, bid, ask):
    track = timed_out(desk, bid, ask)
    gone(desk, track)
    assert not desk.engine._unfilled._retries
    assert not retries(desk)


def test_no_second_try_when_the_edge_test_fails_at_the_price_there_is(desk):
    track = timed_out(desk, 58, 60)
    gone(desk, track).tick(58, 60)
    assert not retries(desk)
    [notice] = desk.notices(NoticeKind.RETRY_SKIPPED)
    assert "edge is too small" in notice.message
    desk.says(20, 60).tick(58, 60)
    assert not retries(desk)


def test_no_second_try_when_the_edge_is_on_the_other_side_or_entries_are_stopped(desk):
    track = timed_out(desk, 58, 60)
    gone(desk, track).says(20, 42, outcome=Outcome.DOWN).tick(58, 60)
    assert not retries(desk)
    assert "other side" in desk.notices(NoticeKind.RETRY_SKIPPED)[0].message


def test_no_second_try_while_entries_are_stopped(desk):
    track = timed_out(desk, 58, 60)
    desk.step(SwitchRequested(name=SwitchName.STOP_ENTRY, on=True, reason="because", source="test"))
    gone(desk, track).says(20, 60).tick(58, 60)
    assert not retries(desk)


def test_the_second_try_is_the_last(desk):
    track = timed_out(desk, 58, 60)
    gone(desk, track).says(20, 60).tick(58, 60)
    [retry] = retries(desk)
    desk.refuse(retry, killed=True).silent().tick(66, 68, seconds=40)
    desk.says(20, 68)
    for _ in range(3):
        desk.tick(66, 68)
    assert len(retries(desk)) == 1


def test_the_rule_can_be_off(monkeypatch):
    desk = scripted(monkeypatch, settings(retry=False))
    track = timed_out(desk, 58, 60)
    gone(desk, track)
    assert not desk.engine._unfilled._retries


# --- the early cancel ----------------------------------------------------------------------


def test_an_entry_whose_outcome_has_lost_its_worth_goes_early(desk):
    track = resting(desk)
    desk.silent(p_up=0.43).tick()
    assert not track.cancel_asked_ns
    desk.silent(p_up=0.42).tick()
    assert track.order.status is OrderStatus.PENDING_CANCEL
    assert "worth 0.42" in track.order.detail


def test_the_worth_of_down_is_the_other_way_round(desk):
    desk.says(outcome=Outcome.DOWN, p_up=0.4).tick()
    track = desk.last_order()
    desk.accept(track).silent(p_up=0.5).tick()
    assert not track.cancel_asked_ns
    desk.silent(p_up=0.6).tick()
    assert track.cancel_asked_ns


def test_what_a_person_asked_for_is_not_judged_by_the_strategy(desk):
    desk.step(
        EntryRequested(request_id="r1", condition_id=CONDITION, outcome=Outcome.UP, price=500_000, quantity=10_000_000)
    )
    track = desk.last_order()
    desk.accept(track)
    desk.silent(p_up=0.1).tick()
    assert not track.cancel_asked_ns


def test_asks_far_below_it_tell_the_same(desk):
    track = resting(desk)
    desk.tick(40, 42)
    assert track.cancel_asked_ns


def test_a_one_sided_book_proves_nothing(desk):
    track = resting(desk)
    desk.silent(p_up=0.1).advance(1)
    desk.book(None, 42)
    desk.look()
    assert not track.cancel_asked_ns
    desk.advance(1)
    desk.book(40, 42)
    desk.look()
    assert track.cancel_asked_ns


@pytest.mark.parametrize("off", [{"cancel_threshold_ppm": 0}, {"cancel": False}])
def test_the_early_cancel_can_be_off(monkeypatch, off):
    desk = scripted(monkeypatch, settings(**off))
    track = resting(desk)
    desk.silent(p_up=0.1).tick(10, 12)
    assert not track.cancel_asked_ns


# --- how it ends ---------------------------------------------------------------------------


def reasons(desk: ScriptedDesk) -> list[str]:
    return [fact.exit_reason for fact in desk.found(PositionRecorded)]


def test_a_position_that_never_held_a_share_ends_as_cancelled_unfilled(desk):
    track = timed_out(desk, 50, 52)
    desk.cancelled(track)
    assert reasons(desk)[-1] == ""
    desk.report(track, "CANCELED", 0)
    assert reasons(desk)[-1] == "CANCELLED_UNFILLED"


def test_not_so_while_trades_are_missing_or_when_shares_were_bought(desk):
    track = timed_out(desk, 50, 52)
    desk.cancelled(track).report(track, "CANCELED", 4)
    assert reasons(desk)[-1] == ""
    desk.fill(track, 4)
    assert reasons(desk)[-1] == ""


def test_nor_when_the_order_was_refused(desk):
    desk.says().tick()
    desk.refuse(desk.last_order())
    assert set(reasons(desk)) == {""}


def test_one_cancel_is_sent_whatever_asks_for_it(desk):
    track = timed_out(desk, 50, 52)
    desk.silent(p_up=0.1)
    for _ in range(3):
        desk.tick(40, 42)
    desk.step(SwitchRequested(name=SwitchName.KILL, on=True, reason="because", source="test"))
    assert desk.cancels().count(track.order_id) == 1
    desk.cancel_unknown(track).answer(track, open_as=0)
    desk.advance(10).answer(track, open_as=0)
    assert desk.cancels().count(track.order_id) >= 2
