"""A stop that was crossed while the daemon was down fires on the first trusted book after the start, by that alone.

Trusted: in sync, fresh, two-sided, not crossed. It does not wait for the account: exits never do. What it sells
follows from the books, and a take-profit that rests is withdrawn and its fate learnt first.
"""

from __future__ import annotations

from polystra.domain.events import StreamConnected, StreamName
from polystra.domain.facts import NoticeKind
from polystra.domain.orders import Purpose
from polystra.engine import effects as fx
from tests.unit.engine.desk import UP, Desk
from tests.unit.engine.test_restart import Life


def killed_with_a_position() -> Desk:
    """The next run: 10 shares bought at 50 cents, a take-profit at rest, a stop at 25; no stream, no book yet."""
    life = Life()
    life.desk.hold()
    [resting] = life.desk.orders(Purpose.TAKE_PROFIT)
    life.desk.accept(resting)
    return life.kill()


def fired(desk: Desk) -> bool:
    return bool(desk.notices(NoticeKind.STOP_FIRED))


def test_nothing_is_concluded_before_a_book_is_there():
    desk = killed_with_a_position()
    desk.advance(5)
    assert not fired(desk)
    desk.step(StreamConnected(stream=StreamName.MARKET)).advance(5)
    assert not fired(desk)
    assert desk.asked(fx.ReadBook), "a book that does not come by itself is asked for"


def test_it_fires_on_the_first_trusted_book_and_before_the_account_is_read():
    desk = killed_with_a_position()
    desk.step(StreamConnected(stream=StreamName.MARKET))
    desk.book(10, 12)
    assert fired(desk)
    [resting] = desk.orders(Purpose.TAKE_PROFIT)
    assert desk.cancels() == [resting.order_id]
    assert not desk.orders(Purpose.STOP_LOSS), "the fate of the take-profit is not known yet"
    desk.cancelled(resting).answer(resting).advance(0.1)
    [sale] = desk.orders(Purpose.STOP_LOSS)
    assert sale.order.terms.quantity == 10_000_000


def test_a_take_profit_that_was_filled_meanwhile_leaves_the_stop_nothing_to_sell():
    desk = killed_with_a_position()
    desk.step(StreamConnected(stream=StreamName.MARKET))
    desk.book(10, 12)
    [resting] = desk.orders(Purpose.TAKE_PROFIT)
    sold = desk.leg(resting, 10)
    desk.cancel_refused(resting).answer(resting, sold).advance(5)
    assert not desk.orders(Purpose.STOP_LOSS)
    assert desk.position().shares == 0


def test_a_one_sided_or_crossed_book_fires_nothing():
    for bid, ask in ((None, 12), (10, None), (12, 10)):
        desk = killed_with_a_position()
        desk.step(StreamConnected(stream=StreamName.MARKET))
        desk.book(bid, ask)
        assert not fired(desk), (bid, ask)
        desk.book(10, 12)
        assert fired(desk), "the first trusted one does"


def test_a_price_that_crossed_and_came_back_while_it_was_down_fires_nothing():
    desk = killed_with_a_position()
    desk.step(StreamConnected(stream=StreamName.MARKET))
    desk.book(49, 51).advance(5)
    assert not fired(desk)
    desk.book(10, 12, UP)
    assert fired(desk)
