from __future__ import annotations

import json
from typing import Any

import pytest

from polystra.adapters.clock import LoopClock
from polystra.adapters.polymarket.account import is_position_id
from polystra.adapters.polymarket.rest import PolymarketVenue
from polystra.adapters.polymarket.signing.auth import l2_signature
from polystra.domain.errors import AuthFailed, RateLimited, VenueProtocolError, VenueRefused, VenueUnreachable
from polystra.domain.events import (
    CancelAccepted,
    CancelRefused,
    CancelUnknown,
    IdMismatch,
    RefusalClass,
    SubmitAccepted,
    SubmitRefused,
    SubmitUnknown,
    VenueOrderStatus,
)
from polystra.domain.ids import ClientOrderId, ConditionId, OrderId, TokenId
from polystra.domain.orders import SignedOrder
from polystra.domain.venue import VenueMode
from tests.fakes.venue import submissions
from tests.unit.adapters.polymarket.scripted import CREDENTIALS, ONCE, START_NS, Script, says, with_venue

CONDITION = ConditionId("0xcond")
TOKEN = TokenId("7" * 76)


def signed(number: int) -> SignedOrder:
    return SignedOrder(
        client_order_id=ClientOrderId(f"c{number}"),
        order_id=OrderId(f"0x{number:064x}"),
        body=f'{{"n": {number}}}'.encode(),
        salt=1,
        timestamp_ms=1,
        quantity=1,
    )


def accepted(number: int, status: str = "live", **more: object) -> dict[str, object]:
    return {"success": True, "errorMsg": "", "orderID": f"0x{number:064X}", "status": status, **more}


def submit(*answers: Any, count: int = 1) -> tuple[list[Any], Script]:
    async def scene(venue: PolymarketVenue, script: Script, _clock: LoopClock) -> tuple[list[Any], Script]:
        script.on("/order", *answers)
        script.on("/orders", *answers)
        return list(await venue.submit(submissions(*[signed(number) for number in range(1, count + 1)]))), script

    return with_venue(scene, retries=ONCE)


# --- what is sent ------------------------------------------------------------------------


