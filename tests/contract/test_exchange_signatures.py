"""Proofs of identity at the exchange: published vectors verify, and whatever is off by anything is refused.

Orders are signed by the official client's own builder, for any chain, contract and domain version, and
are sent over HTTP; the refusals are the documented texts.
"""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from py_clob_client_v2.headers.headers import create_level_1_headers
from py_clob_client_v2.order_utils import ExchangeOrderBuilderV2, OrderDataV2, SignatureTypeV2
from py_clob_client_v2.order_utils import Side as OfficialSide
from py_clob_client_v2.order_utils.model.order_data_v2 import order_to_json_v2
from py_clob_client_v2.signer import Signer as OfficialSigner

from polystra.exchange.auth import sign_request
from polystra.exchange.typed_data import (
    CTF_EXCHANGE_V2,
    EXCHANGE_V3,
    NEG_RISK_EXCHANGE_V2,
    SignedOrder,
    domain_separator,
    login_digest,
    order_digest,
    recover,
    recover_order_signer,
)
from tests.unit.exchange.conftest import UP
from tests.unit.exchange.http_desk import HttpDesk, http_desk

SHARED = Path(os.environ.get("POLYSTRA_SHARED", Path(__file__).resolve().parents[3] / "shared"))
VECTORS = SHARED / "data" / "signing" / "eip712_vectors.json"
DEVELOPMENT_ADDRESS = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"
OWN_KEY = "0x" + (7).to_bytes(32, "big").hex()
OTHER_KEY = "0x" + (8).to_bytes(32, "big").hex()
WALLETS = {1: "0x" + "11" * 20, 2: "0x" + "22" * 20, 3: "0x" + "33" * 20}
INVALID_SIGNATURE = (400, {"error": "invalid signature"})
INVALID_PROXY_SIGNATURE = (400, {"error": "invalid POLY_PROXY signature"})
WRONG_SIGNER = (400, {"error": "the order signer address has to be the address of the API KEY"})
WRONG_OWNER = (400, {"error": "the order owner has to be the owner of the API KEY"})
WRONG_WALLET = (400, {"error": "maker address not allowed, please use the deposit wallet flow"})
UNAUTHORIZED = (401, {"error": "Unauthorized/Invalid api key"})
BAD_LOGIN = (401, {"error": "Invalid L1 Request headers"})

EXCLUDED = {
    "v2_poly1271_amoy_official": "of the test chain; the exchange is on 137 only, and does not take it for a proof",
    "v1_ctf_amoy": "an order of the first struct, which the venue refuses since April 2026",
    "l1_clob_auth_amoy": "of the test chain; the same message on 137 is in the published text and verified below",
    "domain_separator_v1_zero_contract_80002": "a domain of the first struct; the exchange has none",
}
"""Vectors that the exchange does not verify, with the reason."""

HMAC_VECTORS = [
    ("GET/data/orders", "NTt0e8XQzUuVTici5whIU-0NfgRXijqf0FarNw-ik2Q="),
    ('DELETE/order{"orderID":"0xabc"}', "R6Zjd0XmcT575-SA5KWD9BUc-qkFqvudAxkHd3R1vpw="),
]


def load_vectors() -> list[dict[str, Any]]:
    return json.loads(VECTORS.read_text())["vectors"] if VECTORS.exists() else []


@pytest.mark.skipif(not VECTORS.exists(), reason=f"no published vectors at {VECTORS}")
@pytest.mark.parametrize("vector", load_vectors(), ids=lambda vector: vector["id"])
def test_published_vector_verifies(vector: dict[str, Any]) -> None:
    if vector["kind"] == "hmac_l2":
        given = vector["input"]
        message = f"{given['timestamp']}{given['method']}{given['path']}{given['body']}".encode()
        assert sign_request(given["secret_base64_dummy"], message) == vector["expected"]["signature"]
    elif vector["kind"] == "order_v2":
        order, domain = struct_of(vector), domain_separator("v1", neg_risk=vector["neg_risk"])
        signature = bytes.fromhex(vector["expected"]["signature"][2:])
        proven = recover_order_signer(order, domain, signature) == DEVELOPMENT_ADDRESS
        assert proven is (vector["id"] not in EXCLUDED)
        if proven:
            digest = vector["expected"]["eip712_digest"] or vector["recomputed"]["eip712_digest"]
            assert "0x" + order_digest(order, domain).hex() == digest
    else:
        assert vector["id"] in EXCLUDED


