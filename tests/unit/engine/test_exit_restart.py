"""What exits remember over a restart, and what they do with it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from polystra.domain.events import StreamConnected, StreamName
from polystra.domain.facts import NoticeKind, PositionRecorded
from polystra.domain.orders import Purpose
from polystra.engine.config import EngineConfig, ExitConfig, ExitMode
from polystra.engine.core import Engine
from polystra.engine.exit_memory import restored
from polystra.engine.state import ExitPhase
from tests.unit.engine.desk import MARKET, UP, Desk, config, live_sells
from tests.unit.engine.test_restart import Journal

TP, SL = Purpose.TAKE_PROFIT, Purpose.STOP_LOSS


class Life:
    """A run whose facts are all kept."""

    def __init__(self, settings: EngineConfig | None = None) -> None:
        self.settings = settings or config()
        self.desk = Desk(self.settings)
        self.desk.clear = lambda: self.desk  # type: ignore[method-assign]
        self.desk.ready()

    def again(self, **changes: object) -> Desk:
        """The next run over what this one recorded, some seconds later."""
        journal = Journal()
        journal.take(self.desk)
        state = self.desk.state
        engine = Engine(config(**changes) if changes else self.settings)
        engine.restore(
            markets=[(MARKET, None)],
            orders=[(order, journal.signed.get(key)) for key, order in journal.orders.items()],
            fills=journal.fills.values(),
            postings=journal.postings,
            positions=journal.positions.values(),
            next_order_number=state.next_order_number,
            next_decision_id=state.next_decision_id,
            last_fill_ns=state.last_fill_ns,
        )
        desk = Desk(engine=engine, now_ns=self.desk.now_ns + 3_000_000_000)
        desk.trades = self.desk.trades
        desk.start()
        for stream in StreamName:
            desk.step(StreamConnected(stream=stream))
        return desk


def of(**changes: object) -> EngineConfig:
    return config(exits=ExitConfig(**changes))  # type: ignore[arg-type]


def test_the_highest_bid_is_remembered_so_the_trailing_stop_hangs_where_it_hung():
    life = Life(of(trailing=True, take_profit=False))
    life.desk.hold()
    life.desk.books(80, 82).books(70, 72)
    again = life.again()
    assert again.exits().high_water == 800_000
    again.books(60, 62)
    assert [track.order.terms.rule for track in again.orders(SL)] == ["trailing-stop"]


def test_a_stop_crossed_while_the_daemon_was_down_fires_at_the_first_believed_book():
    life = Life(of(take_profit=False))
    life.desk.hold()
    again = life.again()
    assert not again.orders(SL)
    again.book(20, None)
    assert not again.orders(SL)
    again.book(20, 22)
    assert again.notices(NoticeKind.STOP_FIRED)
    assert len(again.orders(SL)) == 1


def test_a_stop_that_had_fired_goes_on_selling_though_the_price_came_back():
    life = Life()
    life.desk.hold()
    [resting] = life.desk.orders(TP)
    life.desk.accept(resting).book(20, 22)
    assert life.desk.exits().phase is ExitPhase.SELLING
    again = life.again()
    assert (again.exits().phase, again.exits().rule) == (ExitPhase.SELLING, "stop-loss")
    again.books(49, 51)
    [resting] = again.orders(TP)
    assert not again.orders(SL), "the fate of the take-profit comes first"
    leg = again.leg(resting, 4)
    again.answer(resting, leg).advance(3).answer(resting, leg).advance(3)
    [stop] = again.orders(SL)
    assert stop.order.terms.quantity == 6_000_000


def test_a_sale_in_flight_at_the_kill_is_never_made_twice():
    life = Life(of(take_profit=False))
    life.desk.hold()
    life.desk.book(20, 22)
    assert len(life.desk.orders(SL)) == 1
    again = life.again()
    again.books(20, 22).advance(2)
    assert len(again.orders(SL)) == 1
    [sale] = again.orders(SL)
    again.answer(sale, again.leg(sale, 10, 20, maker=False)).advance(20)
    assert len(again.orders(SL)) == 1
    assert again.position().shares == 0
    assert live_sells(again, again.position().position_id) == 0


def test_break_even_stays_armed():
    life = Life(of(break_even=True, stop_loss=False, take_profit=False))
    life.desk.hold()
    life.desk.books(65, 67)
    again = life.again()
    assert again.exits().break_even
    again.books(52, 54)
    assert [track.order.terms.rule for track in again.orders(SL)] == ["break-even"]


@pytest.mark.parametrize("before", list(ExitMode))
def test_the_mode_of_a_position_survives_another_setting(before):
    life = Life(of(mode=before))
    life.desk.hold()
    other = ExitMode.MONITOR if before is ExitMode.LIMIT_ORDERS else ExitMode.LIMIT_ORDERS
    assert life.again(exits=ExitConfig(mode=other)).exits().mode is before


def test_the_age_of_a_limit_exit_is_counted_over_the_restart():
    life = Life(of(max_age_s=60))
    life.desk.hold()
    life.desk.accept(life.desk.orders(TP)[0]).advance(50)
    again = life.again()
    [resting] = again.orders(TP)
    again.answer(resting, open_as=0).books(49, 51)
    again.advance(9)
    assert again.exits().rule == "max-age"
    assert again.cancels() == [resting.order_id]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"phase":"NOSUCH","fired_ns":"x","dust":null}'])
def test_a_row_without_a_readable_memory_begins_guarding(text):
    life = Life()
    life.desk.hold()
    record = life.desk.found(PositionRecorded)[-1]
    exits = restored(_with(record, text), ExitConfig(), b"seed")
    assert exits.phase is ExitPhase.GUARDING
    assert (exits.fired_ns, exits.dust) == (0, 0)


def _with(record: PositionRecorded, text: str) -> PositionRecorded:
    return replace(record, exits=text, token_id=UP)