def test_the_bytes_that_are_proved_are_the_bytes_that_are_sent() -> None:
    _, script = submit(says(json.dumps(accepted(1))))
    (asked,) = script.asked
    assert (asked.method, asked.path, asked.body) == ("POST", "/order", b'{"n": 1}')
    assert asked.headers["Content-Type"] == "application/json"
    assert asked.headers["POLY_TIMESTAMP"] == str(START_NS // 10**9)
    assert asked.headers["POLY_ADDRESS"] == "0xSigner"
    proof = l2_signature(CREDENTIALS.hmac_key, START_NS // 10**9, "POST", "/order", asked.body)
    assert asked.headers["POLY_SIGNATURE"] == proof


def test_a_batch_joins_the_signed_bytes() -> None:
    _, script = submit(says(json.dumps([accepted(1), accepted(2)])), count=2)
    (asked,) = script.asked
    assert (asked.path, asked.body) == ("/orders", b'[{"n": 1},{"n": 2}]')


def test_the_offset_of_the_clock_is_in_the_proof() -> None:
    async def scene(venue: PolymarketVenue, script: Script, _clock: LoopClock) -> None:
        script.on("/order", says(json.dumps(accepted(1))))
        venue.set_clock_offset(-3 * 10**9)
        await venue.submit(submissions(signed(1)))
        assert script.asked[0].headers["POLY_TIMESTAMP"] == str(START_NS // 10**9 - 3)

    with_venue(scene)


@pytest.mark.parametrize("count", [0, 16])
def test_a_batch_is_one_to_fifteen(count: int) -> None:
    with pytest.raises(ValueError, match="1 to 15"):
        submit(says("[]"), count=count)


# --- outcomes ------------------------------------------------------------------------------


def test_an_accepted_order_tells_what_it_exchanged() -> None:
    (outcome,), _ = submit(says(json.dumps(accepted(1, "matched", makingAmount="4.999999", takingAmount="8.19672"))))
    assert outcome == SubmitAccepted(
        order_id=signed(1).order_id, status=VenueOrderStatus.MATCHED, making=4_999_999, taking=8_196_720
    )


def test_another_id_than_ours_is_named() -> None:
    (outcome,), _ = submit(says(json.dumps(accepted(2))))
    assert outcome == IdMismatch(expected=signed(1).order_id, received=signed(2).order_id)


@pytest.mark.parametrize(
    ("answer", "code", "killed", "stop"),
    [
        (says('{"error":"not enough balance / allowance"}', 400), "balance", False, False),
        (says('{"error":"order couldn\'t be fully filled. FOK orders are fully filled or killed."}', 400),
         "fok_killed", True, False),
        (says('{"success":true,"orderID":"","status":"","errorMsg":"a text that nobody has seen"}'),
         "refused", False, False),
        (says('{"success":false,"orderID":null,"errorMsg":"Insufficient balance"}'), "balance", False, False),
        (says('{"error":"post-only mode: only post-only orders","code":"post_only_mode"}', 503),
         "post_only", False, False),
        (says('{"error":"Trading is currently cancel-only. New orders are not accepted"}', 503),
         "cancel_only", False, False),
        (says('{"error":"Trading is currently disabled. Check polymarket.com"}', 503), "disabled", False, False),
        (says('{"error":"\'0xab\' address in closed only mode"}', 400), "closed_only", False, False),
        (says('{"success":false,"orderID":"","status":"","errorMsg":""}'), "refused", False, False),
        (says("Too Many Requests", 429), "rate_limited", False, False),
        (says("<html>error 1015</html>", 429), "rate_limited", False, False),
        (says('{"error":"Unauthorized/Invalid api key"}', 401), "unauthorized", False, True),
        (says("<html>you have been blocked</html>", 403), "blocked", False, True),
        (says('{"error":"\'0xab\' address banned"}', 400), "banned", False, True),
        (says('{"error":"No orderbook exists for the requested token id"}', 404), "no_market", False, False),
    ],
)  # fmt: skip
def test_definite_refusals(answer: Any, code: str, killed: bool, stop: bool) -> None:
    (outcome,), script = submit(answer)
    assert isinstance(outcome, SubmitRefused)
    assert (outcome.code, outcome.killed, outcome.stop_trading) == (code, killed, stop)
    assert outcome.message
    assert len(script.asked) == 1


@pytest.mark.parametrize(
    "answer",
    [
        says('{"error":"order 0x1 is invalid. Duplicated."}', 400),
        says('{"error":"context canceled"}', 400),
        says('{"error":"a text that nobody has seen"}', 400),
        says("", 400),
        says('{"error":"order timed out"}', 500),
        says('{"error":"there are no matching orders"}', 500),
        says("<html>bad gateway</html>", 502),
        says("", 503),
        says("<html></html>"),
        says(""),
        says("null"),
        says("[]"),
        says('{"success":true,"orderID":"","status":"live","errorMsg":""}'),
        says('{"success":false,"orderID":"","status":"live","errorMsg":"order 0x1 is invalid. Duplicated."}'),
        says(json.dumps(accepted(1, "unmatched"))),
        says(json.dumps(accepted(1, "dreaming"))),
        says(json.dumps(accepted(1, errorMsg="some warning"))),
        ConnectionError(),
        25.0,
    ],
)
def test_whatever_is_no_clear_answer_is_unknown_and_never_sent_again(answer: Any) -> None:
    (outcome,), script = submit(answer)
    assert isinstance(outcome, SubmitUnknown), outcome
    assert outcome.order_id == signed(1).order_id
    assert len(script.asked) == 1


@pytest.mark.parametrize(
    ("answer", "is_known"),
    [
        (says('{"error":"order 0x1 is invalid. Duplicated."}', 400), True),
        (says('{"success":false,"orderID":"","status":"live","errorMsg":"order 0x1 is invalid. Duplicated."}'), True),
        (says('{"error":"order timed out"}', 500), False),
        (says(""), False),
    ],
)
def test_only_a_duplicate_says_that_the_bytes_arrived_before(answer: Any, is_known: bool) -> None:
    (outcome,), _ = submit(answer)
    assert isinstance(outcome, SubmitUnknown)
    assert outcome.is_known is is_known


def test_only_what_may_have_been_on_its_way_as_a_restart_began_is_in_doubt() -> None:
    async def scene(venue: PolymarketVenue, script: Script, _clock: LoopClock) -> None:
        restarting = says('{"error":"service not ready"}', 425)
        script.on("/order", restarting, says("", 425), says(json.dumps(accepted(3))), restarting)
        (first,) = await venue.submit(submissions(signed(1)))
        (second,) = await venue.submit(submissions(signed(2)))
        await venue.submit(submissions(signed(3)))
        (again,) = await venue.submit(submissions(signed(4)))
        assert isinstance(first, SubmitUnknown)
        assert isinstance(second, SubmitRefused)
        assert (second.code, second.kind) == ("restarting", RefusalClass.MODE)
        assert isinstance(again, SubmitUnknown)
        assert {first.mode, second.mode, again.mode} == {VenueMode.RESTARTING}

    with_venue(scene)


def test_answers_that_are_in_no_table_are_counted_and_known_ones_are_not() -> None:
    async def scene(venue: PolymarketVenue, script: Script, _clock: LoopClock) -> None:
        script.on(
            "/order",
            says('{"error":"a new text"}', 400),
            says("<html>"),
            says("[]"),
            says(json.dumps(accepted(1, "x"))),
            says('{"error":"a new text"}', 400),
            says('{"error":"order 0x1 is invalid. Duplicated."}', 400),
            says("", 502),
        )
        for _ in range(7):
            await venue.submit(submissions(signed(1)))
        assert venue.unknown_answers.total == 5
        assert sorted(venue.unknown_answers.counts.values()) == [2, 3]
        script.on("/orders", says(json.dumps([accepted(1)])))
        await venue.submit(submissions(signed(1), signed(2)))
        assert venue.unknown_answers.total == 6

    with_venue(scene)


def test_a_slow_answer_is_waited_for() -> None:
    async def scene(venue: PolymarketVenue, script: Script, clock: LoopClock) -> None:
        script.on("/order", 30.0)
        before = clock.monotonic_ns()
        await venue.submit(submissions(signed(1)))
        assert 20 <= (clock.monotonic_ns() - before) / 10**9 < 20.5

    with_venue(scene)


def test_legs_of_a_batch_are_judged_one_by_one() -> None:
    legs = [
        accepted(1),
        {"success": True, "orderID": "", "status": "", "errorMsg": "post-only mode: only post-only orders"},
        {"success": False, "orderID": "", "status": "delayed", "errorMsg": "Rate limit exceeded for tokenId: 7"},
        {"success": True, "orderID": "", "status": "", "errorMsg": ""},
        "garbage",
        accepted(99),
    ]
    outcomes, _ = submit(says(json.dumps(legs)), count=6)
    assert [type(outcome) for outcome in outcomes] == [
        SubmitAccepted, SubmitRefused, SubmitRefused, SubmitUnknown, SubmitUnknown, IdMismatch,
    ]  # fmt: skip
    assert [outcome.code for outcome in outcomes[1:3]] == ["post_only", "rate_limited"]


def test_answers_in_another_order_are_told_apart_by_their_ids() -> None:
    """A refusal without an id may be about any of the others: none of them is refused for sure."""
    refused = {"success": False, "orderID": "", "status": "", "errorMsg": "invalid nonce"}
    outcomes, _ = submit(says(json.dumps([accepted(3), refused, accepted(1)])), count=3)
    assert [outcome.order_id for outcome in outcomes] == [signed(number).order_id for number in (1, 2, 3)]
    assert [type(outcome) for outcome in outcomes] == [SubmitAccepted, SubmitUnknown, SubmitAccepted]


def test_a_batch_with_too_few_answers_is_in_doubt_and_not_sent_again() -> None:
    """Which of the five is missing is not for us to guess: each is looked up by its id."""
    outcomes, script = submit(says(json.dumps([accepted(1), accepted(2), accepted(4), accepted(5)])), count=5)
    assert [outcome.order_id for outcome in outcomes] == [signed(number).order_id for number in range(1, 6)]
    assert {type(outcome) for outcome in outcomes} == {SubmitUnknown}
    assert len(script.asked) == 1


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (says('{"error":"Unauthorized/Invalid api key"}', 401), SubmitRefused),
        (says('{"error":"Too many orders in payload: 20, max allowed: 15"}', 400), SubmitRefused),
        (says('{"error":"Too Many Requests"}', 429), SubmitRefused),
        (says('{"error":"order 0x1 is invalid. Size (1) lower than the minimum: 5"}', 400), SubmitUnknown),
        (says("oops", 500), SubmitUnknown),
        (says("[]"), SubmitUnknown),
    ],
)
def test_an_error_for_a_whole_batch(answer: Any, kind: type[object]) -> None:
    outcomes, script = submit(answer, count=2)
    assert [type(outcome) for outcome in outcomes] == [kind, kind]
    assert len(script.asked) == 1


# --- cancels -------------------------------------------------------------------------------


def test_cancels_are_answered_one_by_one() -> None:
    async def scene(venue: PolymarketVenue, script: Script, _clock: LoopClock) -> None:
        ids = [signed(number).order_id for number in (1, 2, 3)]
        reply = {"canceled": [ids[0].upper().replace("0X", "0x")], "not_canceled": {ids[1]: "Order not found"}}
        script.on("/orders", says(json.dumps(reply)))
        script.on("/order", says('{"canceled":[],"notCanceled":{}}'), says('{"error":"Internal"}', 500), says("x"))
        outcomes = await venue.cancel(ids)
        assert [type(outcome) for outcome in outcomes] == [CancelAccepted, CancelRefused, CancelUnknown]
        assert (script.asked[0].method, json.loads(script.asked[0].body)) == ("DELETE", ids)
        for _ in range(3):
            (outcome,) = await venue.cancel(ids[:1])
            assert isinstance(outcome, CancelUnknown)
        assert json.loads(script.asked[1].body) == {"orderID": ids[0]}

    with_venue(scene)


# --- questions -----------------------------------------------------------------------------


def order(number: int) -> dict[str, object]:
    return {"id": signed(number).order_id, "market": "0xc", "asset_id": "7", "side": "BUY", "original_size": "5",
            "size_matched": "0", "price": "0.5", "status": "LIVE", "created_at": 1}  # fmt: skip


def pages(*parts: list[dict[str, object]]) -> list[Any]:
    cursors = [f"c{number}" for number in range(1, len(parts))] + ["LTE="]
    return [
        says(json.dumps({"data": part, "next_cursor": cursor})) for part, cursor in zip(parts, cursors, strict=True)
    ]


def test_the_account_is_read_in_full() -> None:
    async def scene(venue: PolymarketVenue, script: Script, _clock: LoopClock) -> None:
        two_pages = pages([order(1)], [order(2)])
        script.on("/data/orders", *two_pages, *two_pages)
        script.on("/data/trades", *pages([], [])[:1], says('{"data":[],"next_cursor":"LTE="}'))
        script.on("/balance-allowance", says('{"balance":"7000000"}'), says('{"balance":"5"}'))
        snapshot = await venue.account(since_ns=100 * 10**9, tokens=[TOKEN])
        assert snapshot.complete, snapshot.detail
        assert [report.order_id for report in snapshot.open_orders] == [signed(1).order_id, signed(2).order_id]
        assert (snapshot.cash, snapshot.tokens) == (7_000_000, ((TOKEN, 5),))
        assert snapshot.asked_at_ns <= snapshot.at_ns
        queries = {asked.path: asked.query for asked in script.asked}
        assert queries["/data/trades"]["after"] == "99"
        assert queries["/balance-allowance"] == {
            "asset_type": "CONDITIONAL", "token_id": TOKEN, "signature_type": "3",
        }  # fmt: skip
        cursors = [asked.query["next_cursor"] for asked in script.asked if asked.path == "/data/orders"]
        assert cursors == ["MA==", "c1", "MA==", "c1"]
        paths = [asked.path for asked in script.asked]
        assert paths.index("/balance-allowance") > paths.index("/data/trades")
        assert "?" not in script.asked[0].headers["POLY_SIGNATURE"]

    with_venue(scene)


def test_a_list_that_changes_while_it_is_read_is_read_again_and_then_given_up() -> None:
    async def scene(venue: PolymarketVenue, script: Script, _clock: LoopClock) -> None:
        script.on("/data/trades", *pages([]))
        script.on("/balance-allowance", says('{"balance":"1"}'))
        script.on("/data/orders", *pages([order(1)], [order(2)]), *pages([order(2)], [order(3)]), *pages([order(3)]))
        snapshot = await venue.account(since_ns=0, tokens=())
        assert [report.order_id for report in snapshot.open_orders] == [signed(3).order_id]
        assert snapshot.complete
        script.on("/data/orders", *[page for n in range(20) for page in pages([order(n)], [order(n + 1)])])
        snapshot = await venue.account(since_ns=0, tokens=())
        assert not snapshot.complete
        assert "changed during" in snapshot.detail

    with_venue(scene)


@pytest.mark.parametrize("path", ["/data/orders", "/data/trades"])
def test_a_second_page_that_fails_makes_the_snapshot_incomplete(path: str) -> None:
    async def scene(venue: PolymarketVenue, script: Script, _clock: LoopClock) -> None:
        rows = [order(1)] if path == "/data/orders" else []
        first = says(json.dumps({"data": rows, "next_cursor": "c1"}))
        script.on("/data/orders", *pages([]))
        script.on("/data/trades", *pages([]))
        script.on("/balance-allowance", says('{"balance":"1"}'))
        script.on(path, first, says('{"error":"Internal server error"}', 500))
        snapshot = await venue.account(since_ns=0, tokens=())
        assert [asked.query.get("next_cursor") for asked in script.asked if asked.path == path][1] == "c1"
        assert not snapshot.complete
        assert snapshot.detail

    with_venue(scene, retries=ONCE)


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/data/orders", says('{"error":"Internal server error"}', 500)),
        ("/data/orders", says(json.dumps({"data": [{**order(1), "status": "NEW"}], "next_cursor": "LTE="}))),
        ("/data/orders", says('{"data":[],"next_cursor":"MA=="}')),
        ("/data/trades", says("<html></html>")),
        ("/data/trades", says('{"data":[{"trader_side":"TAKER"}],"next_cursor":"LTE="}')),
        ("/balance-allowance", says("{}")),
        ("/balance-allowance", says('{"error":"Unauthorized"}', 401)),
    ],
)
def test_a_failed_part_makes_the_snapshot_incomplete(path: str, answer: Any) -> None:
    async def scene(venue: PolymarketVenue, script: Script, _clock: LoopClock) -> None:
        script.on("/data/orders", *pages([]))
        script.on("/data/trades", *pages([]))
        script.on("/balance-allowance", says('{"balance":"1"}'))
        script.on(path, answer)
        snapshot = await venue.account(since_ns=0, tokens=())
        assert not snapshot.complete
        assert snapshot.detail

    with_venue(scene)


