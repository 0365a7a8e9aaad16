from dataclasses import replace

import pytest

from polystra.domain.errors import IllegalTransition
from polystra.domain.ids import ClientOrderId, ConditionId, OrderId, PositionId, TokenId
from polystra.domain.orders import (
    LIVE_STATUSES,
    TRANSITIONS,
    Order,
    OrderEvent,
    OrderStatus,
    OrderTerms,
    Purpose,
    Side,
    TimeInForce,
    apply,
    fill_event,
)

from .grid import reachable, read_grid

STATES = {
    "den": "DENIED",
    "sub": "SUBMITTED",
    "dbt": "IN_DOUBT",
    "opn": "OPEN",
    "pnd": "PENDING_CANCEL",
    "fil": "FILLED",
    "can": "CANCELED",
    "exp": "EXPIRED",
    "rej": "REJECTED",
}
GRID = read_grid(
    """
DENY SUBMIT ACCEPT REJECT OUTCOME_UNKNOWN CANCEL_ASKED CANCEL_REFUSED CANCEL EXPIRE FILL_PARTIAL FILL_FULL
NEW             den  sub    .      .      .               can          .              .      .      .            .
DENIED          .    .      .      .      .               .            .              .      .      .            .
SUBMITTED       .    .      opn    rej    dbt             pnd          .              can    exp    opn          fil
IN_DOUBT        .    .      opn    rej    =               pnd          =              can    exp    opn          fil
OPEN            .    .      =      .      =               pnd          dbt            can    exp    =            fil
PENDING_CANCEL  .    .      =      rej    =               =            dbt            can    exp    =            fil
CANCELED        .    .      =      =      =               =            =              =      =      =            fil
EXPIRED         .    .      =      .      =               =            =              can    =      =            fil
REJECTED        .    .      dbt    =      =               =            =              can    =      dbt          fil
FILLED          .    .      =      .      =               =            =              =      =      =            =
""",
    STATES,
)

TERMS = OrderTerms(
    client_order_id=ClientOrderId("c1"),
    condition_id=ConditionId("0xc"),
    token_id=TokenId("1"),
    position_id=PositionId("p1"),
    purpose=Purpose.ENTRY,
    side=Side.BUY,
    price=500_000,
    quantity=10_000_000,
)


def order_in(status: OrderStatus) -> Order:
    return Order(terms=TERMS, status=status, order_id=OrderId("0x1"), filled=3_000_000, detail="before")


def test_the_grid_covers_every_state_and_event():
    assert set(GRID) == {(status.value, event.value) for status in OrderStatus for event in OrderEvent}
    assert len(GRID) == 110


@pytest.mark.parametrize(("status", "event"), list(GRID))
def test_every_cell(status, event):
    target = GRID[(status, event)]
    order = order_in(OrderStatus(status))
    if target is None:
        with pytest.raises(IllegalTransition) as caught:
            apply(order, OrderEvent(event), now_ns=5)
        assert (caught.value.machine, caught.value.state, caught.value.event) == ("order", status, event)
        assert caught.value.subject == "c1"
        return
    after = apply(order, OrderEvent(event), now_ns=5)
    assert after.status == OrderStatus(target)
    assert after.updated_at_ns == 5
    assert replace(after, status=order.status, updated_at_ns=0) == order


def test_every_state_can_be_reached():
    assert reachable(TRANSITIONS, OrderStatus.NEW) == set(OrderStatus)


@pytest.mark.parametrize("status", sorted(LIVE_STATUSES))
def test_every_live_state_can_end_in_every_way_a_sent_order_can(status):
    ends = reachable(TRANSITIONS, status) - LIVE_STATUSES
    assert {OrderStatus.FILLED, OrderStatus.CANCELED} <= ends


def test_only_dead_states_are_not_live():
    dead = {OrderStatus.DENIED, OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.EXPIRED, OrderStatus.REJECTED}
    assert set(OrderStatus) - LIVE_STATUSES == dead
    assert all(order_in(status).is_live is (status not in dead) for status in OrderStatus)


def test_apply_sets_what_it_is_told_and_keeps_the_rest():
    order = order_in(OrderStatus.SUBMITTED)
    told = apply(order, OrderEvent.FILL_PARTIAL, now_ns=9, filled=4, order_id=OrderId("0x2"), detail="new")
    assert (told.filled, told.order_id, told.detail) == (4, "0x2", "new")
    kept = apply(told, OrderEvent.ACCEPT, now_ns=10)
    assert (kept.filled, kept.order_id, kept.detail) == (4, "0x2", "new")


def test_remaining_is_never_negative():
    assert order_in(OrderStatus.OPEN).remaining == 7_000_000
    assert replace(order_in(OrderStatus.OPEN), filled=11_000_000).remaining == 0


@pytest.mark.parametrize(
    ("filled", "event"),
    [
        (0, OrderEvent.FILL_PARTIAL),
        (9_990_000, OrderEvent.FILL_PARTIAL),
        (9_990_001, OrderEvent.FILL_FULL),
        (10_000_000, OrderEvent.FILL_FULL),
        (10_000_500, OrderEvent.FILL_FULL),
    ],
)
def test_a_fill_is_full_when_less_than_a_hundredth_of_a_share_is_left(filled, event):
    assert fill_event(order_in(OrderStatus.OPEN), filled) is event


def test_a_dollar_buy_is_never_full_by_shares():
    order = replace(order_in(OrderStatus.OPEN), terms=replace(TERMS, budget=5_000_000))
    assert fill_event(order, 20_000_000) is OrderEvent.FILL_PARTIAL


def test_kinds_and_purposes():
    assert {kind for kind in TimeInForce if kind.may_rest} == {TimeInForce.GTC, TimeInForce.GTD}
    assert {purpose for purpose in Purpose if not purpose.is_exit} == {Purpose.ENTRY}
