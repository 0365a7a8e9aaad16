"""Order ids, signatures and bodies: the venue's golden facts, and what a draft may not be."""

from __future__ import annotations

import json

import pytest
from tiny_keccak import keccak256

from polystra.adapters.polymarket.signing import typed_data
from polystra.adapters.polymarket.signing.orders import MAX_SALT
from polystra.domain.errors import ConfigError
from polystra.domain.orders import Side, TimeInForce

from .accounts import ADDRESS, POSITION, TIMESTAMP_MS, TOKEN, WALLET, draft, signer

BUY_100_FOR_50 = {"maker_amount": 100_000_000, "taker_amount": 50_000_000, "side": Side.BUY}
SELL_50_FOR_100 = {"maker_amount": 50_000_000, "taker_amount": 100_000_000, "side": Side.SELL}


@pytest.mark.parametrize(
    ("account", "changes", "order_id"),
    [
        (
            signer(),
            {"salt": 123456789} | BUY_100_FOR_50,
            "0x32961c48ddac87ed3582f8e02097cd0eff4fcf80460306bd44b3710438dfa64c",
        ),
        (
            signer(),
            {"salt": 987654321, "neg_risk": True} | SELL_50_FOR_100,
            "0x8b878404bd92dea2bfea9975c9fcd816ec70a57ae431cb20d67bb773744aaef3",
        ),
        (
            signer(1, ADDRESS),
            {"salt": 111111111} | BUY_100_FOR_50,
            "0x8f88fe2fb3448f4b8ba639992029f0a47a01a14d15b5f2bf9833516571efd279",
        ),
        (
            signer(2, ADDRESS),
            {"salt": 222222222, "neg_risk": True} | SELL_50_FOR_100,
            "0xb34248702810a1d76580234a33f942a9801c3680de54cb3ef104572a8d482190",
        ),
        (
            signer(3, WALLET),
            {"salt": 333333333} | BUY_100_FOR_50,
            "0x48cfd4c03dcee72230750e2dc5ea71048e91244c2a9fec2ed6ef790a74869596",
        ),
        (
            signer(),
            {"salt": 123456789, "token_id": POSITION, "version": "v2"} | BUY_100_FOR_50,
            "0xe072127839e5bd187ff213ac51f964b0bb89873880fa1e79e0e99e4683ae4616",
        ),
    ],
    ids=["eoa", "eoa-neg-risk", "proxy", "safe-neg-risk", "deposit-wallet", "position-id"],
)
def test_golden_order_ids(account, changes, order_id):
    assert account.sign(draft(**changes)).order_id == order_id


def test_golden_signature_of_an_own_account():
    assert signer().sign(draft()).signature.hex() == (
        "89f178136333c8ebb32a19146cb891233e3202d474be6ef730c24dbc06ae4d2a"
        "0c99948a86d9b57de0f2c0bb8ec6964aa244ecf17cfa3a95b86878d0b64ad78a1b"
    )


def test_golden_type_hashes_and_struct_hash():
    assert typed_data.ORDER_TYPEHASH.hex() == "bb86318a2138f5fa8ae32fbe8e659f8fcf13cc6ae4014a707893055433818589"
    assert len(typed_data.ORDER_TYPE) == 186
    assert keccak256(typed_data.DOMAIN_TYPE).hex() == "8b73c3c69bb8fe3d512ecc4cf759cc79239f7b179b0ffacaa9a75d522b39400f"
    assert (
        typed_data.TYPED_DATA_SIGN_TYPEHASH.hex() == "6ba028565cb324c2aa02bb714b9816d0bddd557a2f33bb36cf13272a4256bd42"
    )
    assert signer()._struct_hash(draft()).hex() == "b90cd5fd7127bafc0ad257103b8ef1cf3fd285bdd74ad9e2d6ddc7c9c1bf152a"


