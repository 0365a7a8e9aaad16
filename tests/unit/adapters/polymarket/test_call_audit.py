"""What the adapter tells the audit: every attempt that may change something, with the right word for each order."""

from __future__ import annotations

import json
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from polystra.adapters.clock import LoopClock
from polystra.adapters.polymarket.call_audit import CallAudit
from polystra.adapters.polymarket.error_catalogue import (
    DROPPED_STALE,
)
from polystra.adapters.polymarket.redaction import Redaction
from polystra.adapters.polymarket.rest import PolymarketVenue
from polystra.adapters.polymarket.transport import Attempt, Reply, default_session
from polystra.domain.errors import VenueError
from polystra.domain.events import SubmitAccepted, SubmitRefused, VenueOrderStatus
from polystra.domain.ids import ClientOrderId, ConditionId, OrderId, TokenId
from polystra.domain.orders import SignedOrder
from polystra.ports.audit import ApiCall
from tests.fakes.venue import submissions
from tests.unit.adapters.polymarket.scripted import ACCOUNT, CREDENTIALS, START_NS, Script, play, says, served

SIGNATURE = "0x" + "ab" * 65
SALT = 987_654_321_012_345


class Kept:
    """Fulfils `ApiAudit`."""

    def __init__(self) -> None:
        self.calls: list[ApiCall] = []

    def record(self, call: ApiCall) -> None:
        self.calls.append(call)


def order_id(number: int) -> OrderId:
    return OrderId(f"0x{number:064x}")


def signed(number: int) -> SignedOrder:
    order = {"salt": SALT + number, "makerAmount": str(number), "signature": SIGNATURE}
    return SignedOrder(
        client_order_id=ClientOrderId(f"c{number}"),
        order_id=order_id(number),
        body=json.dumps({"order": order, "owner": CREDENTIALS.api_key, "orderType": "GTC"}).encode(),
        salt=SALT + number,
        timestamp_ms=1,
        quantity=1,
    )


def accepted(number: int, status: str = "live") -> dict[str, object]:
    return {"success": True, "errorMsg": "", "orderID": order_id(number), "status": status}


Scene = Callable[[PolymarketVenue, Script], Awaitable[Any]]


def kept_of(scene: Scene, *, port: str = "") -> list[ApiCall]:
    """Play a scene and return what was recorded; `port` stands for a server that is not there."""

    async def main() -> list[ApiCall]:
        script, kept = Script(), Kept()
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", script.handle)
        async with served(app) as host:
            venue = PolymarketVenue(
                base_url=f"http://{port or host}",
                account=ACCOUNT,
                clock=LoopClock(START_NS),
                rng=random.Random(1),
                audit=kept,
            )
            try:
                await scene(venue, script)
            except VenueError:
                pass
            finally:
                await venue.close()
        return kept.calls

    return play(main())


def submitting(*answers: Any, count: int = 1) -> list[ApiCall]:
    async def scene(venue: PolymarketVenue, script: Script) -> None:
        script.on("/order", *answers)
        script.on("/orders", *answers)
        await venue.submit(submissions(*[signed(number) for number in range(1, count + 1)]))

    return kept_of(scene)


def words(call: ApiCall) -> list[str]:
    return [outcome for _, outcome in call.orders]


def test_an_order_that_is_accepted() -> None:
    [call] = submitting(says(json.dumps(accepted(1, "matched"))))
    assert (call.method, call.path, call.status, call.outcome) == ("POST", "/order", 200, "matched")
    assert call.orders == ((order_id(1), "matched"),)
    assert call.at_ns >= START_NS
    assert call.latency_ns > 0
    assert json.loads(call.request)["order"]["makerAmount"] == "1"
    assert json.loads(call.reply)["orderID"] == order_id(1)


