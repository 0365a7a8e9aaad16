from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pytest
from structlog.testing import capture_logs

from polystra.adapters.polymarket import error_page
from polystra.adapters.polymarket.error_catalogue import (
    CATALOGUE,
    REFUSED_WITHOUT_ID,
    UNLISTED,
)
from polystra.adapters.polymarket.error_classes import CLASS_MEANINGS, ErrorClass, Row
from polystra.adapters.polymarket.errors import (
    KINDS_COUNTED,
    PAYLOAD_SHOWN,
    UnknownAnswers,
    cancel_outcome,
    classify,
    is_known,
    submit_outcome,
    submit_row,
)
from polystra.adapters.polymarket.redaction import Redaction
from polystra.domain.events import CancelRefused, CancelUnknown, RefusalClass, SubmitRefused, SubmitUnknown
from polystra.domain.ids import OrderId
from polystra.domain.venue import VenueMode

ROOT: Final = Path(__file__).resolve().parents[4]
ORDER: Final = OrderId("0x" + "a" * 64)
_C, _M = ErrorClass, VenueMode

TABLE: Final = [
    # status, text, class, code, mode, whether the world may have changed
    (400, "context canceled while inserting", _C.IN_DOUBT, "dropped", None, True),
    (400, "order 0xab is invalid. Duplicated.", _C.IN_DOUBT, "duplicated", None, True),
    (200, "INVALID_ORDER_DUPLICATED", _C.IN_DOUBT, "duplicated", None, True),
    (400, "order match delayed due to market conditions", _C.IN_DOUBT, "delayed", None, True),
    (200, "ORDER_DELAYED", _C.IN_DOUBT, "delayed", None, True),
    (200, "DELAYING_ORDER_ERROR", _C.IN_DOUBT, "delayed", None, True),
    (500, "could not insert order", _C.IN_DOUBT, "not_inserted", None, True),
    (200, "INVALID_ORDER_ERROR", _C.IN_DOUBT, "not_inserted", None, True),
    (500, "could not run the execution", _C.IN_DOUBT, "not_executed", None, True),
    (200, "EXECUTION_ERROR", _C.IN_DOUBT, "not_executed", None, True),
    (500, "Internal server error", _C.IN_DOUBT, "server_error", None, True),
    (500, "there are no matching orders", _C.IN_DOUBT, "no_match", None, True),
    (500, "FOK orders are filled or killed", _C.IN_DOUBT, "fok_killed", None, True),
    (500, "the trade contains rounding issues", _C.IN_DOUBT, "rounding", None, True),
    (
        500,
        "the price of the taker's order has a discrepancy greater than allowed with the worst maker order",
        _C.IN_DOUBT,
        "price_discrepancy",
        None,
        True,
    ),
    (
        400,
        "order couldn't be fully filled. FOK orders are fully filled or killed.",
        _C.KILLED,
        "fok_killed",
        None,
        False,
    ),
    (200, "FOK_ORDER_NOT_FILLED_ERROR", _C.KILLED, "fok_killed", None, False),
    (
        400,
        "no orders found to match with FAK order. FAK orders are partially filled or killed if no match is found.",
        _C.KILLED,
        "no_match",
        None,
        False,
    ),
    (400, "'0xabc' address banned", _C.STOP, "banned", None, False),
    (400, "'0xabc' address in closed only mode", _C.MODE, "closed_only", _M.CLOSED_ONLY, False),
    (400, "the order owner has to be the owner of the API KEY", _C.STOP, "wrong_owner", None, False),
    (400, "the order signer address has to be the address of the API KEY", _C.STOP, "wrong_signer", None, False),
    (400, "maker address not allowed, please use the deposit wallet flow", _C.STOP, "wrong_wallet", None, False),
    (400, "Invalid signature_type", _C.STOP, "wrong_wallet", None, False),
    (400, "invalid signature", _C.STOP, "invalid_signature", None, False),
    (400, "invalid POLY_PROXY signature", _C.STOP, "invalid_signature", None, False),
    (400, "order_version_mismatch", _C.STOP, "order_version", None, False),
    (400, "invalid order version, please use the latest clob-client", _C.STOP, "order_version", None, False),
    (400, "not enough balance / allowance: the allowance is not enough -> 0", _C.STOP, "allowance", None, False),
    (401, "Unauthorized/Invalid api key", _C.AUTH, "unauthorized", None, False),
    (401, "Invalid L1 Request headers", _C.AUTH, "unauthorized", None, False),
    (503, "Trading is currently disabled. Check polymarket.com for updates", _C.MODE, "disabled", _M.DISABLED, False),
    (
        503,
        "Trading is currently cancel-only. New orders are not accepted, but cancels are allowed.",
        _C.MODE,
        "cancel_only",
        _M.CANCEL_ONLY,
        False,
    ),
    (
        503,
        "post-only mode: only post-only orders and cancels are allowed",
        _C.MODE,
        "post_only",
        _M.POST_ONLY,
        False,
    ),
    (200, "post-only mode: only post-only orders and cancels are allowed", _C.MODE, "post_only", _M.POST_ONLY, False),
    (425, "service not ready", _C.MODE, "restarting", _M.RESTARTING, False),
    (429, "Too Many Requests", _C.RETRY, "rate_limited", None, False),
    (200, "Rate limit exceeded for tokenId: 7132", _C.RETRY, "rate_limited", None, False),
    (500, "order timed out", _C.RETRY, "timed_out", None, True),
    (400, "the market is not yet ready to process new orders", _C.RETRY, "market_not_ready", None, False),
    (200, "MARKET_NOT_READY", _C.RETRY, "market_not_ready", None, False),
    (400, "invalid post-only order: order crosses book", _C.REPLAN, "post_only_crosses", None, False),
    (200, "INVALID_POST_ONLY_ORDER", _C.REPLAN, "post_only_crosses", None, False),
    (400, "order 0xab crosses the book", _C.REPLAN, "crosses", None, False),
    (400, "order 0x1 is invalid. Price (0.5) breaks minimum tick size rule: 0.1", _C.REPLAN, "tick_size", None, False),
    (200, "INVALID_ORDER_MIN_TICK_SIZE", _C.REPLAN, "tick_size", None, False),
    (400, "invalid amounts, the market buy orders maker amount supports a max", _C.REPLAN, "amounts", None, False),
    (400, "not enough balance / allowance: the balance is not enough", _C.REPLAN, "balance", None, False),
    (200, "Insufficient balance", _C.REPLAN, "balance", None, False),
    (200, "INVALID_ORDER_NOT_ENOUGH_BALANCE", _C.REPLAN, "balance", None, False),
    (400, "invalid expiration", _C.REPLAN, "expiration", None, False),
    (200, "INVALID_ORDER_EXPIRATION", _C.REPLAN, "expiration", None, False),
    (400, "order 0x1 is invalid. Size (1) lower than the minimum: 5", _C.REFUSED, "minimum_size", None, False),
    (200, "INVALID_ORDER_MIN_SIZE", _C.REFUSED, "minimum_size", None, False),
    (
        400,
        "invalid amount for a marketable BUY order ($0.5), min size: $1",
        _C.REFUSED,
        "minimum_notional",
        None,
        False,
    ),
    (400, "invalid nonce", _C.REFUSED, "nonce", None, False),
    (400, "order canceled in the CTF exchange contract", _C.REFUSED, "canceled_on_chain", None, False),
    (404, "No orderbook exists for the requested token id", _C.REFUSED, "no_market", None, False),
    (404, "market not found", _C.REFUSED, "no_market", None, False),
    (400, "Too many orders in payload: 20, max allowed: 15", _C.REFUSED, "too_many", None, False),
    (400, "Invalid order payload", _C.REFUSED, "payload", None, False),
    (400, "Invalid orderID", _C.REFUSED, "argument", None, False),
    (400, "limit cannot exceed 1000", _C.REFUSED, "argument", None, False),
    (400, "Could not create api key", _C.REFUSED, "api_key", None, False),
    # a status alone
    (401, "", _C.AUTH, "unauthorized", None, False),
    (403, "", _C.STOP, "blocked", None, False),
    (404, "order not found", _C.REFUSED, "not_found", None, False),
    (425, "", _C.MODE, "restarting", _M.RESTARTING, False),
    (429, "", _C.RETRY, "rate_limited", None, False),
    (500, "", _C.IN_DOUBT, "server_error", None, True),
    (502, "", _C.IN_DOUBT, "server_error", None, True),
    (524, "", _C.IN_DOUBT, "server_error", None, True),
    # nobody has seen it
    (400, "the moon is in the wrong house", _C.IN_DOUBT, "unlisted", None, True),
    (400, "", _C.IN_DOUBT, "unlisted", None, True),
    (302, "", _C.IN_DOUBT, "unlisted", None, True),
    (799, "what is this", _C.IN_DOUBT, "unlisted", None, True),
]