def test_golden_digest_that_the_owner_of_a_deposit_wallet_signs():
    account, order = signer(3, WALLET), draft(salt=333333333)
    domain = bytes.fromhex("3264e159346253e26a64e00b69032db0e7d32f94628de3e6eecb50304d7af3d2")
    suffix = typed_data.wallet_sign_suffix(137, bytes.fromhex(WALLET[2:]))
    digest = typed_data.wallet_sign_digest(domain, account._struct_hash(order), suffix)
    assert digest.hex() == "a4be61b70eb9f7d45afa3d9b6f1fce962125c0a51ea0d09ea83fd2d0126d4bbe"


def test_a_deposit_wallets_signature_has_the_layout_of_the_venue():
    account, order = signer(3, WALLET), draft(salt=333333333)
    wrapped = account.sign(order).signature
    assert len(wrapped) == 317
    assert wrapped[64] in (27, 28)
    assert wrapped[65:97].hex() == "3264e159346253e26a64e00b69032db0e7d32f94628de3e6eecb50304d7af3d2"
    assert wrapped[97:129] == account._struct_hash(order)
    assert wrapped[129:315] == typed_data.ORDER_TYPE
    assert wrapped[315:].hex() == "00ba"


def test_the_body_is_the_exact_compact_json_of_the_order():
    signed = signer(3, WALLET).sign(draft(order_type=TimeInForce.GTC, post_only=True))
    assert signed.body == (
        b'{"order":{"salt":123456789,"maker":"0x1111111111111111111111111111111111111111",'
        b'"signer":"0x1111111111111111111111111111111111111111","tokenId":"' + str(TOKEN).encode() + b'",'
        b'"makerAmount":"100000000","takerAmount":"50000000","side":"BUY","expiration":"0","signatureType":3,'
        b'"timestamp":"1713398400000","metadata":"0x' + b"0" * 64 + b'","builder":"0x' + b"0" * 64
    ) + (
        b'","signature":"0x' + signed.signature.hex().encode() + b'"},'
        b'"owner":"00000000-0000-0000-0000-000000000001","orderType":"GTC","deferExec":false,"postOnly":true}'
    )
    compact = json.dumps(json.loads(signed.body), separators=(",", ":")).encode()
    assert compact == signed.body


@pytest.mark.parametrize("kind", list(TimeInForce))
def test_post_only_and_expiration_stand_only_where_they_belong(kind):
    expiration = 1_753_357_257 if kind is TimeInForce.GTD else 0
    body = json.loads(signer().sign(draft(order_type=kind, expiration_s=expiration)).body)
    assert body["orderType"] == kind
    assert body["order"]["expiration"] == str(expiration)
    assert body["deferExec"] is False
    assert body["postOnly"] is False  # written for every kind, as the official client does


