from __future__ import annotations

from dataclasses import replace

import pytest

from polystra.domain.orders import OrderStatus, Purpose
from tests.unit.engine.desk import Desk, enter
from tests.unit.engine.indexes import check_indexes


@pytest.fixture
def desk() -> Desk:
    """Three entries, one after the other, that the venue refused."""
    made = Desk().ready()
    for _ in range(3):
        track = made.enter(enter(10, 50))
        track.order = replace(track.order, status=OrderStatus.REJECTED)
        track.fate_known = True
    return made


def test_an_order_that_is_over_costs_nothing_more(desk):
    assert len(desk.state.orders) == 3
    assert desk.state.orders.unsettled() == []
    assert list(desk.state.live_orders()) == []


def test_an_order_that_the_venue_revives_goes_back_to_its_place(desk):
    first, second, third = desk.orders(Purpose.ENTRY)
    for track in (third, first):
        track.fate_known = False
    assert desk.state.orders.unsettled() == [first, third]
    second.matched = 10_000_000
    assert desk.state.orders.unsettled() == [first, second, third]
    second.failed = 10_000_000
    check_indexes(desk.state)
    assert desk.state.orders.unsettled() == [first, third]


def test_every_change_of_an_order_is_counted(desk):
    [track, *_] = desk.orders(Purpose.ENTRY)
    before = desk.state.orders.changes
    track.cancel_asked_ns = 5
    assert desk.state.orders.changes > before


def test_a_forgotten_order_is_in_no_index_and_counts_no_more(desk):
    [track, *_] = desk.orders(Purpose.ENTRY)
    track.fate_known = False
    del desk.state.orders[track.order.terms.client_order_id]
    assert track not in desk.state.orders.of_position(track.order.terms.position_id)
    assert track not in desk.state.orders.of_market(track.order.terms.condition_id)
    check_indexes(desk.state)
    before = desk.state.orders.changes
    track.fate_known = True
    assert (desk.state.orders.changes, desk.state.orders.unsettled()) == (before, [])