def struct_of(vector: dict[str, Any]) -> SignedOrder:
    """Return a vector's message as the exchange holds it."""
    message = vector["message"]
    return SignedOrder(
        salt=int(message["salt"]),
        maker=message["maker"].lower(),
        signer=message["signer"].lower(),
        token_id=int(message["tokenId"]),
        maker_amount=int(message["makerAmount"]),
        taker_amount=int(message["takerAmount"]),
        side=message["side"],
        signature_type=message["signatureType"],
        timestamp_ms=int(message["timestamp"]),
        metadata=bytes.fromhex(message["metadata"][2:]),
        builder=bytes.fromhex(message["builder"][2:]),
    )


def test_login_vector() -> None:
    digest = login_digest(DEVELOPMENT_ADDRESS, "1700000000", 0)
    assert digest.hex() == "c85352894b3c41f3ea6152479d64b9233fbaf2de87eabc7e4bba3a161fd28493"
    signature = (
        "659ed4b28ae28e0f038fdf0023c00863c9559caacb9ebc83f44eea87059a099a"
        "36f1e1dee110e7faa1c4f65d17489b2da1333ebef78bbe2116d81207b975052d1c"
    )
    assert recover(digest, bytes.fromhex(signature)) == DEVELOPMENT_ADDRESS


@pytest.mark.parametrize(("message", "signature"), HMAC_VECTORS)
def test_request_vectors(message: str, signature: str) -> None:
    assert sign_request("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", f"1700000000{message}".encode()) == signature


# -- orders over HTTP ------------------------------------------------------------------------------


def signed_body(
    desk: HttpDesk,
    *,
    kind: int = 0,
    contract: str = CTF_EXCHANGE_V2,
    chain_id: int = 137,
    version: str = "2",
    key: str = OWN_KEY,
    token: str = UP,
    **fields: str,
) -> dict[str, Any]:
    """Return the body of a BUY of 10 at 0.40, signed by the official builder."""
    builder = ExchangeOrderBuilderV2(contract, chain_id, OfficialSigner(key, chain_id), domain_version=version)
    wallet = WALLETS.get(kind, desk.signer.address)
    values = {
        "maker": wallet,
        "signer": wallet if kind == 3 else OfficialSigner(key, chain_id).address(),
        "tokenId": token,
        "makerAmount": "4000000",
        "takerAmount": "10000000",
        "timestamp": "1782753357257",
        **fields,
    }
    order = OrderDataV2(side=OfficialSide.BUY, signatureType=SignatureTypeV2(kind), **values)
    signed = order_to_json_v2(builder.build_signed_order(order), desk.key.key, "GTC")
    return dict(json.loads(json.dumps(signed)))


def open_wallets(desk: HttpDesk) -> None:
    for kind, wallet in WALLETS.items():
        desk.core.register_wallet(desk.signer.address, wallet, kind)


def flipped(text: str, bit: int) -> str:
    """Return hexadecimal text with one bit the other way round."""
    raw = bytearray(bytes.fromhex(text.removeprefix("0x")))
    raw[bit // 8] ^= 1 << bit % 8
    return "0x" + raw.hex()


@pytest.mark.parametrize("kind", [0, 1, 2, 3])
async def test_order_with_one_flipped_bit_is_refused(kind: int) -> None:
    """The first and last bits of every part: r, s and v, and for a deposit wallet domain, struct, text, length."""
    async with http_desk() as desk:
        open_wallets(desk)
        body = signed_body(desk, kind=kind)
        signature = body["order"]["signature"]
        edges = [0, 255, 256, 511, 513, 519] + [520, 775, 776, 1_031, 1_032, 2_519, 2_520, 2_535] * (kind == 3)
        assert (len(signature) - 2) * 4 > max(edges)
        expected = INVALID_PROXY_SIGNATURE if kind == 1 else INVALID_SIGNATURE
        for bit in edges:
            body["order"]["signature"] = flipped(signature, bit)
            assert await desk.call("POST", "/order", body) == expected, bit
        body["order"]["signature"] = signature
        status, reply = await desk.call("POST", "/order", body)
        assert (status, reply["status"]) == (200, "live")


OTHER_FIELDS = {
    "salt": 1,
    "tokenId": "1002",
    "makerAmount": "4000001",
    "takerAmount": "10000001",
    "side": "SELL",
    "timestamp": "1782753357258",
    "metadata": "0x" + "00" * 31 + "01",
    "builder": "0x" + "00" * 31 + "01",
}


@pytest.mark.parametrize("field", OTHER_FIELDS)
@pytest.mark.parametrize("kind", [0, 3])
async def test_order_with_one_other_field_is_refused(kind: int, field: str) -> None:
    async with http_desk() as desk:
        open_wallets(desk)
        body = signed_body(desk, kind=kind)
        body["order"][field] = OTHER_FIELDS[field]
        assert await desk.call("POST", "/order", body) == INVALID_SIGNATURE


WRONG_DOMAINS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "wrong chain": ({}, {"chain_id": 80_002}),
    "wrong version": ({}, {"version": "1"}),
    "version of position ids": ({}, {"version": "3"}),
    "neg-risk contract on a standard market": ({}, {"contract": NEG_RISK_EXCHANGE_V2}),
    "contract of position ids on a standard market": ({}, {"contract": EXCHANGE_V3, "version": "3"}),
    "standard contract on a neg-risk market": ({"neg_risk": True}, {"contract": CTF_EXCHANGE_V2}),
    "standard contract on position ids": ({"version": "v2"}, {"contract": CTF_EXCHANGE_V2}),
    "right contract but version 2 on position ids": ({"version": "v2"}, {"contract": EXCHANGE_V3}),
}


