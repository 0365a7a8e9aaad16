"""Digests and signer recovery against published vectors."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from polystra.exchange.typed_data import (
    SignedOrder,
    domain_separator,
    login_digest,
    order_digest,
    recover,
    recover_order_signer,
    struct_hash,
)

SHARED = Path(os.environ.get("POLYSTRA_SHARED", Path(__file__).parents[3].parent / "shared"))
ADDRESS = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"
TOKEN = 71321045679252212594626385532706912750332728571942532289631379312455583992563
V3_TOKEN = 452312848583266388373324160190187154667340237991552160775520464234040262657
SIGNATURE = bytes.fromhex(
    "89f178136333c8ebb32a19146cb891233e3202d474be6ef730c24dbc06ae4d2a"
    "0c99948a86d9b57de0f2c0bb8ec6964aa244ecf17cfa3a95b86878d0b64ad78a1b"
)


def order(**changes: Any) -> SignedOrder:
    values: dict[str, Any] = {
        "salt": 123456789,
        "maker": ADDRESS,
        "signer": ADDRESS,
        "token_id": TOKEN,
        "maker_amount": 100000000,
        "taker_amount": 50000000,
        "side": 0,
        "signature_type": 0,
        "timestamp_ms": 1713398400000,
        "metadata": bytes(32),
        "builder": bytes(32),
    }
    return SignedOrder(**{**values, **changes})


SELL = {"salt": 987654321, "maker_amount": 50000000, "taker_amount": 100000000, "side": 1}
WALLET = {"maker": "0x" + "11" * 20, "signer": "0x" + "11" * 20}


@pytest.mark.parametrize(
    ("version", "neg_risk", "changes", "order_id"),
    [
        ("v1", False, {}, "32961c48ddac87ed3582f8e02097cd0eff4fcf80460306bd44b3710438dfa64c"),
        ("v1", True, SELL, "8b878404bd92dea2bfea9975c9fcd816ec70a57ae431cb20d67bb773744aaef3"),
        (
            "v1",
            False,
            {"salt": 111111111, "signature_type": 1},
            "8f88fe2fb3448f4b8ba639992029f0a47a01a14d15b5f2bf9833516571efd279",
        ),
        (
            "v1",
            True,
            {**SELL, "salt": 222222222, "signature_type": 2},
            "b34248702810a1d76580234a33f942a9801c3680de54cb3ef104572a8d482190",
        ),
        (
            "v1",
            False,
            {**WALLET, "salt": 333333333, "signature_type": 3},
            "48cfd4c03dcee72230750e2dc5ea71048e91244c2a9fec2ed6ef790a74869596",
        ),
        ("v2", False, {"token_id": V3_TOKEN}, "e072127839e5bd187ff213ac51f964b0bb89873880fa1e79e0e99e4683ae4616"),
    ],
)
def test_published_order_ids(version: str, neg_risk: bool, changes: dict[str, Any], order_id: str) -> None:
    assert order_digest(order(**changes), domain_separator(version, neg_risk=neg_risk)).hex() == order_id


def test_published_domains_and_struct_hash() -> None:
    assert (
        domain_separator("v1", neg_risk=False).hex()
        == "3264e159346253e26a64e00b69032db0e7d32f94628de3e6eecb50304d7af3d2"
    )
    assert (
        domain_separator("v2", neg_risk=True).hex()
        == "466c63910185bbd55e8679264200c4e0abdcbb0c6264eb3d41d13326022e095b"
    )
    assert struct_hash(order()).hex() == "b90cd5fd7127bafc0ad257103b8ef1cf3fd285bdd74ad9e2d6ddc7c9c1bf152a"


def test_published_signature_recovers() -> None:
    domain = domain_separator("v1", neg_risk=False)
    assert recover_order_signer(order(), domain, SIGNATURE) == ADDRESS


def test_any_flipped_bit_recovers_someone_else_or_nobody() -> None:
    domain = domain_separator("v1", neg_risk=False)
    for position in range(0, 65 * 8, 7):
        broken = bytearray(SIGNATURE)
        broken[position // 8] ^= 1 << position % 8
        assert recover_order_signer(order(), domain, bytes(broken)) != ADDRESS


@pytest.mark.parametrize(
    "changes", [{"salt": 1}, {"taker_amount": 1}, {"side": 1}, {"timestamp_ms": 1}, {"metadata": b"\1" * 32}]
)
def test_another_order_has_another_signer(changes: dict[str, Any]) -> None:
    assert recover_order_signer(order(**changes), domain_separator("v1", neg_risk=False), SIGNATURE) != ADDRESS


def test_wrong_contract_has_another_signer() -> None:
    assert recover_order_signer(order(), domain_separator("v1", neg_risk=True), SIGNATURE) != ADDRESS
    assert recover_order_signer(order(), domain_separator("v2", neg_risk=False), SIGNATURE) != ADDRESS


@pytest.mark.parametrize(
    "signature", [b"", SIGNATURE[:64], SIGNATURE + b"\0", SIGNATURE[:64] + b"\0", bytes(64) + b"\x1b"]
)
def test_malformed_signatures_prove_nothing(signature: bytes) -> None:
    assert recover(bytes(32), signature) is None


def test_high_s_is_refused() -> None:
    n = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    high = (n - int.from_bytes(SIGNATURE[32:64], "big")).to_bytes(32, "big")
    twin = SIGNATURE[:32] + high + bytes([55 - SIGNATURE[64]])
    assert recover_order_signer(order(), domain_separator("v1", neg_risk=False), twin) is None


def test_login_vector() -> None:
    digest = login_digest(ADDRESS, "1700000000", 0)
    assert digest.hex() == "c85352894b3c41f3ea6152479d64b9233fbaf2de87eabc7e4bba3a161fd28493"
    signature = bytes.fromhex(
        "659ed4b28ae28e0f038fdf0023c00863c9559caacb9ebc83f44eea87059a099a"
        "36f1e1dee110e7faa1c4f65d17489b2da1333ebef78bbe2116d81207b975052d1c"
    )
    assert recover(digest, signature) == ADDRESS


def load_vectors() -> list[dict[str, Any] | None]:
    path = SHARED / "data" / "signing" / "eip712_vectors.json"
    if not path.is_file():
        return [None]
    document = json.loads(path.read_text())
    return [vector for vector in document["vectors"] if vector["kind"].startswith("order_v2")]


@pytest.mark.parametrize("vector", load_vectors(), ids=lambda v: v["id"] if v else "absent")
def test_recorded_vectors(vector: dict[str, Any] | None) -> None:
    if vector is None:
        pytest.skip(f"no signing vectors under {SHARED}; set POLYSTRA_SHARED")
    message = vector["message"]
    signed = order(
        salt=int(message["salt"]),
        maker=message["maker"].lower(),
        signer=message["signer"].lower(),
        token_id=int(message["tokenId"]),
        maker_amount=int(message["makerAmount"]),
        taker_amount=int(message["takerAmount"]),
        side=message["side"],
        signature_type=message["signatureType"],
        timestamp_ms=int(message["timestamp"]),
    )
    domain = domain_separator("v1", neg_risk=vector["neg_risk"])
    signature = bytes.fromhex(vector["expected"]["signature"].removeprefix("0x"))
    our_chain = vector["domain"]["chainId"] == 137
    if our_chain:
        assert "0x" + order_digest(signed, domain).hex() == vector["expected"]["eip712_digest"]
    assert (recover_order_signer(signed, domain, signature) == ADDRESS) is our_chain