def test_neither_signature_nor_salt_nor_credentials_are_told() -> None:
    answer = {"error": f"invalid signature {SIGNATURE} by {CREDENTIALS.secret}", "owner": "another-key"}
    calls = [
        *submitting(says(json.dumps(accepted(1)))),
        *submitting(says(json.dumps(answer), 400)),
        *submitting(says(f"<html>{CREDENTIALS.passphrase}:{SIGNATURE}", 502)),
    ]
    secrets = (SIGNATURE, str(SALT + 1), CREDENTIALS.secret, CREDENTIALS.api_key, "another-key", "POLY_")
    for call in calls:
        assert not [secret for secret in secrets if secret in repr(call)]
    assert CREDENTIALS.passphrase not in calls[2].reply


@pytest.mark.parametrize(
    ("answer", "status", "word"),
    [
        (says('{"error":"not enough balance / allowance"}', 400), 400, "refused: balance"),
        (says('{"error":"order couldn\'t be fully filled, FOK orders are fully filled/killed"}', 400), 400, None),
        (says('{"error":"Duplicated."}', 400), 400, "duplicate"),
        (says('{"error":"brand new words"}', 400), 400, "in doubt"),
        (says('{"success":false,"errorMsg":"crosses the book","orderID":"","status":""}'), 200, "refused: crosses"),
        (says("<html>", 200), 200, "in doubt"),
        (ConnectionResetError(), None, "in doubt"),
        (60.0, None, "in doubt"),
    ],
)
def test_the_word_for_each_kind_of_answer(answer: Any, status: int | None, word: str | None) -> None:
    call = submitting(answer)[-1]
    assert call.status == status
    assert len(call.orders) == 1
    assert call.outcome == words(call)[0]
    if word is not None:
        assert call.outcome == word
    if status is None:
        assert call.reply


def test_every_leg_of_a_batch_has_its_own_word() -> None:
    refused = {"success": False, "errorMsg": "not enough balance / allowance", "orderID": "", "status": ""}
    [call] = submitting(says(json.dumps([accepted(1), refused, accepted(3)])), count=3)
    assert (call.path, words(call)) == ("/orders", ["live", "refused: balance", "live"])
    assert call.outcome == "2 live, 1 refused: balance"
    assert len(json.loads(call.request)) == 3


def test_a_server_that_is_not_there_is_a_row_for_each_attempt() -> None:
    async def scene(venue: PolymarketVenue, _script: Script) -> None:
        await venue.submit(submissions(signed(1)))

    calls = kept_of(scene, port="127.0.0.1:1")
    assert len(calls) > 1
    assert {(call.status, call.outcome, tuple(words(call))) for call in calls} == {(None, "not sent", ("not sent",))}


def test_an_order_has_its_outcome_in_its_last_request_and_each_request_only_its_own_orders() -> None:
    kept = Kept()
    audit = CallAudit(kept, Redaction())
    first, second, third = order_id(1), order_id(2), order_id(3)

    def attempt(at_ns: int, body: bytes, status: int, answer: bytes) -> Attempt:
        reply = Reply(status=status, body=answer)
        return Attempt(at_ns=at_ns, latency_ns=1, method="POST", path="/orders", body=body, reply=reply, error=None)

    with audit.trace({first: b"one", second: b"two", third: b"3rd"}) as trace:
        audit.observe(attempt(1, b"one two", 425, b'{"error":"service not ready"}'))
        audit.observe(attempt(2, b"one 3rd", 200, b"[]"))
        audit.observe(attempt(3, b"3rd", 200, b"{}"))
        trace.outcomes += [
            SubmitAccepted(order_id=first, status=VenueOrderStatus.LIVE),
            SubmitRefused(order_id=second, message="dropped", code=DROPPED_STALE.code),
            SubmitAccepted(order_id=third, status=VenueOrderStatus.MATCHED),
        ]
    assert [(call.at_ns, call.outcome, words(call)) for call in kept.calls] == [
        (1, "refused: restarting", ["refused: restarting", "refused: restarting"]),
        (2, "1 live, 1 not yet", ["live", "not yet"]),
        (3, "matched", ["matched"]),
    ]
    audit.observe(attempt(4, b"three", 200, b"{}"))
    assert (kept.calls[-1].outcome, kept.calls[-1].orders) == ("ok", ())


