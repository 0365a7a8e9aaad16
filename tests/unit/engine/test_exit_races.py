"""A take-profit rests, the stop fires, the take-profit trades while its cancel is under way.

The five events in every order, with the trade good or failing on chain, whole or in part: what is
on sale never exceeds what is held, and in the end every share is sold once.
"""

from __future__ import annotations

from itertools import permutations

import pytest

from polystra.domain.fills import FillReport
from polystra.domain.orders import Purpose
from polystra.engine.state import OrderTrack
from tests.unit.engine.desk import UP, Desk, live_sells, micros

TP, SL = Purpose.TAKE_PROFIT, Purpose.STOP_LOSS
EVENTS = ("stop fires", "trade matched", "cancel answered", "order reported", "trade settled")


class Race:
    """One interleaving. `matched` shares of the take-profit's ten trade before its cancel arrives."""

    def __init__(self, matched: int, *, fails: bool) -> None:
        self.desk = Desk().ready()
        self.desk.hold()
        [self.take_profit] = self.desk.orders(TP)
        self.desk.accept(self.take_profit).clear()
        self.matched, self.fails = matched, fails
        self.leg = self.desk.leg(self.take_profit, matched)
        self.settled = False

    def tell(self, event: str) -> None:
        desk, order = self.desk, self.take_profit
        if event == "stop fires":
            desk.book(20, 22)
        elif event == "trade matched" and not self.settled:
            desk.step(self.leg)
        elif event == "cancel answered":
            if self.matched == 10:
                desk.cancel_refused(order)
            else:
                desk.cancelled(order)
        elif event == "order reported":
            desk.report(order, "MATCHED" if self.matched == 10 else "CANCELED", self.matched)
        elif event == "trade settled":
            self.settled = True
            desk.settle(self.leg, "FAILED" if self.fails else "CONFIRMED")
        self.never_oversold()

    def never_oversold(self) -> None:
        position_id = self.desk.position().position_id
        arrived = self.desk.state.arrived_shares(position_id)
        assert arrived >= 0
        assert live_sells(self.desk, position_id) <= arrived

    def finish(self) -> None:
        """Look-ups are answered, sales are filled, until nothing moves any more."""
        desk = self.desk
        known = desk.state.fills[f"{self.leg.trade_id}:{self.leg.order_id}"]
        told = desk.leg(self.take_profit, self.matched, status=known.status, trade=int(self.leg.trade_id[1:]))
        for _ in range(12):
            for track in (self.take_profit, *desk.orders(SL)):
                if track.order_id in desk.lookups():
                    self.answer(track, told)
            desk.clear()
            for sale in desk.orders(SL):
                if sale.is_live:
                    desk.accept(sale, making=sale.order.terms.quantity)
                    desk.fill(sale, sale.order.terms.quantity / micros(1), 20, maker=False, status="CONFIRMED")
            self.never_oversold()
            desk.book(20, 22).advance(4)
            self.never_oversold()

    def answer(self, track: OrderTrack, told: FillReport) -> None:
        self.desk.answer(track, *([told] if track is self.take_profit else []))


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("matched", [4, 10])
@pytest.mark.parametrize("order", list(permutations(EVENTS)))
def test_in_every_order_of_the_events_each_share_is_sold_once(order, matched, fails):
    race = Race(matched, fails=fails)
    for event in order:
        race.tell(event)
    race.finish()
    desk = race.desk
    assert desk.position().shares == 0
    kept = 0 if fails else matched
    sales = sum(track.order.filled for track in desk.orders(SL))
    assert sales == micros(10 - kept)
    assert desk.state.ledger.balance(UP).shares == 0
    assert not desk.state.markets[desk.position().condition_id].frozen
