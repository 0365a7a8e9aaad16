"""Exits that rest beside exits that are watched: requests, prices against plan, fills, refusals, results."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

from polystra.adapters.store.account_reading import AccountReading
from polystra.adapters.store.position_reading import Requests
from polystra.app.exit_modes import mode_lines
from polystra.domain.fills import FillStatus
from polystra.domain.ids import PositionId
from polystra.domain.orders import Order, OrderStatus, Purpose, Side
from polystra.domain.positions import PositionStatus
from polystra.domain.units import NS_PER_S
from tests.fakes import store_facts as facts

ENTRY = facts.order(1)
HOUR = 3_600 * NS_PER_S


def sale(number: int, **changes: Any) -> Order:
    words: dict[str, Any] = {
        "side": Side.SELL,
        "purpose": Purpose.TAKE_PROFIT,
        "price": 600_000,
        "planned_price": 600_000,
        "status": OrderStatus.FILLED,
    }
    return facts.order(number, **(words | changes))


def account(*, orders: tuple[Order, ...] = (), fills: tuple[Any, ...] = (), **changes: Any) -> AccountReading:
    closed = facts.position(
        ENTRY,
        pending_shares=0,
        status=PositionStatus.CLOSED,
        exit_mode="limit_orders",
        realised_pnl=750_000,
        at_ns=facts.T0 + 1_001 + HOUR // 2,
    )
    watched = replace(closed, position_id=PositionId("other"), exit_mode="monitor", realised_pnl=-250_000)
    never = replace(closed, position_id=PositionId("never"), average_price=0)
    positions = (closed, watched, never)
    return cast("AccountReading", SimpleNamespace(positions=positions, orders=(ENTRY, *orders), fills=fills, **changes))


def fill(of: Order, quantity: int, cash: int, **changes: Any) -> Any:
    return facts.fill(int(of.terms.client_order_id[1:]), of, quantity=quantity, cash=cash, **changes)


def test_a_mode_is_told_by_its_exits():
    sold, worse = sale(2), sale(3, purpose=Purpose.STOP_LOSS, planned_price=500_000)
    cancelled, refused = sale(4, status=OrderStatus.CANCELED), sale(5, status=OrderStatus.REJECTED)
    denied = sale(6, status=OrderStatus.DENIED)
    fills = (
        fill(sold, 6_000_000, 3_600_000),
        fill(worse, 4_000_000, 1_960_000),
        fill(cancelled, 1_000_000, 1, status=FillStatus.FAILED),
    )
    requests = {"limit_orders": Requests(sent=7, failed=Counter({"refused: balance": 2}))}
    limit, monitor = mode_lines(
        account(orders=(sold, worse, cancelled, refused, denied), fills=fills), requests, facts.T0 + HOUR
    )
    assert (limit.exit_mode, limit.positions, limit.hours) == ("limit_orders", 1, "0.5")
    assert (limit.requests, limit.requests_per_hour) == (7, "14")
    assert (limit.exits, limit.exits_filled, limit.fill_rate) == (4, 2, "0.5")
    assert (limit.shares_sold, limit.price_against_plan) == ("10", "-0.004")
    assert (limit.refusals, limit.errors) == (2, {"refused: balance": 2})
    assert limit.realised_pnl == "0.75"
    assert (monitor.exit_mode, monitor.positions, monitor.exits, monitor.fill_rate) == ("monitor", 1, 0, None)
    assert (monitor.price_against_plan, monitor.realised_pnl) == (None, "-0.25")


def test_a_position_that_never_held_a_share_is_left_out():
    lines = mode_lines(account(), {}, facts.T0 + HOUR)
    assert sum(line.positions for line in lines) == 2


def test_an_open_position_counts_until_now():
    held = replace(account().positions[0], status=PositionStatus.OPEN, settled_shares=1)
    reading = cast("AccountReading", SimpleNamespace(positions=(held,), orders=(), fills=()))
    [line] = mode_lines(reading, {}, held.opened_at_ns + 2 * HOUR)
    assert line.hours == "2"