@pytest.mark.parametrize("kind", [0, 1, 2, 3])
@pytest.mark.parametrize("case", WRONG_DOMAINS)
async def test_order_for_another_domain_is_refused(case: str, kind: int) -> None:
    market, signing = WRONG_DOMAINS[case]
    async with http_desk(**market) as desk:
        open_wallets(desk)
        expected = INVALID_PROXY_SIGNATURE if kind == 1 else INVALID_SIGNATURE
        assert await desk.call("POST", "/order", signed_body(desk, kind=kind, **signing)) == expected


@pytest.mark.parametrize("kind", [0, 1, 2, 3])
async def test_order_signed_by_another_key_is_refused(kind: int) -> None:
    async with http_desk() as desk:
        open_wallets(desk)
        expected = INVALID_PROXY_SIGNATURE if kind == 1 else INVALID_SIGNATURE
        assert await desk.call("POST", "/order", signed_by_another_key(desk, kind)) == expected


def signed_by_another_key(desk: HttpDesk, kind: int) -> dict[str, Any]:
    """Return an order that names the caller as its signer and carries a stranger's signature over that."""
    body = signed_body(desk, kind=kind)
    signer = WALLETS[3] if kind == 3 else desk.signer.address
    builder = ExchangeOrderBuilderV2(CTF_EXCHANGE_V2, 137, OfficialSigner(OTHER_KEY, 137))
    builder.signer.address = lambda: signer
    fields = {name: body["order"][name] for name in ("maker", "tokenId", "makerAmount", "takerAmount", "timestamp")}
    data = OrderDataV2(side=OfficialSide.BUY, signatureType=SignatureTypeV2(kind), signer=signer, **fields)
    return dict(json.loads(json.dumps(order_to_json_v2(builder.build_signed_order(data), desk.key.key, "GTC"))))


@pytest.mark.parametrize(
    ("market", "signing"),
    [
        ({}, {}),
        ({"neg_risk": True}, {"contract": NEG_RISK_EXCHANGE_V2}),
        ({"version": "v2"}, {"contract": EXCHANGE_V3, "version": "3"}),
        ({"version": "v2", "neg_risk": True}, {"contract": EXCHANGE_V3, "version": "3"}),
    ],
    ids=["standard", "neg-risk", "position ids", "neg-risk position ids"],
)
@pytest.mark.parametrize("kind", [0, 1, 2, 3])
async def test_order_for_the_markets_own_domain_is_taken(
    kind: int, market: dict[str, Any], signing: dict[str, Any]
) -> None:
    async with http_desk(**market) as desk:
        open_wallets(desk)
        status, reply = await desk.call("POST", "/order", signed_body(desk, kind=kind, **signing))
        assert (status, reply["status"]) == (200, "live")


