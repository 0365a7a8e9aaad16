"""Scale-in: when it adds, when it does not, and that it never adds twice."""

from __future__ import annotations

import pytest

from polystra.domain.events import SwitchName, SwitchRequested
from polystra.domain.facts import NoticeKind
from polystra.domain.market import Outcome
from polystra.domain.orders import OrderStatus, Purpose
from polystra.domain.units import MICRO
from polystra.engine.config import EngineConfig, ExitConfig, RiskConfig, ScaleInConfig
from polystra.engine.state import ExitPhase, OrderTrack
from tests.unit.engine.desk import CASH, UP, config, live_sells
from tests.unit.engine.scripted import ScriptedDesk, scripted


def settings(*, risk: RiskConfig | None = None, exits: bool = False, **scale_in: object) -> EngineConfig:
    values: dict[str, object] = {"enabled": True, **scale_in}
    return config(
        scale_in=ScaleInConfig(**values),  # type: ignore[arg-type]
        exits=ExitConfig(enabled=exits, stop_loss=False),
        risk=risk or RiskConfig(),
    )


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> ScriptedDesk:
    return scripted(monkeypatch, settings())


def additions(desk: ScriptedDesk) -> list[OrderTrack]:
    return [t for t in desk.orders(Purpose.ENTRY) if t.order.terms.rule == "scale-in"]


def won(desk: ScriptedDesk) -> ScriptedDesk:
    """10 shares held at 50 cents, the bid at 56, and a strategy that would enter again."""
    desk.hold()
    desk.says(20, 57).tick(56, 57)
    return desk


# --- it adds -------------------------------------------------------------------------------


def test_it_adds_the_cost_of_the_first_entry_to_the_same_position(desk):
    won(desk)
    [track] = additions(desk)
    terms = track.order.terms
    assert terms.position_id == desk.position().position_id
    assert terms.token_id == UP
    assert terms.price == 570_000
    cost = terms.price * terms.quantity // MICRO
    assert 4_500_000 <= cost <= 5_000_000
    [notice] = desk.notices(NoticeKind.SCALE_IN_PLACED)
    assert "available $995" in notice.message


