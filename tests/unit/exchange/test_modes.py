"""The venue's modes: what each refuses, how long it lasts, what follows it."""

import pytest

from polystra.exchange.model import NS_PER_S, PlaceRequest
from polystra.exchange.modes import Mode, VenueModes, next_weekly_restart_s
from polystra.exchange.schedule import eastern
from polystra.exchange.venue_rules import VenueRules
from tests.unit.exchange.conftest import ALICE, BOB, DOWN, T0, UP, Desk
from tests.unit.exchange.http_desk import http_desk


def test_a_restart_is_followed_by_two_post_only_minutes() -> None:
    modes = VenueModes(VenueRules(restart_s=60))
    modes.enter(Mode.RESTARTING, T0)
    seen = [modes.at(T0 + second * NS_PER_S) for second in (0, 59, 60, 179, 180)]
    assert seen == [Mode.RESTARTING, Mode.RESTARTING, Mode.POST_ONLY, Mode.POST_ONLY, Mode.NORMAL]


def test_a_long_absence_passes_through_all_modes_at_once() -> None:
    modes = VenueModes(VenueRules())
    modes.plan(Mode.RESTARTING, T0 + NS_PER_S)
    modes.plan(Mode.DISABLED, T0 + 1_000 * NS_PER_S, 30)
    assert modes.at(T0) is Mode.NORMAL
    assert modes.at(T0 + 1_010 * NS_PER_S) is Mode.DISABLED
    assert modes.until_ns(T0 + 1_010 * NS_PER_S) == T0 + 1_030 * NS_PER_S
    assert modes.at(T0 + 2_000 * NS_PER_S) is Mode.NORMAL


@pytest.mark.parametrize("second", [1_782_753_000, 1_794_000_000, 1_772_900_000, 1_793_500_000])
def test_the_weekly_restart_is_tuesday_seven_in_new_york(second: int) -> None:
    found = next_weekly_restart_s(second)
    local = eastern(found)
    assert (local.weekday(), local.hour, local.minute) == (1, 7, 0)
    assert second <= found <= second + 8 * 86_400
    assert next_weekly_restart_s(found) == found


def test_the_weekly_restart_is_off_unless_asked_for() -> None:
    tuesday = next_weekly_restart_s(T0 // NS_PER_S) * NS_PER_S
    assert VenueModes(VenueRules()).at(tuesday) is Mode.NORMAL
    weekly = VenueModes(VenueRules(weekly_restart=True))
    assert weekly.at(T0) is Mode.NORMAL
    assert weekly.at(tuesday) is Mode.RESTARTING
    assert weekly.at(tuesday + 3_600 * NS_PER_S) is Mode.NORMAL
    assert weekly.at(tuesday + 7 * 86_400 * NS_PER_S) is Mode.RESTARTING


def test_house_quotes_that_rest_are_taken_in_post_only_mode(desk: Desk) -> None:
    house = desk.core.open_house_account("maker")
    desk.core.modes.enter(Mode.POST_ONLY, T0)
    assert desk.place(house, PlaceRequest.limit(UP, "BUY", price=400_000, size=10_000_000)).accepted
    crossing = desk.place(house, PlaceRequest.limit(DOWN, "BUY", price=600_000, size=10_000_000))
    assert crossing.refusal is not None
    assert crossing.refusal.code == "post_only_mode"
    assert desk.limit(ALICE, UP, "BUY", "0.30", "10", post_only=True).accepted
    assert not desk.limit(BOB, UP, "BUY", "0.30", "10").accepted


async def test_every_order_route_answers_425_while_the_engine_restarts() -> None:
    async with http_desk() as desk:
        desk.core.modes.enter(Mode.RESTARTING, desk.clock.now)
        for method, path, body in (
            ("POST", "/order", desk.submission()),
            ("POST", "/orders", [desk.submission()]),
            ("DELETE", "/order", {"orderID": "0x1"}),
            ("DELETE", "/orders", ["0x1"]),
            ("DELETE", "/cancel-all", None),
            ("DELETE", "/cancel-market-orders", {}),
        ):
            assert await desk.call(method, path, body) == (425, {"error": "service not ready"})


async def test_post_only_mode_tells_code_and_time_and_takes_makers_and_cancels() -> None:
    text = "post-only mode: only post-only orders and cancels are allowed"
    async with http_desk() as desk:
        resting = (await desk.call("POST", "/order", desk.submission()))[1]["orderID"]
        desk.core.modes.enter(Mode.POST_ONLY, desk.clock.now)
        desk.clock.now += 41 * NS_PER_S
        status, reply = await desk.call("POST", "/order", desk.submission())
        assert (status, reply) == (503, {"error": text, "code": "post_only_mode", "retry_after_seconds": 79})
        assert desk.headers["Retry-After"] == "79"
        status, legs = await desk.call("POST", "/orders", [desk.submission(), desk.submission(postOnly=True)])
        assert (status, legs[0]["errorMsg"], legs[0]["orderID"], legs[1]["status"]) == (200, text, "", "live")
        assert (await desk.call("DELETE", "/order", {"orderID": resting}))[1]["canceled"] == [resting]


async def test_cancel_only_and_disabled() -> None:
    async with http_desk() as desk:
        resting = (await desk.call("POST", "/order", desk.submission()))[1]["orderID"]
        desk.core.modes.enter(Mode.CANCEL_ONLY, desk.clock.now)
        cancel_only = "Trading is currently cancel-only. New orders are not accepted, but cancels are allowed."
        assert await desk.call("POST", "/order", desk.submission()) == (503, {"error": cancel_only})
        assert await desk.call("POST", "/orders", [desk.submission()]) == (503, {"error": cancel_only})
        assert (await desk.call("DELETE", "/order", {"orderID": resting}))[1]["canceled"] == [resting]
        desk.core.modes.enter(Mode.DISABLED, desk.clock.now)
        disabled = "Trading is currently disabled. Check polymarket.com for updates"
        assert await desk.call("POST", "/order", desk.submission()) == (503, {"error": disabled})
        assert await desk.call("DELETE", "/cancel-all") == (503, {"error": disabled})