def test_what_is_not_signed_does_not_change_the_id():
    ids = {
        signer().sign(draft(order_type=kind, post_only=post_only, expiration_s=expiration)).order_id
        for kind, post_only, expiration in (
            (TimeInForce.GTC, False, 0),
            (TimeInForce.GTC, True, 0),
            (TimeInForce.GTD, True, TIMESTAMP_MS),
            (TimeInForce.FOK, False, 0),
            (TimeInForce.FAK, False, 0),
        )
    }
    assert len(ids) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"salt": 1},
        {"token_id": 1},
        {"maker_amount": 1},
        {"taker_amount": 1},
        {"side": Side.SELL},
        {"timestamp_ms": 1},
        {"metadata": b"\1" * 32},
        {"builder": b"\1" * 32},
        {"neg_risk": True},
        {"version": "v2"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_everything_that_is_signed_changes_the_id(changes):
    assert signer().sign(draft(**changes)).order_id != signer().sign(draft()).order_id


def test_signing_is_deterministic_and_a_batch_is_the_join_of_its_bodies():
    first, second = signer().sign(draft(salt=1)), signer().sign(draft(salt=2))
    assert signer().sign(draft(salt=1)) == first
    batch = json.loads(b"[" + b",".join((first.body, second.body)) + b"]")
    assert [leg["order"]["salt"] for leg in batch] == [1, 2]


def test_metadata_and_builder_travel_as_bytes32():
    body = json.loads(signer().sign(draft(metadata=bytes(31) + b"\x07", builder=b"\xab" * 32)).body)
    assert body["order"]["metadata"] == "0x" + "0" * 62 + "07"
    assert body["order"]["builder"] == "0x" + "ab" * 32


def test_an_owner_is_escaped_as_json():
    account = type(signer())(b"\x01" * 32, 0, None, 137, 'a"b\\c')
    assert json.loads(account.sign(draft()).body)["owner"] == 'a"b\\c'


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"salt": MAX_SALT + 1}, "salt is 9007199254740992, expected 0 to 9007199254740991"),
        ({"salt": -1}, "salt is -1"),
        ({"salt": 1.0}, "salt is 1.0, expected a whole number"),
        ({"token_id": 0}, "token_id is 0"),
        ({"token_id": 1 << 256}, "token_id is"),
        ({"maker_amount": 0}, "maker_amount is 0"),
        ({"taker_amount": -5}, "taker_amount is -5"),
        ({"maker_amount": 1.5}, "maker_amount is 1.5, expected a whole number"),
        ({"timestamp_ms": 0}, "timestamp_ms is 0"),
        ({"expiration_s": 5}, "expiration_s of a GTC is 5, expected 0 to 0"),
        ({"order_type": TimeInForce.GTD}, "expiration_s of a GTD is 0"),
        ({"order_type": TimeInForce.FOK, "post_only": True}, "post_only is set on a FOK"),
        ({"order_type": TimeInForce.FAK, "post_only": True}, "post_only is set on a FAK"),
        ({"metadata": b""}, "metadata has 0 bytes, expected 32"),
        ({"builder": bytes(33)}, "builder has 33 bytes, expected 32"),
    ],
)
def test_a_draft_that_the_order_cannot_carry_is_refused(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        draft(**changes)


def test_the_largest_salt_survives_as_a_json_number():
    body = json.loads(signer().sign(draft(salt=MAX_SALT)).body)
    assert int(float(body["order"]["salt"])) == MAX_SALT


def test_an_unknown_market_version_is_refused():
    with pytest.raises(ValueError, match="version is 'v9'"):
        signer().sign(draft(version="v9"))


@pytest.mark.parametrize(
    ("signature_type", "funder", "sentence"),
    [
        (4, None, "POLY_SIGNATURE_TYPE is 4, expected 0, 1, 2 or 3"),
        (-1, None, "POLY_SIGNATURE_TYPE is -1"),
        (0, WALLET, "POLY_FUNDER_ADDRESS is 0x11.* but POLY_SIGNATURE_TYPE 0 trades from the key's own"),
        (1, None, "POLY_FUNDER_ADDRESS is empty, but POLY_SIGNATURE_TYPE is 1"),
        (2, "", "POLY_FUNDER_ADDRESS is empty"),
        (3, None, "POLY_FUNDER_ADDRESS is empty"),
        (3, "0x1234", "POLY_FUNDER_ADDRESS is '0x1234', expected an address"),
    ],
)
def test_a_wallet_that_contradicts_its_type_is_refused(signature_type, funder, sentence):
    with pytest.raises(ConfigError, match=sentence):
        signer(signature_type, funder)


def test_an_order_without_owner_is_refused():
    with pytest.raises(ConfigError, match="POLY_API_KEY is empty"):
        type(signer())(b"\x01" * 32, 0, None, 137, "")


@pytest.mark.parametrize(("signature_type", "named_signer"), [(1, ADDRESS), (2, ADDRESS), (3, WALLET)])
def test_maker_is_the_wallet_and_only_a_deposit_wallet_signs_for_itself(signature_type, named_signer):
    account = signer(signature_type, WALLET)
    order = json.loads(account.sign(draft()).body)["order"]
    assert (order["maker"], order["signer"], order["signatureType"]) == (WALLET, named_signer, signature_type)
    assert (account.wallet, account.address) == (WALLET, ADDRESS)


def test_an_own_account_may_name_itself_as_funder():
    assert signer(0, ADDRESS.lower()).sign(draft()) == signer().sign(draft())