@pytest.mark.parametrize(("code", "word"), [(DROPPED_STALE.code, "not yet"), (None, "in doubt")])
def test_an_answer_that_decided_nothing_does_not_look_like_a_success(code: str | None, word: str) -> None:
    kept = Kept()
    audit = CallAudit(kept, Redaction())
    with audit.trace({order_id(1): b"one"}) as trace:
        reply = Reply(status=200, body=b"{}")
        audit.observe(
            Attempt(at_ns=1, latency_ns=1, method="POST", path="/order", body=b"one", reply=reply, error=None)
        )
        if code is not None:
            trace.outcomes.append(SubmitRefused(order_id=order_id(1), message="dropped", code=code))
    assert words(kept.calls[0]) == [word]


def test_cancels() -> None:
    async def scene(venue: PolymarketVenue, script: Script) -> None:
        answer = {"canceled": [order_id(1)], "not_canceled": {order_id(2): "already matched"}}
        script.on("/orders", says(json.dumps(answer)))
        script.on("/order", 60.0)
        await venue.cancel([order_id(1), order_id(2)])
        await venue.cancel([order_id(3)])

    both, lost = kept_of(scene)
    assert (both.method, both.path, both.status) == ("DELETE", "/orders", 200)
    assert both.orders == ((order_id(1), "canceled"), (order_id(2), "not canceled"))
    assert (lost.path, lost.status, lost.orders) == ("/order", None, ((order_id(3), "in doubt"),))


def test_beats_dismissals_and_refreshed_balances_are_kept_and_plain_questions_are_not() -> None:
    async def scene(venue: PolymarketVenue, script: Script) -> None:
        script.on("/v1/heartbeats", says('{"heartbeat_id":"next"}'))
        script.on("/notifications", says("[]"))
        script.on("/balance-allowance/update", says(""))
        script.on("/balance-allowance", says('{"balance":"5"}'))
        await venue.heartbeat.beat()
        async with venue.own_heartbeat(random.Random(2), default_session) as beat:
            await beat()
        await venue.notifications()
        await venue.dismiss([3, 4])
        await venue.token_balance(TokenId("7" * 76))
        await venue.cash()

    calls = kept_of(scene)
    assert [(call.method, call.path.partition("?")[0], call.outcome) for call in calls] == [
        ("POST", "/v1/heartbeats", "ok"),
        ("POST", "/v1/heartbeats", "ok"),
        ("DELETE", "/notifications", "ok"),
        ("GET", "/balance-allowance/update", "ok"),
    ]
    assert calls[2].path.endswith("?ids=3,4")
    assert "token_id=777" in calls[3].path


def test_a_look_up_of_one_order_is_kept_with_it() -> None:
    async def scene(venue: PolymarketVenue, script: Script) -> None:
        script.on("/data/trades", says('{"data":[],"next_cursor":"LTE="}'))
        script.on(f"/data/order/{order_id(1)}", says("null"))
        await venue.lookup(order_id(1), ConditionId("0xc"), START_NS)
        await venue.lookup(order_id(2), ConditionId("0xc"), START_NS)
        script.on(f"/data/order/{order_id(3)}", says("", 500), says('{"id":"what","status":"LIVE"}'))
        await venue.lookup(order_id(3), ConditionId("0xc"), START_NS)

    calls = kept_of(scene)
    assert [call.orders for call in calls] == [
        ((order_id(1), "absent"),),
        ((order_id(2), "absent"),),
        ((order_id(3), "failed"),),
        ((order_id(3), "found"),),
    ]


def test_a_command_that_is_given_up_is_in_doubt() -> None:
    async def scene(venue: PolymarketVenue, script: Script) -> None:
        script.on("/order", 60.0)
        try:
            async with venue._clock.timeout(1):
                await venue.submit(submissions(signed(1)))
        except TimeoutError:
            pass

    [call] = kept_of(scene)
    assert (call.status, words(call)) == (None, ["in doubt"])
    assert call.reply == "given up before an answer came"
