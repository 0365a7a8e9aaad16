"""Beats carry the last answer's id, heal a wrong one, never overtake each other, and fail by type."""

from __future__ import annotations

import asyncio
import json

import pytest

from polystra.adapters.clock import LoopClock
from polystra.adapters.polymarket.rest import PolymarketVenue
from polystra.domain.errors import (
    AuthFailed,
    OutcomeUnknown,
    VenueError,
    VenueProtocolError,
    VenueRefused,
    VenueUnreachable,
)
from tests.unit.adapters.polymarket.scripted import Answer, Script, says, with_venue

PATH = "/v1/heartbeats"


def taken(following: str) -> Answer:
    return says(json.dumps({"heartbeat_id": following}))


def wrong(expected: str) -> Answer:
    return says(json.dumps({"error_msg": "Invalid Heartbeat ID", "heartbeat_id": expected}), 400)


def sent(script: Script) -> list[str]:
    return [json.loads(asked.body)["heartbeat_id"] for asked in script.asked]


def test_every_beat_carries_the_id_of_the_last_answer() -> None:
    async def scene(venue: PolymarketVenue, script: Script, _clock: LoopClock) -> None:
        script.on(PATH, taken("a"), taken("b"), taken("c"))
        for _ in range(3):
            await venue.heartbeat.beat()
        assert sent(script) == ["", "a", "b"]

    with_venue(scene)


def test_a_wrong_id_is_replaced_and_sent_at_once() -> None:
    async def scene(venue: PolymarketVenue, script: Script, clock: LoopClock) -> None:
        script.on(PATH, wrong("x"), taken("y"), taken("z"))
        before = clock.monotonic_ns()
        await venue.heartbeat.beat()
        assert clock.monotonic_ns() - before < 10**9
        await venue.heartbeat.beat()
        assert sent(script) == ["", "x", "y"]

    with_venue(scene)


def test_a_second_wrong_id_is_a_refusal() -> None:
    async def scene(venue: PolymarketVenue, script: Script, _clock: LoopClock) -> None:
        script.on(PATH, wrong("x"), wrong("y"))
        with pytest.raises(VenueRefused, match="Invalid Heartbeat ID"):
            await venue.heartbeat.beat()
        assert sent(script) == ["", "x"]

    with_venue(scene)


def test_one_beat_is_in_flight() -> None:
    async def scene(venue: PolymarketVenue, script: Script, _clock: LoopClock) -> None:
        script.on(PATH, taken("a"), taken("b"))
        await asyncio.gather(venue.heartbeat.beat(), venue.heartbeat.beat())
        assert sent(script) == ["", "a"]

    with_venue(scene)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (says("", 425), VenueUnreachable),
        (says("<html>", 502), VenueUnreachable),
        (says('{"error":"Unauthorized/Invalid api key"}', 401), AuthFailed),
        (says('{"error":"Invalid payload"}', 400), VenueRefused),
        (says("<html>", 400), VenueRefused),
        (says("{}"), VenueProtocolError),
        (ConnectionError(), OutcomeUnknown),
    ],
)
def test_a_failure_has_its_type_and_the_next_beat_goes_on(answer: Answer, kind: type[VenueError]) -> None:
    async def scene(venue: PolymarketVenue, script: Script, _clock: LoopClock) -> None:
        script.on(PATH, taken("a"), answer, taken("b"))
        await venue.heartbeat.beat()
        with pytest.raises(kind):
            await venue.heartbeat.beat()
        await venue.heartbeat.beat()
        assert sent(script) == ["", "a", "a"]

    with_venue(scene)
