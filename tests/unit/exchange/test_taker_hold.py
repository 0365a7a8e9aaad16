"""Held, delayed and unmatched orders; shapes of refused legs; the order of events and reply."""

import asyncio
from typing import Any

import pytest

from polystra.exchange.core import CoreConfig
from polystra.exchange.model import NS_PER_S
from polystra.exchange.venue_rules import VenueRules
from tests.unit.exchange.conftest import DOWN, UP
from tests.unit.exchange.http_desk import HttpDesk, drain, http_desk

TAKE = {"makerAmount": "5000000"}


def venue(**rules: Any) -> CoreConfig:
    return CoreConfig(venue=VenueRules(**rules))


def meanwhile(desk: HttpDesk, act: Any) -> None:
    """Do something while the next order is held."""

    async def sleep(seconds: float) -> None:
        desk.clock.now += round(seconds * 1e9)
        desk.clock.sleep = type(desk.clock).sleep.__get__(desk.clock)  # type: ignore[method-assign]
        await act()

    desk.clock.sleep = sleep  # type: ignore[method-assign]


async def test_a_held_order_cannot_be_cancelled_and_is_validated_anew() -> None:
    async with http_desk(taker_delay_ms=50) as desk:
        desk.quote(DOWN, 50, 100)
        body = desk.submission(**TAKE)
        found: list[Any] = []

        async def act() -> None:
            found.append(await desk.call("DELETE", "/cancel-all"))
            desk.core.stop_trading(next(iter(desk.core.markets)), desk.clock.now)

        meanwhile(desk, act)
        status, reply = await desk.call("POST", "/order", body)
        assert found == [(200, {"canceled": [], "not_canceled": {}})]
        assert (status, reply) == (404, {"error": "No orderbook exists for the requested token id"})


@pytest.mark.parametrize(("switch", "word"), [(False, "live"), (True, "unmatched")])
async def test_an_order_that_lost_its_partner_during_the_hold_rests(switch: bool, word: str) -> None:
    async with http_desk(config=venue(unmatched_after_hold=switch), taker_delay_ms=50) as desk:
        desk.quote(DOWN, 50, 100)

        async def act() -> None:
            desk.core.cancel_all(desk.house, None, None, desk.clock.now)

        meanwhile(desk, act)
        _, reply = await desk.call("POST", "/order", desk.submission(**TAKE))
        assert (reply["success"], reply["status"], reply["makingAmount"]) == (True, word, "")
        assert [order.order_id for order in desk.core.open_orders([desk.signer.address])] == [reply["orderID"]]


async def test_a_delayed_order_is_settled_by_events_only() -> None:
    async with http_desk(seconds_delay=3) as desk:
        socket = await desk.user_socket()
        desk.quote(DOWN, 50, 100)
        body = desk.submission(**TAKE)
        status, reply = await desk.call("POST", "/order", body)
        assert (status, reply["status"], reply["makingAmount"], reply["tradeIDs"]) == (200, "delayed", "", [])
        again = await desk.call("POST", "/order", body)
        assert again == (400, {"error": f"order {reply['orderID']} is invalid. Duplicated."})
        canceled = await desk.call("DELETE", "/order", {"orderID": reply["orderID"]})
        assert canceled[1]["canceled"] == []
        assert await drain(socket) == []
        desk.clock.now += 3 * NS_PER_S
        desk.core.advance(desk.clock.now)
        frames = await drain(socket)
        assert [frame["event_type"] for frame in frames] == ["order", "trade"]
        assert frames[0]["status"] == "MATCHED"
        resting = await desk.call("POST", "/order", desk.submission())
        assert resting[1]["status"] == "live"


