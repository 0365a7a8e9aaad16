"""No secret stays in the text that is kept of a body, whatever the body is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polystra.adapters.polymarket.redaction import LONGEST, Redaction

KEY = "f4f247b7-4ac7-ff29-a152-04fda0a8755a"
SECRET = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
PASSPHRASE = "canary-passphrase-9a1"
SIGNATURE = "0x" + "ab" * 65
LONG_SIGNATURE = "0x" + "cd" * 400
SALT = 987_654_321_012_345
CANARIES = (KEY, SECRET, PASSPHRASE, SIGNATURE, SIGNATURE[2:], LONG_SIGNATURE, str(SALT))

REDACTION = Redaction(keys=(KEY,), secrets=(SECRET, PASSPHRASE))


def order(signature: str = SIGNATURE) -> dict[str, object]:
    return {
        "order": {
            "salt": SALT,
            "maker": "0x" + "12" * 20,
            "tokenId": "7" * 77,
            "makerAmount": "5200000",
            "takerAmount": "10000000",
            "side": "BUY",
            "signature": signature,
        },
        "owner": KEY,
        "orderType": "GTC",
    }


BODIES = {
    "an order": order(),
    "a batch": [order(), order(LONG_SIGNATURE)],
    "a signature in the venue's words": {"error": f"invalid signature {SIGNATURE} of {KEY}"},
    "credentials": {"apiKey": KEY, "secret": SECRET, "passphrase": PASSPHRASE},
    "other spellings": {"API_KEY": KEY, "Poly-Passphrase": PASSPHRASE, "apiSecret": SECRET, "maker_owner": KEY},
    "a text": f"owner={KEY} signature={SIGNATURE}",
    "deep inside": {"a": [{"b": {"signature": LONG_SIGNATURE, "list": [PASSPHRASE, SECRET]}}]},
}


@pytest.mark.parametrize("name", BODIES)
def test_no_secret_stays(name: str) -> None:
    told = REDACTION.text(json.dumps(BODIES[name]).encode())
    assert not [canary for canary in CANARIES if canary in told]


@pytest.mark.parametrize("name", BODIES)
def test_no_secret_stays_in_a_body_that_is_no_json(name: str) -> None:
    for cut in ("<html>" + json.dumps(BODIES[name]), json.dumps(BODIES[name])[:-1] + " ..."):
        told = REDACTION.text(cut.encode())
        assert not [canary for canary in CANARIES if canary in told]


def test_a_foreign_key_and_a_foreign_signature_are_hidden_by_their_names() -> None:
    told = json.loads(REDACTION.text(b'{"owner":"another-key","signature":"short","status":"LIVE","price":0.30}'))
    assert told == {"owner": "anot…", "signature": "***", "status": "LIVE", "price": 0.3}


def test_what_is_no_secret_stays_as_it_was() -> None:
    order_id = "0x" + "ef" * 32
    told = json.loads(REDACTION.text(json.dumps([order(), {"orderID": order_id, "errorMsg": "", "n": None}]).encode()))
    assert told[1] == {"orderID": order_id, "errorMsg": "", "n": None}
    assert told[0]["order"]["tokenId"] == "7" * 77
    assert told[0]["order"]["makerAmount"] == "5200000"
    assert told[0]["orderType"] == "GTC"
    assert told[0]["owner"] == "f4f2…"


def test_a_batch_of_fifteen_fits_and_what_is_longer_is_cut() -> None:
    whole = REDACTION.text(json.dumps([order()] * 15).encode())
    assert json.loads(whole)[14]["orderType"] == "GTC"
    cut = REDACTION.text(json.dumps({"text": "x" * 50_000}).encode())
    assert len(cut) < LONGEST + 60
    assert cut.endswith("characters more)")


def test_it_does_not_show_what_it_hides() -> None:
    assert not [canary for canary in CANARIES if canary in repr(REDACTION)]


@given(st.binary(max_size=400) | st.recursive(st.integers() | st.text(), st.lists).map(json.dumps).map(str.encode))
def test_any_body_becomes_text_of_bounded_length(body: bytes) -> None:
    assert len(REDACTION.text(body)) < LONGEST + 60