IDENTITIES: dict[str, tuple[Callable[[HttpDesk], dict[str, Any]], tuple[int, Any]]] = {
    "a signer that is not the key's": (lambda desk: signed_body(desk, key=OTHER_KEY), WRONG_SIGNER),
    "a deposit wallet that is not the key's": (
        lambda desk: signed_body(desk, kind=3, maker="0x" + "44" * 20, signer="0x" + "44" * 20),
        WRONG_SIGNER,
    ),
    "a deposit wallet with the key as the signer": (
        lambda desk: signed_body(desk, kind=3, signer=desk.signer.address),
        WRONG_SIGNER,
    ),
    "a Safe that is not the key's": (lambda desk: signed_body(desk, kind=2, maker="0x" + "44" * 20), WRONG_WALLET),
    "a proxy declared as a Safe": (lambda desk: signed_body(desk, kind=2, maker=WALLETS[1]), WRONG_WALLET),
    "another owner": (lambda desk: {**signed_body(desk), "owner": "00000000-0000-4000-8000-000000000000"}, WRONG_OWNER),
    "the address as the owner": (lambda desk: {**signed_body(desk), "owner": desk.signer.address}, WRONG_OWNER),
    "the first struct": (
        lambda desk: {
            **signed_body(desk),
            "order": {"salt": 1, "maker": desk.signer.address, "nonce": "0", "feeRateBps": "0", "signature": "0x"},
        },
        (400, {"error": "order_version_mismatch"}),
    ),
    "no signature": (
        lambda desk: {**signed_body(desk), "order": {**signed_body(desk)["order"], "signature": "0x"}},
        INVALID_SIGNATURE,
    ),
}


@pytest.mark.parametrize("case", IDENTITIES)
async def test_order_of_another_identity_is_refused(case: str) -> None:
    make, expected = IDENTITIES[case]
    async with http_desk() as desk:
        open_wallets(desk)
        assert await desk.call("POST", "/order", make(desk)) == expected
        _, orders = await desk.call("GET", "/data/orders")
        assert orders["data"] == []


# -- logins and requests over HTTP -----------------------------------------------------------------


async def login(desk: HttpDesk, chain_id: int = 137, **changes: str) -> tuple[int, Any]:
    """Derive the caller's key with a proof by the official client."""
    stamp = desk.clock.now // 1_000_000_000
    headers = {**create_level_1_headers(OfficialSigner(OWN_KEY, chain_id), 0, stamp), **changes}
    async with desk.client.get("/auth/derive-api-key", headers=headers) as response:
        return response.status, await response.json()


async def test_login_proof() -> None:
    async with http_desk() as desk:
        assert (await login(desk))[1]["apiKey"] == desk.key.key
        assert await login(desk, chain_id=80_002) == BAD_LOGIN
        assert await login(desk, POLY_NONCE="1") == BAD_LOGIN
        assert await login(desk, POLY_ADDRESS="0x" + "44" * 20) == BAD_LOGIN
        assert await login(desk, POLY_TIMESTAMP=str(desk.clock.now // 1_000_000_000 - 3_600)) == BAD_LOGIN
        stamp = desk.clock.now // 1_000_000_000
        good = create_level_1_headers(OfficialSigner(OWN_KEY, 137), 0, stamp)["POLY_SIGNATURE"]
        for bit in (0, 255, 256, 511, 513, 519):
            assert await login(desk, POLY_SIGNATURE=flipped(good, bit)) == BAD_LOGIN


async def test_request_proof() -> None:
    async with http_desk() as desk:
        assert (await desk.call("GET", "/data/orders"))[0] == 200
        good = desk.key
        other: dict[str, Any] = {
            "secret": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
            "passphrase": flipped(good.passphrase, 0)[2:],
            "key": "00000000-0000-4000-8000-000000000000",
        }
        for name, value in other.items():
            desk.key = replace(good, **{name: value})
            assert await desk.call("GET", "/data/orders") == UNAUTHORIZED, name
        desk.key = good
        for seconds in (-3_600, 3_600):
            desk.clock.now += seconds * 1_000_000_000
            stale = str(desk.clock.now // 1_000_000_000)
            desk.clock.now -= seconds * 1_000_000_000
            message = f"{stale}GET/data/orders".encode()
            headers = {
                "POLY_ADDRESS": desk.signer.address,
                "POLY_API_KEY": good.key,
                "POLY_PASSPHRASE": good.passphrase,
                "POLY_TIMESTAMP": stale,
                "POLY_SIGNATURE": sign_request(good.secret, message),
            }
            async with desk.client.get("/data/orders", headers=headers) as response:
                assert (response.status, await response.json()) == UNAUTHORIZED
