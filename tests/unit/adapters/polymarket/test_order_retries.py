"""Sending the same bytes again: when, for how long, and what a later answer may not undo."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from polystra.adapters.clock import LoopClock
from polystra.adapters.polymarket.rest import PolymarketVenue
from polystra.domain.events import (
    CancelAccepted,
    CancelRefused,
    CancelUnknown,
    IdMismatch,
    RefusalClass,
    SubmitAccepted,
    SubmitOutcome,
    SubmitRefused,
    SubmitUnknown,
)
from polystra.domain.ids import ClientOrderId, OrderId
from polystra.domain.orders import SignedOrder
from polystra.domain.units import NS_PER_S
from polystra.domain.venue import VenueMode
from polystra.ports.venue import Submission
from tests.unit.adapters.polymarket.scripted import START_NS, Script, says, with_venue

LIMITED = says('{"error":"Too Many Requests"}', 429)
NOT_READY = says('{"error":"the market is not yet ready to process new orders"}', 400)
TIMED_OUT = says('{"error":"order timed out"}', 500)
DUPLICATED = says('{"error":"order 0x1 is invalid. Duplicated."}', 400)
BALANCE = says('{"error":"not enough balance / allowance"}', 400)


def order(number: int, deadline_s: float = 0.0) -> Submission:
    signed = SignedOrder(
        client_order_id=ClientOrderId(f"c{number}"),
        order_id=OrderId(f"0x{number:064x}"),
        body=f'{{"n":{number}}}'.encode(),
        salt=1,
        timestamp_ms=1,
        quantity=1,
    )
    return Submission(signed=signed, deadline_ns=START_NS + int(deadline_s * NS_PER_S) if deadline_s else 0)


def leg(number: int, **more: object) -> dict[str, object]:
    return {"success": True, "errorMsg": "", "orderID": f"0x{number:064x}", "status": "live", **more}


def no(text: str) -> dict[str, object]:
    return {"success": False, "errorMsg": text, "orderID": "", "status": ""}


def yes(number: int = 1) -> Any:
    return says(json.dumps(leg(number)))


def id_of(outcome: SubmitOutcome) -> OrderId:
    return outcome.expected if isinstance(outcome, IdMismatch) else outcome.order_id


def play_submit(
    answers: Sequence[Any], *orders: Submission, alone: Sequence[Any] = ()
) -> tuple[list[SubmitOutcome], Script, list[tuple[float, SubmitOutcome]]]:
    async def scene(
        venue: PolymarketVenue, script: Script, clock: LoopClock
    ) -> tuple[list[SubmitOutcome], Script, list[tuple[float, SubmitOutcome]]]:
        script.on("/order", *(alone or answers))
        script.on("/orders", *answers)
        told: list[tuple[float, SubmitOutcome]] = []
        outcomes = await venue.submit(
            orders, lambda outcome: told.append(((clock.now_ns() - START_NS) / NS_PER_S, outcome))
        )
        return list(outcomes), script, told

    return with_venue(scene)


@pytest.mark.parametrize("not_now", [LIMITED, NOT_READY, TIMED_OUT])
def test_not_now_is_answered_with_the_same_bytes_and_fresh_headers(not_now: Any) -> None:
    (outcome,), script, told = play_submit([not_now, not_now, yes()], order(1))
    assert isinstance(outcome, SubmitAccepted)
    assert {asked.body for asked in script.asked} == {b'{"n":1}'}
    assert len({asked.headers["POLY_TIMESTAMP"] for asked in script.asked}) > 1
    assert [each for _, each in told] == [outcome]
    assert 2.4 <= told[0][0] <= 3.7, told  # one second, then two, each give or take a fifth


def test_the_pause_that_the_venue_names_is_obeyed() -> None:
    answers = [says("", 429, Retry_After="7"), yes()]
    (outcome,), _, told = play_submit(answers, order(1, deadline_s=60))
    assert isinstance(outcome, SubmitAccepted)
    assert 7.0 <= told[0][0] <= 7.5
    in_body = says('{"error":"rate limit","retry_after_seconds":5}', 429)
    _, _, told = play_submit([in_body, yes()], order(1))
    assert 5.0 <= told[0][0] <= 5.5


def test_a_stale_signal_is_dropped_at_once_and_never_sent_later() -> None:
    answers = [says("", 429, Retry_After="7"), yes()]
    (outcome,), script, told = play_submit(answers, order(1, deadline_s=5))
    assert isinstance(outcome, SubmitRefused)
    assert (outcome.code, outcome.kind) == ("stale", RefusalClass.REFUSED)
    assert "dropped: the signal is stale" in outcome.message
    assert len(script.asked) == 1
    assert told[0][0] < 1


def test_an_order_whose_deadline_has_passed_does_not_leave_at_all() -> None:
    late = Submission(signed=order(1).signed, deadline_ns=START_NS)
    (outcome,), script, _ = play_submit([yes()], late)
    assert isinstance(outcome, SubmitRefused)
    assert outcome.code == "stale"
    assert script.asked == []


def test_patience_ends_with_the_last_answer() -> None:
    (outcome,), script, told = play_submit([LIMITED], order(1))
    assert isinstance(outcome, SubmitRefused)
    assert (outcome.code, outcome.kind) == ("rate_limited", RefusalClass.RETRY)
    assert len(script.asked) >= 3
    assert told[0][0] <= 10


def test_nothing_else_is_sent_again() -> None:
    for answer, mode in (
        (BALANCE, None),
        (says('{"error":"Trading is currently disabled."}', 503), VenueMode.DISABLED),
        (says('{"error":"post-only mode: only post-only orders","retry_after_seconds":79}', 503), VenueMode.POST_ONLY),
    ):
        (outcome,), script, _ = play_submit([answer, yes()], order(1))
        assert isinstance(outcome, SubmitRefused)
        assert (outcome.mode, len(script.asked)) == (mode, 1)
    for unclear in (says('{"error":"new"}', 400), DUPLICATED, says("", 502), ConnectionError()):
        (doubt,), script, _ = play_submit([unclear, yes()], order(1))
        assert isinstance(doubt, SubmitUnknown)
        assert len(script.asked) == 1


@pytest.mark.parametrize("second", [BALANCE, LIMITED, says('{"error":"new"}', 400), DUPLICATED])
def test_what_may_have_arrived_once_is_never_refused_later(second: Any) -> None:
    (outcome,), _, _ = play_submit([TIMED_OUT, second], order(1))
    assert isinstance(outcome, SubmitUnknown)
    assert outcome.is_known is (second is DUPLICATED)


# --- batches ------------------------------------------------------------------------------


def test_only_the_legs_that_were_refused_for_now_are_sent_again() -> None:
    legs = [leg(1), no("Rate limit exceeded for tokenId: 7"), no("Insufficient balance"), no("could not insert order")]
    batch = says(json.dumps(legs))
    outcomes, script, told = play_submit([batch], *(order(number) for number in (1, 2, 3, 4)), alone=[yes(2)])
    assert [type(each) for each in outcomes] == [SubmitAccepted, SubmitAccepted, SubmitRefused, SubmitUnknown]
    assert [(asked.path, asked.body) for asked in script.asked][1:] == [("/order", b'{"n":2}')]
    at_once = [id_of(each) for seconds, each in told if seconds < 0.5]
    assert at_once == [order(number).signed.order_id for number in (1, 3, 4)]
    assert told[-1][1] == outcomes[1]


def test_a_batch_that_was_refused_whole_is_sent_again_whole() -> None:
    outcomes, script, _ = play_submit([LIMITED, says(json.dumps([leg(1), leg(2)]))], order(1), order(2))
    assert [type(each) for each in outcomes] == [SubmitAccepted, SubmitAccepted]
    assert [asked.body for asked in script.asked] == [b'[{"n":1},{"n":2}]'] * 2


def test_a_batch_with_an_ambiguous_answer_is_in_doubt_and_not_sent_again() -> None:
    for answer in (TIMED_OUT, NOT_READY, ConnectionError()):
        outcomes, script, _ = play_submit([answer], order(1), order(2))
        assert [type(each) for each in outcomes] == [SubmitUnknown, SubmitUnknown]
        assert len(script.asked) == 1


def test_each_order_has_its_own_deadline() -> None:
    both = [order(1, deadline_s=2), order(2, deadline_s=30)]
    outcomes, script, told = play_submit([LIMITED], *both, alone=[yes(2)])
    assert isinstance(outcomes[0], SubmitRefused)
    assert isinstance(outcomes[1], SubmitAccepted)
    assert [asked.path for asked in script.asked] == ["/orders", "/orders", "/order"]
    assert told[0][0] < 2
    assert id_of(told[0][1]) == order(1).signed.order_id


# --- cancels ------------------------------------------------------------------------------


def play(scene: Callable[[PolymarketVenue, Script, LoopClock], Awaitable[None]]) -> None:
    with_venue(scene)


def test_a_cancel_is_sent_again_when_the_venue_says_not_now() -> None:
    async def scene(venue: PolymarketVenue, script: Script, clock: LoopClock) -> None:
        order_id = order(1).signed.order_id
        script.on("/order", LIMITED, says(json.dumps({"canceled": [order_id], "not_canceled": {}})))
        assert [type(each) for each in await venue.cancel([order_id])] == [CancelAccepted]
        script.on("/order", LIMITED)
        (given_up,) = await venue.cancel([order_id])
        assert isinstance(given_up, CancelUnknown)
        assert (clock.now_ns() - START_NS) / NS_PER_S < 8
        asked = len(script.asked)
        script.on("/order", says('{"error":"service not ready"}', 425))
        (restarting,) = await venue.cancel([order_id])
        assert isinstance(restarting, CancelUnknown)
        assert restarting.mode is VenueMode.RESTARTING
        assert len(script.asked) == asked + 1

    play(scene)


def test_an_order_that_is_being_cancelled_is_not_sent_again() -> None:
    async def scene(venue: PolymarketVenue, script: Script, clock: LoopClock) -> None:
        script.on("/order", LIMITED, says(json.dumps({"canceled": [], "not_canceled": {"x": "Order not found"}})))
        told: list[SubmitOutcome] = []

        async def cancel_meanwhile() -> None:
            await clock.sleep(0.5)
            await venue.cancel([order(1).signed.order_id])

        async with asyncio.TaskGroup() as group:
            group.create_task(cancel_meanwhile())
            await venue.submit([order(1)], told.append)
        (outcome,) = told
        assert isinstance(outcome, SubmitRefused)
        assert outcome.code == "withdrawn"
        assert [asked.method for asked in script.asked] == ["POST", "DELETE"]

    play(scene)


def test_an_order_that_is_withdrawn_is_not_sent_again_and_nothing_is_said_to_the_venue() -> None:
    async def scene(venue: PolymarketVenue, script: Script, clock: LoopClock) -> None:
        script.on("/order", LIMITED)

        async def withdraw_meanwhile() -> None:
            await clock.sleep(0.5)
            venue.withdraw([order(1).signed.order_id])

        async with asyncio.TaskGroup() as group:
            group.create_task(withdraw_meanwhile())
            (outcome,) = await venue.submit([order(1)])
        assert isinstance(outcome, SubmitRefused)
        assert outcome.code == "withdrawn"
        assert [asked.method for asked in script.asked] == ["POST"]

    play(scene)


def test_a_refused_cancel_is_not_sent_again() -> None:
    async def scene(venue: PolymarketVenue, script: Script, _clock: LoopClock) -> None:
        order_id = order(1).signed.order_id
        script.on("/order", says(json.dumps({"canceled": [], "not_canceled": {order_id: "Order already matched"}})))
        (outcome,) = await venue.cancel([order_id])
        assert isinstance(outcome, CancelRefused)
        assert len(script.asked) == 1

    play(scene)