@pytest.mark.parametrize(("status", "text", "kind", "code", "mode", "may_have_acted"), TABLE)
def test_what_an_answer_means(
    status: int, text: str, kind: ErrorClass, code: str, mode: VenueMode | None, *, may_have_acted: bool
) -> None:
    row = classify(status, text)
    assert (row.kind, row.code, row.mode, row.may_have_acted) == (kind, code, mode, may_have_acted)
    outcome = submit_outcome(ORDER, row, status, text, retry_after_s=2.5)
    if may_have_acted:
        assert isinstance(outcome, SubmitUnknown)
        assert outcome.is_known is (code == "duplicated")
    else:
        assert isinstance(outcome, SubmitRefused)
        assert (outcome.kind, outcome.code, outcome.mode) == (RefusalClass(kind.value), code, mode)
        assert outcome.killed is (kind is ErrorClass.KILLED)
        assert outcome.stop_trading is (kind in (ErrorClass.STOP, ErrorClass.AUTH))
        assert outcome.retry_after_s == 3
    assert (text or f"HTTP {status}") in outcome.message
    assert row.meaning in outcome.message


def test_every_row_of_the_catalogue_is_in_the_table() -> None:
    tested = {id(classify(status, text)) for status, text, *_ in TABLE}
    missing = [f"{row.code}: {row.said}" for row in (*CATALOGUE, UNLISTED) if id(row) not in tested]
    assert missing == []