async def test_a_delayed_order_that_may_not_trade_any_more_is_announced_as_cancelled() -> None:
    async with http_desk(seconds_delay=3) as desk:
        socket = await desk.user_socket()
        desk.quote(DOWN, 50, 1_000)
        one = {"makerAmount": "400000000", "takerAmount": "800000000"}
        assert (await desk.call("POST", "/order", desk.submission(**one)))[1]["status"] == "delayed"
        two = (await desk.call("POST", "/order", desk.submission(makerAmount="5000000", orderType="FOK")))[1]
        two = (await desk.call("POST", "/order", desk.submission(**{**one, "makerAmount": "720000000"})))[1]
        desk.clock.now += 3 * NS_PER_S
        desk.core.advance(desk.clock.now)
        frames = {frame["id"]: frame for frame in await drain(socket) if frame["event_type"] == "order"}
        assert frames[two["orderID"]]["type"] == "CANCELLATION"
        assert frames[two["orderID"]]["status"].startswith("CANCELED_not enough balance / allowance")


async def test_a_fak_answered_live_fills_seconds_later() -> None:
    async with http_desk(config=venue(fak_answered_live=True)) as desk:
        desk.quote(DOWN, 50, 100)
        status, reply = await desk.call("POST", "/order", desk.submission(orderType="FAK", **TAKE))
        assert (status, reply["status"], reply["takingAmount"]) == (200, "live", "")
        desk.settle()
        trades = await desk.call("GET", "/data/trades")
        assert [row["taker_order_id"] for row in trades[1]["data"]] == [reply["orderID"]]


@pytest.mark.parametrize("success", [True, False])
async def test_refused_legs_come_in_two_shapes(success: bool) -> None:
    shape = "success_true" if success else "success_false"
    async with http_desk(config=venue(refused_leg=shape)) as desk:
        _, (leg,) = await desk.call("POST", "/orders", [desk.submission(makerAmount="4010000")])
        assert (leg["success"], leg["orderID"], leg["status"]) == (success, "", "")
        assert "breaks minimum tick size rule" in leg["errorMsg"]


async def test_too_many_legs_of_a_token_take_the_third_shape() -> None:
    async with http_desk(config=venue(legs_per_token=1)) as desk:
        _, legs = await desk.call("POST", "/orders", [desk.submission(), desk.submission()])
        assert legs[0]["status"] == "live"
        text = f"Rate limit exceeded for tokenId: {UP}"
        assert legs[1] == {"success": False, "orderID": "", "status": "delayed", "errorMsg": text}


async def test_parallel_legs_are_carried_out_in_a_seeded_order() -> None:
    async def arrivals(seed: int) -> list[int]:
        async with http_desk(config=venue(parallel_legs=True, seed=seed)) as desk:
            _, legs = await desk.call("POST", "/orders", [desk.submission() for _ in range(8)])
            numbers = {leg["orderID"]: number for number, leg in enumerate(legs)}
            return [numbers[order.order_id] for order in desk.core.open_orders([desk.signer.address])]

    first = await arrivals(1)
    assert first != list(range(8))
    assert sorted(first) == list(range(8))
    assert await arrivals(1) == first
    assert await arrivals(2) != first


async def test_events_may_come_before_or_after_the_reply() -> None:
    async with http_desk(config=venue(events="before_reply", reply_lag_ms=20)) as desk:
        start = desk.clock.now
        await desk.call("POST", "/order", desk.submission())
        assert desk.clock.now == start + 20_000_000
    async with http_desk(config=venue(events="after_reply")) as desk:
        socket = await desk.user_socket()
        _, reply = await desk.call("POST", "/order", desk.submission())
        frame = await asyncio.wait_for(socket.receive_json(), 5)
        assert (frame["type"], frame["id"]) == ("PLACEMENT", reply["orderID"])


@pytest.mark.parametrize(("switch", "kinds"), [(False, ["order", "trade"]), (True, ["trade", "order"])])
async def test_a_trade_may_be_announced_before_its_order(switch: bool, kinds: list[str]) -> None:
    async with http_desk(config=venue(trade_before_order=switch)) as desk:
        socket = await desk.user_socket()
        desk.quote(DOWN, 50, 100)
        await desk.call("POST", "/order", desk.submission(**TAKE))
        assert [frame["event_type"] for frame in await drain(socket)] == kinds
