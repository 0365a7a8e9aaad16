"""The market that every bot of the tick benchmark watches: names, books, and the one change that is worth an order.

Only the standard library: bots of other environments read this too. Each market quotes Up at 50 to 97 cents; the
trigger offers Up at 60 cents, far below what the prices say it is worth, and is taken back after the order.
"""

from __future__ import annotations

import json
import random

MARKETS = 64
CHEAP = "0.6"
NORMAL = "0.97"
BID = "0.5"

_rng = random.Random(5)
CONDITIONS = [f"0x{number + 1:064x}" for number in range(MARKETS)]
TOKENS = [(str(_rng.getrandbits(250)), str(_rng.getrandbits(250))) for _ in range(MARKETS)]
MARKET_OF = {token: number for number, pair in enumerate(TOKENS) for token in pair}


def book(token: str, at_ms: int) -> str:
    """The frame of a whole book."""
    up = token == TOKENS[MARKET_OF[token]][0]
    bids, asks = (BID, NORMAL) if up else ("0.03", "0.5")
    step = [round(0.01 * number, 2) for number in range(1, 3)]
    return json.dumps(
        {
            "event_type": "book",
            "market": CONDITIONS[MARKET_OF[token]],
            "asset_id": token,
            "timestamp": str(at_ms),
            "hash": "0" * 40,
            "bids": [{"price": str(round(float(bids) - down, 2)), "size": "500"} for down in reversed(step)]
            + [{"price": bids, "size": "500"}],
            "asks": [{"price": str(round(float(asks) + up_by, 2)), "size": "500"} for up_by in reversed(step)]
            + [{"price": asks, "size": "500"}],
            "tick_size": "0.01",
        },
        separators=(",", ":"),
    )


def offer(number: int, at_ms: int, *, there: bool) -> str:
    """The cheap offer of Up in a market comes or goes."""
    size = "100" if there else "0"
    ask = CHEAP if there else NORMAL
    return _change(number, CHEAP, size, "SELL", at_ms, (BID, ask))


def noise(number: int, at_ms: int, size: int) -> str:
    """A change far from the top."""
    return _change(number, "0.3", f"{size}.25", "BUY", at_ms, (BID, NORMAL))


def _change(number: int, price: str, size: str, side: str, at_ms: int, top: tuple[str, str]) -> str:
    up, down = TOKENS[number]
    bid, ask = top
    other = {"BUY": "SELL", "SELL": "BUY"}[side]
    return json.dumps(
        {
            "market": CONDITIONS[number],
            "price_changes": [
                _level(up, price, size, side, bid, ask),
                _level(down, _mirror(price), size, other, _mirror(ask), _mirror(bid)),
            ],
            "timestamp": str(at_ms),
            "event_type": "price_change",
        },
        separators=(", ", ":"),
    )


def _level(token: str, price: str, size: str, side: str, bid: str, ask: str) -> dict[str, str]:
    level = {"asset_id": token, "price": price, "size": size, "side": side, "hash": "0" * 40}
    return {**level, "best_bid": bid, "best_ask": ask}


def _mirror(price: str) -> str:
    return str(round(1 - float(price), 2))