@pytest.mark.parametrize("row", [row for row in CATALOGUE if row.pattern], ids=lambda row: f"{row.code}-{row.kind}")
def test_the_documented_words_find_their_own_row(row: Row) -> None:
    status = min(row.statuses) if row.statuses else 400
    assert classify(status, row.said) is row


def test_every_refusal_class_of_the_domain_is_a_class_here() -> None:
    assert {kind.value for kind in ErrorClass} - {"IN_DOUBT"} == {kind.value for kind in RefusalClass}
    assert set(CLASS_MEANINGS) == set(ErrorClass)


def test_an_unknown_reason_without_an_order_id_is_a_refusal() -> None:
    assert submit_row(200, "a new text", leg_refused=True) is REFUSED_WITHOUT_ID
    assert submit_row(200, "a new text") is UNLISTED


@pytest.mark.parametrize(
    ("status", "text", "kind", "mode"),
    [
        (400, "Invalid orderID", CancelRefused, None),
        (400, "Too many orders in payload, max allowed: 1000", CancelRefused, None),
        (401, "Unauthorized/Invalid api key", CancelUnknown, None),
        (425, "service not ready", CancelUnknown, VenueMode.RESTARTING),
        (429, "Too Many Requests", CancelUnknown, None),
        (503, "Trading is currently disabled. Check polymarket.com for updates", CancelUnknown, VenueMode.DISABLED),
        (500, "", CancelUnknown, None),
        (400, "nobody knows", CancelUnknown, None),
    ],
)
def test_what_an_error_means_for_a_cancel(
    status: int, text: str, kind: type[CancelRefused | CancelUnknown], mode: VenueMode | None
) -> None:
    outcome = cancel_outcome(ORDER, status, text, retry_after_s=4)
    assert type(outcome) is kind
    if isinstance(outcome, CancelUnknown):
        assert (outcome.mode, outcome.retry_after_s) == (mode, 4)


# --- answers that nobody has seen ---------------------------------------------------------


def test_an_unknown_text_is_logged_once_and_counted_every_time() -> None:
    seen = UnknownAnswers(Redaction(keys=("my-key-of-the-venue",), secrets=("s3cr3t/of+mine=",)))
    with capture_logs() as lines:
        for number in range(3):
            text = f"order 0x{number:064x} met a dragon of {number} heads"
            seen.note("POST /order", 400, text, json.dumps({"error": text}).encode())
        seen.note("POST /order", 400, "", b"\xff\xfe")
    assert seen.total == 4
    assert list(seen.counts.values()) == [3, 1]
    assert len(lines) == 2
    assert "dragon" in lines[0]["payload"]


def test_the_count_is_bounded() -> None:
    seen = UnknownAnswers(Redaction(keys=("my-key-of-the-venue",), secrets=("s3cr3t/of+mine=",)))
    with capture_logs() as lines:
        for number in range(KINDS_COUNTED + 50):
            seen.note("POST /order", 400, "".join(chr(97 + int(digit)) for digit in str(number)), b"")
    assert (len(seen.counts), seen.total, len(lines)) == (KINDS_COUNTED, KINDS_COUNTED + 50, KINDS_COUNTED)


def test_a_logged_payload_is_cut_and_holds_no_secret() -> None:
    secrets = ("my-key-of-the-venue", "s3cr3t/of+mine=", "0x" + "9f" * 65)
    payload = f'{{"error":"unheard of","owner":"{secrets[0]}","h":"{secrets[1]}","s":"{secrets[2]}","id":"{ORDER}"}}'
    seen = UnknownAnswers(Redaction(keys=secrets[:1], secrets=secrets[1:2]))
    with capture_logs() as lines:
        seen.note("POST /order", 400, "unheard of", payload.encode())
        seen.note("POST /order", 400, "endless", b"x y " * 10_000)
    assert ORDER in lines[0]["payload"]
    assert all(secret not in lines[0]["payload"] for secret in secrets)
    assert len(lines[1]["payload"]) == PAYLOAD_SHOWN


def test_a_server_error_without_words_is_no_news() -> None:
    assert is_known(classify(502, ""), "")
    assert not is_known(classify(502, "the goblin is loose"), "the goblin is loose")
    assert not is_known(classify(400, ""), "")


# --- the page for users -------------------------------------------------------------------


def test_the_page_is_current(capsys: pytest.CaptureFixture[str]) -> None:
    page = ROOT / "docs" / "venue-errors.md"
    assert error_page.main(["--check", str(page)]) == 0, capsys.readouterr().err
    assert error_page.main([]) == 0
    assert capsys.readouterr().out == page.read_text(encoding="utf-8")


def test_an_old_page_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "old.md").write_text("old")
    assert error_page.main(["--check", str(tmp_path / "old.md")]) == 1
    assert "old.md" in capsys.readouterr().err
    assert error_page.main(["--chek", "x"]) == 2