def test_an_order_is_looked_for_among_open_orders_and_trades() -> None:
    mine = signed(1).order_id
    leg = {"order_id": mine, "owner": "my-key", "matched_amount": "5", "price": "0.5", "asset_id": "7", "side": "SELL"}
    other = {**leg, "order_id": signed(2).order_id}
    trade = {"id": "t", "taker_order_id": "0xf", "market": "0xc", "asset_id": "7", "side": "BUY", "size": "10",
             "price": "0.5", "status": "MINED", "match_time": "5", "trader_side": "MAKER",
             "maker_orders": [leg, other]}  # fmt: skip

    async def scene(venue: PolymarketVenue, script: Script, _clock: LoopClock) -> None:
        script.on("/data/trades", says(json.dumps({"data": [trade], "next_cursor": "LTE="})))
        script.on("/data/orders", says(json.dumps({"data": [], "next_cursor": "LTE="})))
        for closed in (says(""), says("null"), says('{"error":"Order not found"}', 404)):
            script.on(f"/data/order/{mine}", closed)
            found = await venue.lookup(mine, CONDITION, 5 * 10**9)
            assert (found.open_order, found.complete) == (None, True)
            assert [(fill.order_id, fill.quantity) for fill in found.fills] == [(mine, 5_000_000)]
        asked = [(each.path.rpartition("/")[2], each.query) for each in script.asked[1:3]]
        assert asked[0] == ("orders", {"id": mine, "next_cursor": "MA=="})
        assert asked[1] == ("trades", {"market": "0xcond", "after": "4", "next_cursor": "MA=="})
        script.on(f"/data/order/{mine}", says(json.dumps(order(1))))
        found = await venue.lookup(mine, CONDITION, 0)
        assert found.open_order is not None
        script.on(f"/data/order/{mine}", says(json.dumps(order(2))))
        assert not (await venue.lookup(mine, CONDITION, 0)).complete
        script.on(f"/data/order/{mine}", says("", 500))
        assert not (await venue.lookup(mine, CONDITION, 0)).complete

    with_venue(scene)


