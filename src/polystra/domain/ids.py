"""Names of things: identifiers as distinct string types.

`OrderId` is the venue's order id: the EIP-712 hash of the signed order, `0x` and 64
lower-case hex digits, known before the order is sent (Polymarket CLOB docs, order hash).
`ClientOrderId` is ours: one intent, one client order id, one signature.
`TokenId` is a decimal string of a 256-bit integer; `ConditionId` is `0x` and 64 hex digits.
"""

from __future__ import annotations

from typing import NewType

ConditionId = NewType("ConditionId", str)
TokenId = NewType("TokenId", str)
OrderId = NewType("OrderId", str)
ClientOrderId = NewType("ClientOrderId", str)
TradeId = NewType("TradeId", str)
PositionId = NewType("PositionId", str)
