"""Books that are not believed: changes without a snapshot, on the wrong side, against the venue's own best prices."""

from __future__ import annotations

from polystra.domain.events import (
    BookChanged,
    EntryRequested,
    LevelChange,
    PublicTrade,
    StreamConnected,
    StreamLost,
    StreamName,
)
from polystra.domain.facts import NoticeKind
from polystra.domain.ids import TokenId
from polystra.domain.market import Outcome
from polystra.domain.orders import Purpose, Side
from polystra.engine.effects import ReadBook
from polystra.engine.strategy.trade_flow import Flow
from tests.unit.engine.desk import CENT, CONDITION, DOWN, UP, Desk, micros

TEN = micros(10)


def change(side: Side, cents: int, size: float = 100, *, bid: int | None = None, ask: int | None = None) -> BookChanged:
    """One level of Up, with the venue's own best prices if it tells them."""
    level = LevelChange(
        token_id=UP,
        side=side,
        price=cents * CENT,
        size=micros(size),
        best_bid=None if bid is None else bid * CENT,
        best_ask=None if ask is None else ask * CENT,
    )
    return BookChanged(changes=(level,), at_ns=0)


def stops(desk: Desk) -> int:
    return len(desk.orders(Purpose.STOP_LOSS))


def reconnected(desk: Desk) -> Desk:
    return desk.step(
        StreamLost(stream=StreamName.MARKET, reason="gone"), StreamConnected(stream=StreamName.MARKET)
    ).clear()


def test_changes_without_a_snapshot_are_not_believed_and_the_book_is_fetched():
    desk = reconnected(Desk().ready())
    desk.step(change(Side.BUY, 49, 0, bid=10, ask=12), change(Side.BUY, 10, bid=10, ask=12))
    assert UP in [asked.token_id for asked in desk.asked(ReadBook)]
    assert "changes without a snapshot" in desk.notices(NoticeKind.BOOK_RESYNCED)[0].message
    desk.step(EntryRequested(request_id="r", condition_id=CONDITION, outcome=Outcome.UP, price=CENT * 52, quantity=TEN))
    assert not desk.sent()


def test_changes_without_a_snapshot_fire_no_stop_and_a_snapshot_does():
    desk = Desk().ready()
    desk.hold()
    reconnected(desk).advance(10).clear()
    desk.step(change(Side.BUY, 49, 0, bid=10, ask=12), change(Side.BUY, 10, bid=10, ask=12)).advance(1)
    assert not desk.notices(NoticeKind.STOP_FIRED)
    desk.book(10, 12).advance(1)
    assert desk.notices(NoticeKind.STOP_FIRED)


def test_a_change_on_the_wrong_side_is_noticed_by_the_venues_own_best_prices():
    desk = Desk().ready()
    desk.hold()
    desk.advance(10).clear()
    desk.step(change(Side.SELL, 20, bid=49, ask=51))
    assert stops(desk) == 0
    assert UP in [asked.token_id for asked in desk.asked(ReadBook)]
    assert "differs from the venue's" in desk.notices(NoticeKind.BOOK_RESYNCED)[0].message


def test_a_change_on_the_wrong_side_without_best_prices_is_a_crossed_book_and_fires_no_stop():
    desk = Desk().ready()
    desk.hold()
    desk.step(change(Side.SELL, 20)).advance(5)
    assert not desk.notices(NoticeKind.STOP_FIRED)
    assert stops(desk) == 0


def test_no_entry_is_made_on_a_crossed_book_and_one_is_when_it_is_healed():
    desk = Desk().ready()
    desk.step(change(Side.SELL, 20))
    wish = EntryRequested(request_id="r", condition_id=CONDITION, outcome=Outcome.UP, price=CENT * 52, quantity=TEN)
    desk.step(wish)
    assert not desk.sent()
    assert "the book is crossed" in desk.notices(NoticeKind.REQUEST_REFUSED)[0].message
    desk.step(change(Side.SELL, 20, 0), wish)
    assert len(desk.sent()) == 1


def test_a_book_that_goes_on_differing_is_not_fetched_at_every_change():
    desk = Desk().ready().clear()
    for cents in range(20, 30):
        desk.step(change(Side.SELL, cents, bid=49, ask=51))
    assert len([asked for asked in desk.asked(ReadBook) if asked.token_id == UP]) == 1


def printed(token: TokenId, side: Side, shares: int) -> PublicTrade:
    return PublicTrade(token_id=token, side=side, price=50 * CENT, size=micros(shares), at_ns=0)


def test_prints_of_both_outcomes_are_counted_as_the_up_tokens():
    desk = Desk().ready().clear()
    desk.step(printed(UP, Side.BUY, 3), printed(DOWN, Side.SELL, 4), printed(DOWN, Side.BUY, 5))
    desk.step(printed(TokenId("stranger"), Side.BUY, 9))
    flow = desk.engine.state.markets[CONDITION].flow
    assert flow.over(30, desk.now_ns) == Flow(bought=micros(7), sold=micros(5), prints=3)


def test_a_print_is_no_reason_to_look_at_anything():
    desk = Desk().ready()
    desk.hold()
    looked = desk.engine.state.other_inputs
    desk.clear().step(printed(UP, Side.SELL, 3))
    assert desk.engine.state.other_inputs == looked
    assert not desk.facts
    assert not desk.effects
