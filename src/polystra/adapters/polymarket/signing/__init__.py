"""The signing kernel: amounts, order hashes, signatures and authentication headers, all pure."""

from polystra.adapters.polymarket.signing.amounts import Amounts, limit_amounts, market_amounts
from polystra.adapters.polymarket.signing.auth import L2Credentials, l1_headers, l2_headers
from polystra.adapters.polymarket.signing.keys import SigningKey, checksum_address, parse_address
from polystra.adapters.polymarket.signing.orders import OrderDraft, OrderSigner, SignatureType, SignedDraft
from polystra.adapters.polymarket.signing.terms import OrderTermsSigner

__all__ = [
    "Amounts",
    "L2Credentials",
    "OrderDraft",
    "OrderSigner",
    "OrderTermsSigner",
    "SignatureType",
    "SignedDraft",
    "SigningKey",
    "checksum_address",
    "l1_headers",
    "l2_headers",
    "limit_amounts",
    "market_amounts",
    "parse_address",
]