def test_its_fills_are_averaged_in_part_by_part(desk):
    won(desk)
    [track] = additions(desk)
    desk.accept(track).fill(track, 3, 57)
    position = desk.position()
    assert position.shares == 13_000_000
    assert position.average_price == -(-(5_000_000 + 1_710_000) * MICRO // 13_000_000)
    desk.fill(track, 5, 56)
    assert position.shares == 18_000_000
    assert len(desk.state.positions) == 1


def test_the_multiplier_and_the_largest_trade_bound_it(monkeypatch):
    desk = scripted(monkeypatch, settings(multiplier_ppm=4 * MICRO, risk=RiskConfig(max_exposure_per_market=CASH)))
    desk.hold()
    desk.says(100, 57).tick(56, 57)
    cost = additions(desk)[0].order.terms.quantity * 57 // 100
    assert 19_000_000 <= cost <= 20_000_000


def test_the_strategys_own_size_bounds_it(desk):
    desk.hold()
    desk.says(6, 57).tick(56, 57)
    assert additions(desk)[0].order.terms.quantity == 6_000_000


# --- it does not ---------------------------------------------------------------------------


@pytest.mark.parametrize(("bid", "ask"), [(54, 56), (50, 52), (40, 42), (45, 60)])
def test_not_before_the_price_has_moved_in_our_favour(desk, bid, ask):
    desk.hold()
    desk.says(20, ask).tick(bid, ask)
    assert not additions(desk)


def test_not_when_the_strategy_wants_nothing_or_the_other_side(desk):
    desk.hold()
    desk.silent().tick(56, 57)
    desk.says(20, 44, outcome=Outcome.DOWN).tick(56, 57)
    assert not additions(desk)


def test_not_when_the_rule_is_off(monkeypatch):
    desk = scripted(monkeypatch, settings(enabled=False))
    won(desk)
    assert not additions(desk)


@pytest.mark.parametrize("name", [SwitchName.KILL, SwitchName.STOP_ENTRY])
def test_not_while_entries_are_stopped(desk, name):
    desk.step(SwitchRequested(name=name, on=True, reason="because", source="test"))
    won(desk)
    assert not additions(desk)
    assert "because" in desk.notices(NoticeKind.SCALE_IN_SKIPPED)[0].message


def test_not_while_the_position_is_being_sold(monkeypatch):
    desk = scripted(monkeypatch, settings(exits=True))
    desk.hold()
    desk.exits().phase = ExitPhase.SELLING
    desk.says(20, 57).tick(56, 57)
    assert not additions(desk)


def test_below_the_floor_it_is_skipped_with_need_and_have_once(monkeypatch):
    desk = scripted(monkeypatch, settings(), cash=8 * MICRO)
    won(desk)
    for _ in range(5):
        desk.tick(56, 57)
    assert not additions(desk)
    [notice] = desk.notices(NoticeKind.SCALE_IN_SKIPPED)
    assert notice.message == "skipped: need $5, have $3"


def test_the_limit_of_the_market_leaves_no_room_for_it(monkeypatch):
    desk = scripted(monkeypatch, settings(risk=RiskConfig(max_exposure_per_market=8 * MICRO)))
    won(desk)
    assert not additions(desk)
    assert "have $3" in desk.notices(NoticeKind.SCALE_IN_SKIPPED)[0].message


# --- never two -----------------------------------------------------------------------------


@pytest.mark.parametrize("fate", ["sent", "open", "in doubt", "partly filled", "cancelled, trades missing"])
def test_nothing_is_added_while_a_buy_of_the_position_is_unsettled(monkeypatch, fate):
    desk = scripted(monkeypatch, settings(max_times=5))
    won(desk)
    [track] = additions(desk)
    if fate == "in doubt":
        desk.unknown(track)
    elif fate != "sent":
        desk.accept(track)
    if fate == "partly filled":
        desk.fill(track, 3, 57)
    if fate.startswith("cancelled"):
        desk.report(track, "CANCELED", 4)
    for _ in range(4):
        desk.tick(75, 76, seconds=0.7)
    assert len(additions(desk)) == 1


def test_the_limit_of_additions_counts_every_one_that_was_asked_for(monkeypatch):
    desk = scripted(monkeypatch, settings(max_times=2))
    won(desk)
    desk.refuse(additions(desk)[0])
    desk.tick(56, 57)
    assert len(additions(desk)) == 2
    desk.refuse(additions(desk)[1])
    for _ in range(5):
        desk.tick(70, 71)
    assert len(additions(desk)) == 2


def test_the_next_addition_is_measured_from_the_new_average(monkeypatch):
    desk = scripted(monkeypatch, settings(max_times=2, risk=RiskConfig(max_exposure_per_market=CASH)))
    won(desk)
    track = additions(desk)[0]
    desk.accept(track)
    desk.fill(track, track.order.terms.quantity / MICRO, 57, status="CONFIRMED")
    desk.tick(58, 59)
    assert len(additions(desk)) == 1
    desk.says(20, 60).tick(59, 60)
    assert len(additions(desk)) == 2


def test_exits_cover_what_was_added_and_never_more(monkeypatch):
    desk = scripted(monkeypatch, settings(exits=True))
    won(desk)
    for resting in desk.orders(Purpose.TAKE_PROFIT):
        desk.accept(resting)
    track = additions(desk)[0]
    desk.accept(track)
    report = desk.fill(track, 8, 57)
    assert live_sells(desk, desk.position().position_id) <= 10_000_000
    desk.settle(report, "CONFIRMED")
    for _ in range(6):
        desk.tick(56, 57)
        for each in desk.orders(Purpose.TAKE_PROFIT):
            if each.order.status is OrderStatus.PENDING_CANCEL:
                desk.cancelled(each).report(each, "CANCELED", 0)
            elif each.order.status is OrderStatus.SUBMITTED:
                desk.accept(each)
        assert live_sells(desk, desk.position().position_id) <= 18_000_000
    assert live_sells(desk, desk.position().position_id) == 18_000_000


# --- the story of the doubled position -----------------------------------------------------


def test_a_scale_in_that_timed_out_was_given_up_and_fills_later_doubles_nothing(desk):
    """The POST times out, the order is found nowhere and reported failed, then it fills after all."""
    won(desk)
    [track] = additions(desk)
    desk.unknown(track)
    for _ in range(20):
        if track.cancel_asked_ns:
            desk.cancel_refused(track)
        desk.answer(track)
        desk.tick(56, 57, seconds=5)
    assert track.order.status is OrderStatus.REJECTED
    assert desk.position().shares == 10_000_000
    for _ in range(3):
        desk.tick(56, 57)
    late = desk.leg(track, 8, 57, maker=False)
    desk.step(late)
    desk.answer(track, late)
    desk.settle(late, "CONFIRMED")
    for _ in range(10):
        desk.tick(70, 71)
    position = desk.position()
    assert len(additions(desk)) == 1
    assert position.shares == 18_000_000
    bought = {key: fill.quantity for key, fill in desk.state.fills.items() if fill.position_id == position.position_id}
    assert sum(bought.values()) == position.bought == position.shares
    assert desk.state.ledger.balance(UP).shares == position.shares
    assert len(desk.state.positions) == 1
