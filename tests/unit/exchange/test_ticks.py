"""Tick refinement near the ends of the price range, and the grids of 0.005 and 0.0025."""

from typing import Any

import pytest

from polystra.exchange.core import CoreConfig
from polystra.exchange.model import PlaceRequest, TickSizeChanged
from polystra.exchange.venue_rules import VenueRules
from tests.unit.exchange.conftest import ALICE, BOB, CONDITION, DOWN, T0, UP, Desk
from tests.unit.exchange.http_desk import drain, http_desk


def changes(desk: Desk) -> list[tuple[int, int]]:
    return [(event.old_tick_size, event.new_tick_size) for event in desk.events if isinstance(event, TickSizeChanged)]


@pytest.mark.parametrize(("bid", "ask", "refined"), [("0.96", "0.97", True), ("0.95", "0.97", False)])
def test_the_middle_of_the_book_refines_the_grid(desk: Desk, bid: str, ask: str, refined: bool) -> None:
    desk.limit(ALICE, UP, "BUY", bid, "10")
    assert changes(desk) == []
    desk.limit(BOB, DOWN, "BUY", str(round(1 - float(ask), 2)), "100")
    assert changes(desk) == ([(10_000, 1_000)] if refined else [])


def test_a_trade_refines_the_grid_once_and_old_orders_stay(desk: Desk) -> None:
    desk.limit(BOB, DOWN, "BUY", "0.97", "100")
    resting = desk.limit(ALICE, UP, "BUY", "0.02", "100").order_id
    assert desk.limit(ALICE, UP, "BUY", "0.03", "50").status == "matched"
    assert changes(desk) == [(10_000, 1_000)]
    assert desk.core.order(resting) is not None
    assert desk.limit(ALICE, UP, "BUY", "0.021", "100").accepted
    assert not desk.limit(ALICE, UP, "BUY", "0.0215", "100").accepted
    assert desk.limit(BOB, DOWN, "BUY", "0.5", "10").accepted
    assert changes(desk) == [(10_000, 1_000)]


def test_the_switch_keeps_the_grid(make_desk: Any) -> None:
    desk = make_desk(venue=VenueRules(refine_ticks=False))
    desk.limit(BOB, DOWN, "BUY", "0.98", "100")
    desk.limit(ALICE, UP, "BUY", "0.02", "100")
    assert changes(desk) == []


async def test_tick_size_book_and_stream_follow() -> None:
    async with http_desk() as desk:
        socket = await desk.market_socket(UP, DOWN)
        await drain(socket)
        desk.quote(DOWN, 98, 100)
        await desk.call("POST", "/order", desk.submission(makerAmount="2000000", takerAmount="100000000"))
        frames = [frame for frame in await drain(socket) if frame["event_type"] == "tick_size_change"]
        assert [(frame["asset_id"], frame["old_tick_size"], frame["new_tick_size"]) for frame in frames] == [
            (UP, "0.01", "0.001"),
            (DOWN, "0.01", "0.001"),
        ]
        assert await desk.get(f"/tick-size?token_id={UP}") == (200, {"minimum_tick_size": 0.001})
        assert (await desk.get(f"/book?token_id={DOWN}"))[1]["tick_size"] == "0.001"


@pytest.mark.parametrize(("tick", "good", "bad"), [(5_000, 405_000, 402_500), (2_500, 402_500, 401_000)])
def test_the_grids_of_a_half_and_a_quarter_cent(make_desk: Any, tick: int, good: int, bad: int) -> None:
    desk = make_desk()
    desk.core.set_tick_size(CONDITION, tick, T0)
    taken = desk.place(ALICE, PlaceRequest.limit(UP, "BUY", price=good, size=19_690_000))
    assert taken.accepted, taken.refusal
    refused = desk.place(ALICE, PlaceRequest.limit(UP, "BUY", price=bad, size=19_690_000)).refusal
    assert refused is not None
    assert refused.text.endswith(f"breaks minimum tick size rule: 0.00{str(tick // 100).rstrip('0')}")


async def test_market_orders_are_capped_at_four_decimals_on_every_grid() -> None:
    async with http_desk(config=CoreConfig(), tick_size=1_000) as desk:
        desk.quote(DOWN, 60, 1_000)
        fine = desk.submission(makerAmount="4130000", takerAmount="10299251", orderType="FAK")
        assert (
            "max accuracy of 2 decimals, taker amount a max of 4"
            in (await desk.call("POST", "/order", fine))[1]["error"]
        )
        cut = desk.submission(makerAmount="4130000", takerAmount="10299200", orderType="FAK")
        assert (await desk.call("POST", "/order", cut))[1]["status"] == "matched"


async def test_gtd_orders_leave_a_minute_before_their_expiry() -> None:
    async with http_desk() as desk:
        socket = await desk.user_socket()
        expiry = desk.clock.now // 1_000_000_000 + 180
        body = desk.submission(orderType="GTD", expiration=str(expiry))
        _, reply = await desk.call("POST", "/order", body)
        assert reply["status"] == "live"
        desk.core.advance((expiry - 60) * 1_000_000_000 - 1)
        assert desk.core.order(reply["orderID"]) is not None
        desk.core.advance((expiry - 60) * 1_000_000_000)
        assert desk.core.order(reply["orderID"]) is None
        assert (await drain(socket))[-1]["status"] == "CANCELED_EXPIRED_ORDER"
