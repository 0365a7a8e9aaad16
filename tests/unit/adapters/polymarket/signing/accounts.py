"""The public development key of the official tests, and signers made from it. Never fund it."""

from __future__ import annotations

from polystra.adapters.polymarket.signing import OrderDraft, OrderSigner
from polystra.domain.orders import Side

KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
ADDRESS = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
WALLET = "0x" + "11" * 20
TOKEN = 71321045679252212594626385532706912750332728571942532289631379312455583992563
POSITION = 452312848583266388373324160190187154667340237991552160775520464234040262657
TIMESTAMP_MS = 1_713_398_400_000


def signer(signature_type: int = 0, funder: str | None = None, chain_id: int = 137) -> OrderSigner:
    return OrderSigner(KEY, signature_type, funder, chain_id, "00000000-0000-0000-0000-000000000001")


def draft(**changes: object) -> OrderDraft:
    fields: dict[str, object] = {
        "salt": 123456789,
        "token_id": TOKEN,
        "maker_amount": 100_000_000,
        "taker_amount": 50_000_000,
        "side": Side.BUY,
        "timestamp_ms": TIMESTAMP_MS,
    }
    return OrderDraft(**(fields | changes))  # type: ignore[arg-type]
