"""Every captured or documented answer to an order or a cancel, through the adapter's judge to an outcome.

The table needs no file for its own rows; those of the recorded data are skipped where the data is not there.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

import pytest

from polystra.adapters.polymarket.error_catalogue import (
    UNLISTED,
)
from polystra.adapters.polymarket.errors import UnknownAnswers, classify
from polystra.adapters.polymarket.order_answers import AnswerJudge
from polystra.adapters.polymarket.redaction import Redaction
from polystra.adapters.polymarket.transport import Reply
from polystra.domain.errors import OutcomeUnknown, VenueUnreachable
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
from polystra.domain.ids import OrderId

SHARED = Path(os.environ.get("POLYSTRA_SHARED", Path(__file__).resolve().parents[2].parent / "shared"))
FIXTURES = SHARED / "data" / "api_fixtures"
recorded = pytest.mark.skipif(not FIXTURES.is_dir(), reason=f"recorded payloads are not at {FIXTURES}")

ID: Final = OrderId("0x" + "12" * 32)
_R = RefusalClass


def judge() -> AnswerJudge:
    return AnswerJudge(UnknownAnswers(Redaction()))


def outcome_of(status: int, body: bytes, order_id: OrderId = ID) -> SubmitOutcome:
    reader = judge()
    reader.next_request()
    reader.answered([order_id], Reply(status=425, body=b""), 1, "POST /order")  # a restart that is known of already
    number = reader.next_request()
    (judged,) = reader.answered([order_id], Reply(status=status, body=body), number, "POST /order")
    return judged.outcome


# --- documented errors of placement ---------------------------------------------------------

PLACEMENT: Final[dict[str, tuple[RefusalClass | None, str]]] = {
    "Unauthorized/Invalid api key": (_R.AUTH, "unauthorized"),
    "Invalid L1 Request headers": (_R.AUTH, "unauthorized"),
    "Trading is currently disabled. Check polymarket.com for updates": (_R.MODE, "disabled"),
    "Trading is currently cancel-only. New orders are not accepted, but cancels are allowed.": (
        _R.MODE,
        "cancel_only",
    ),
    "Too Many Requests": (_R.RETRY, "rate_limited"),
    "Invalid order payload": (_R.REFUSED, "payload"),
    "the order owner has to be the owner of the API KEY": (_R.STOP, "wrong_owner"),
    "the order signer address has to be the address of the API KEY": (_R.STOP, "wrong_signer"),
    "'{address}' address banned": (_R.STOP, "banned"),
    "'{address}' address in closed only mode": (_R.MODE, "closed_only"),
    "Too many orders in payload: {N}, max allowed: {M}": (_R.REFUSED, "too_many"),
    "invalid post-only order: order crosses book": (_R.REPLAN, "post_only_crosses"),
    "order {id} is invalid. Price ({price}) breaks minimum tick size rule: {tick}": (_R.REPLAN, "tick_size"),
    "order {id} is invalid. Size ({size}) lower than the minimum: {min}": (_R.REFUSED, "minimum_size"),
    "order {id} is invalid. Duplicated.": (None, "duplicated"),
    "order {id} crosses the book": (_R.REPLAN, "crosses"),
    "not enough balance / allowance": (_R.REPLAN, "balance"),
    "invalid nonce": (_R.REFUSED, "nonce"),
    "invalid expiration": (_R.REPLAN, "expiration"),
    "order canceled in the CTF exchange contract": (_R.REFUSED, "canceled_on_chain"),
    "order match delayed due to market conditions": (None, "delayed"),
    "order couldn't be fully filled. FOK orders are fully filled or killed.": (_R.KILLED, "fok_killed"),
    "no orders found to match with FAK order. FAK orders are partially filled or killed if no match is found.": (
        _R.KILLED,
        "no_match",
    ),
    "the market is not yet ready to process new orders": (_R.RETRY, "market_not_ready"),
    "": (_R.MODE, "restarting"),
    "there are no matching orders": (None, "no_match"),
    "FOK orders are filled or killed": (None, "fok_killed"),
    "the trade contains rounding issues": (None, "rounding"),
    "the price of the taker's order has a discrepancy greater than allowed with the worst maker order": (
        None,
        "price_discrepancy",
    ),
}
"""By the documented text: the class of the refusal (None: in doubt) and its code."""

SECTIONS: Final = ("Global Errors", "Place Orders", "Order Processing Errors", "Matching Engine Errors")
CODES: Final = {
    "INVALID_ORDER_MIN_TICK_SIZE": (_R.REPLAN, "tick_size"),
    "INVALID_ORDER_MIN_SIZE": (_R.REFUSED, "minimum_size"),
    "INVALID_ORDER_DUPLICATED": (None, "duplicated"),
    "INVALID_ORDER_NOT_ENOUGH_BALANCE": (_R.REPLAN, "balance"),
    "INVALID_ORDER_EXPIRATION": (_R.REPLAN, "expiration"),
    "FOK_ORDER_NOT_FILLED_ERROR": (_R.KILLED, "fok_killed"),
    "INVALID_ORDER_ERROR": (None, "not_inserted"),
    "ORDER_DELAYED": (None, "delayed"),
    "MARKET_NOT_READY": (_R.RETRY, "market_not_ready"),
}
"""The older names, which come with HTTP 200 and no order id."""


def documented() -> dict[str, Any]:
    if not FIXTURES.is_dir():
        return {"errors": [], "insert_statuses": []}
    found: dict[str, Any] = json.loads((FIXTURES / "documented_clob_errors.json").read_text())
    return found


def is_as(outcome: SubmitOutcome, kind: RefusalClass | None, code: str) -> None:
    if kind is None:
        assert isinstance(outcome, SubmitUnknown)
        assert outcome.message.startswith(f"{code}: ")
    else:
        assert isinstance(outcome, SubmitRefused)
        assert (outcome.kind, outcome.code) == (kind, code)


@recorded
def test_every_documented_error_of_placement_has_the_outcome_of_the_table() -> None:
    seen = set()
    for error in documented()["errors"]:
        if error["section"] in SECTIONS:
            text = error["error"] or ""
            seen.add(text)
            body = json.dumps({"error": text}).encode() if text else b""
            is_as(outcome_of(error["http_status"], body), *PLACEMENT[text])
    assert seen == set(PLACEMENT)


@recorded
def test_every_documented_name_has_the_outcome_of_the_table() -> None:
    assert {each["code"] for each in documented()["insert_statuses"]} == set(CODES)
    for name, (kind, code) in CODES.items():
        leg = {"success": False, "orderID": "", "status": "", "errorMsg": name}
        is_as(outcome_of(200, json.dumps(leg).encode()), kind, code)


@recorded
@pytest.mark.parametrize("section", ["Cancel Orders", "Query Orders", "Trades"])
def test_errors_of_cancels_and_questions_are_all_listed(section: str) -> None:
    texts = [
        (each["http_status"], each["error"] or "") for each in documented()["errors"] if each["section"] == section
    ]
    assert texts
    for status, text in texts:
        assert classify(status, text) is not UNLISTED
        reply = Reply(status=status, body=json.dumps({"error": text}).encode())
        (outcome,) = judge().cancels_answered([ID], reply, 1, "DELETE /order").outcomes
        assert isinstance(outcome, CancelRefused if status == 400 else CancelUnknown)


# --- captured bodies ------------------------------------------------------------------------


def file(name: str) -> bytes:
    return (FIXTURES / name).read_bytes()


def official(test: str) -> bytes:
    items = json.loads(file("rs_sdk_fixtures.json"))["items"]
    (found,) = [item for item in items if item["test"] == test and item["context"] == "response"]
    return json.dumps(found["json"]).encode()


@recorded
def test_captured_answers_to_orders() -> None:
    sdk_id = OrderId("0x23b457271bce9fa09b4f79125c9ec09e968235a462de82e318ef4eb6fe0ffeb0")
    assert isinstance(outcome_of(200, official("post_order_should_succeed"), sdk_id), SubmitAccepted)
    matched = outcome_of(200, official("post_order_should_accept_transactions_hashes_alias"), sdk_id)
    assert isinstance(matched, SubmitAccepted)
    assert (matched.making, matched.taking) == (100_000_000, 50_000_000)
    assert isinstance(outcome_of(200, official("post_order_should_succeed")), IdMismatch)
    is_as(outcome_of(200, file("nautilus_unit/http_order_response_failed.json")), _R.REPLAN, "balance")
    ok = json.loads(file("nautilus_unit/http_order_response_ok.json"))
    unsaid = outcome_of(200, json.dumps(ok).encode(), OrderId(ok["orderID"]))
    assert isinstance(unsaid, SubmitUnknown)  # this shape has no status at all: it is looked up


@recorded
def test_captured_answers_to_cancels() -> None:
    def outcomes(body: bytes, *ids: str) -> list[type[object]]:
        reply = Reply(status=200, body=body)
        judged = judge().cancels_answered([OrderId(each) for each in ids], reply, 1, "DELETE /orders")
        return [type(each) for each in judged.outcomes]

    one = file("nautilus_unit/http_cancel_response_ok.json")
    assert outcomes(one, *json.loads(one)["canceled"]) == [CancelAccepted]
    many = json.loads(file("nautilus_unit/http_batch_cancel_response.json"))
    body = json.dumps(many).encode()
    assert outcomes(body, *many["canceled"], *many["not_canceled"], "0xother") == [
        CancelAccepted, CancelAccepted, CancelRefused, CancelUnknown,
    ]  # fmt: skip
    assert outcomes(official("cancel_orders_should_succeed"), "1") == [CancelAccepted]
    assert outcomes(official("cancel_order_should_accept_snake_case_not_canceled"), "1") == [CancelRefused]
    assert outcomes(official("cancel_all_orders_should_succeed"), "2", "1") == [CancelAccepted, CancelRefused]


# --- what nobody has captured ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, b'{"error":"a text that nobody has seen"}'),
        (400, b""),
        (400, b"\xff\xfe\x00"),
        (413, b"<html>too large</html>"),
        (503, b""),
        (200, b""),
        (200, b"<html></html>"),
        (200, b'{"success":true'),
        (200, b"[]"),
        (200, b'{"success":true,"orderID":"","status":"live","errorMsg":""}'),
    ],
)
def test_an_unknown_text_or_an_unreadable_body_is_in_doubt(status: int, body: bytes) -> None:
    assert isinstance(outcome_of(status, body), SubmitUnknown)


def test_no_answer_at_all() -> None:
    never, maybe = VenueUnreachable("no connection to the venue"), OutcomeUnknown("POST /order broke off")
    (refused,), (doubt,) = judge().unanswered([ID], never), judge().unanswered([ID], maybe)
    is_as(refused.outcome, _R.RETRY, "unreachable")
    assert refused.may_go_again
    assert isinstance(doubt.outcome, SubmitUnknown)
    assert not doubt.may_go_again