def test_an_answer_without_a_body_does_not_end_an_order_that_is_listed_as_open() -> None:
    mine = signed(1).order_id

    async def scene(venue: PolymarketVenue, script: Script, _clock: LoopClock) -> None:
        script.on("/data/trades", says(json.dumps({"data": [], "next_cursor": "LTE="})))
        script.on(f"/data/order/{mine}", says(""))
        script.on("/data/orders", says(json.dumps({"data": [order(1)], "next_cursor": "LTE="})))
        found = await venue.lookup(mine, CONDITION, 0)
        assert found.open_order is not None
        assert found.open_order.order_id == mine
        script.on("/data/orders", says(""))
        assert not (await venue.lookup(mine, CONDITION, 0)).complete

    with_venue(scene)


def test_a_time_that_broke_off_is_no_time() -> None:
    async def scene(venue: PolymarketVenue, script: Script, _clock: LoopClock) -> None:
        script.on("/time", says("17827"))
        with pytest.raises(VenueProtocolError, match="time is 17827, expected UTC seconds after"):
            await venue.server_time_ns()

    with_venue(scene)


def test_questions_are_asked_again_until_they_are_answered() -> None:
    async def scene(venue: PolymarketVenue, script: Script, clock: LoopClock) -> None:
        script.on("/time", says("", 425), says("", 502), ConnectionError(), says("slow down", 429, Retry_After="7"),
                  says("1782753357"))  # fmt: skip
        before = clock.monotonic_ns()
        assert await venue.server_time_ns() == 1_782_753_357 * 10**9
        assert len(script.asked) == 5
        assert (clock.monotonic_ns() - before) / 10**9 > 7

    with_venue(scene)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (says("", 500), VenueUnreachable),
        (says("", 429), RateLimited),
        (says("", 429, Retry_After="60"), RateLimited),
        (says('{"error":"Invalid token id"}', 400), VenueRefused),
        (says("", 401), AuthFailed),
        (says("<html>"), VenueProtocolError),
        (says('{"error":"x"}', 302), VenueProtocolError),
    ],
)
def test_questions_end_within_their_deadline(answer: Any, error: type[Exception]) -> None:
    async def scene(venue: PolymarketVenue, script: Script, clock: LoopClock) -> None:
        script.on("/book", answer)
        before = clock.monotonic_ns()
        with pytest.raises(error):
            await venue.book(TOKEN)
        assert (clock.monotonic_ns() - before) / 10**9 <= 30

    with_venue(scene)


def test_a_token_balance_is_refreshed_first() -> None:
    async def scene(venue: PolymarketVenue, script: Script, _clock: LoopClock) -> None:
        script.on("/balance-allowance/update", says(""))
        script.on("/balance-allowance", says('{"balance":"8196720"}'))
        assert await venue.token_balance(TOKEN) == 8_196_720
        assert [asked.path for asked in script.asked] == ["/balance-allowance/update", "/balance-allowance"]

    with_venue(scene)


@pytest.mark.parametrize(
    ("market", "payout"),
    [
        ({"closed": False, "tokens": [{"outcome": "Up", "winner": False}, {"outcome": "Down", "winner": False}]}, None),
        ({"closed": True, "tokens": [{"outcome": "Down", "winner": True}, {"outcome": "Up", "winner": False}]}, 0),
        ({"closed": True, "tokens": [{"outcome": "Down", "winner": None}, {"outcome": "Up", "winner": True}]}, 10**6),
        ({"closed": True, "is_50_50_outcome": True, "tokens": []}, 500_000),
        ({"closed": False, "is_50_50_outcome": True, "tokens": []}, None),
        ({"tokens": [{"outcome": "Down", "winner": True}, {"outcome": "Up", "winner": True}]}, 500_000),
        ({"tokens": None}, None),
    ],
)
def test_verdicts(market: dict[str, object], payout: int | None) -> None:
    async def scene(venue: PolymarketVenue, script: Script, _clock: LoopClock) -> None:
        assert await venue.resolution(CONDITION) is None  # 404
        script.on("/markets/0xcond", says(json.dumps(market)))
        verdict = await venue.resolution(CONDITION)
        assert (verdict.up_payout if verdict else None) == payout

    with_venue(scene)


def test_a_strange_winner_is_no_verdict() -> None:
    async def scene(venue: PolymarketVenue, script: Script, _clock: LoopClock) -> None:
        script.on("/markets/0xcond", says('{"tokens":[{"outcome":"Yes","winner":true}]}'))
        with pytest.raises(VenueProtocolError, match="yes"):
            await venue.resolution(CONDITION)

    with_venue(scene)


def test_position_ids_ask_for_the_other_kind_of_balance() -> None:
    assert is_position_id("452312848583266388373324160190187154667340237991552160775520464234040262657")
    assert not is_position_id("71321045679252212594626385532706912750332728571942532289631379312455583992563")
    assert not is_position_id("123")
    assert not is_position_id("0xabc")
