"""Frames of the market channel from the recorded sessions, and price changes that lead from book to book.

The full-depth recording holds snapshots only, so the changes between two successive books of a token are written
as the venue writes them: one frame a level, with the mirrored level of the other token and both tops. The other
recording holds real `price_change` frames, a few; they are used as they are.
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

SHARED: Final = Path(os.environ.get("POLYSTRA_SHARED", Path(__file__).resolve().parents[2] / "shared"))
_BOOKS: Final = SHARED / "data" / "market_ws" / "btc5m_full_depth"
_FRAMES: Final = SHARED / "data" / "market_ws" / "multi_feed_15m_sessions"
CONTESTED: Final = ("1776324000", "1776263100", "1776327000", "1776257100")
"""Windows whose odds swing most."""


@dataclass(frozen=True, slots=True)
class Change:
    """A frame of price changes, and the snapshot that it completes, if it is the last one before it."""

    frame: str
    reached: dict[str, Any] | None = None


def books(most: int) -> list[str]:
    """Return frames of full-depth books as they were recorded, of one token."""
    found: list[str] = []
    for window in CONTESTED:
        for message in _messages(window):
            found.append(json.dumps(message, separators=(",", ":")))
            if len(found) >= most:
                return found
    return found


def changes(most: int) -> tuple[list[str], list[Change]]:
    """Return the frames of both tokens' first books, and the changes from there on."""
    snapshots = list(_messages(CONTESTED[0]))
    up, down = _tokens(CONTESTED[0])
    first = snapshots[0]
    start = [json.dumps(each, separators=(",", ":")) for each in (first, _mirrored(first, up, down))]
    found: list[Change] = []
    before = first
    for snapshot in snapshots[1:]:
        frames = list(_between(before, snapshot, up, down))
        found += [Change(frame) for frame in frames[:-1]]
        if frames:
            found.append(Change(frames[-1], snapshot))
        before = snapshot
        if len(found) >= most:
            break
    return start, found


def real_changes() -> list[str]:
    """Return the recorded frames of price changes."""
    found = []
    for path in sorted(_FRAMES.glob("*.raw_messages.jsonl.gz")):
        with gzip.open(path, "rt") as lines:
            found += [json.loads(line)["payload"] for line in lines if "price_changes" in line]
    return found


def is_there() -> bool:
    """Whether the recordings are on this machine."""
    return _BOOKS.exists() and _FRAMES.exists()


def _tokens(window: str) -> tuple[str, str]:
    """The tokens of the recorded side and of its mirror; the mirror needs a name of the same length only."""
    token = next(_messages(window))["asset_id"]
    return ("1" + token[1:] if token[0] != "1" else "2" + token[1:]), token


def _messages(window: str) -> Iterator[dict[str, Any]]:
    token = ""
    with gzip.open(_BOOKS / f"btc-updown-5m-{window}.book.jsonl.gz", "rt") as lines:
        for line in lines:
            message = json.loads(line)["msg"]
            message.setdefault("event_type", "book")
            token = token or message["asset_id"]
            if message["asset_id"] == token:
                yield message


def _mirrored(message: dict[str, Any], up: str, down: str) -> dict[str, Any]:
    other = up if message["asset_id"] == down else down
    sides = {
        "bids": [{"price": _other(level["price"]), "size": level["size"]} for level in message["asks"]],
        "asks": [{"price": _other(level["price"]), "size": level["size"]} for level in message["bids"]],
    }
    return {**message, "asset_id": other, **sides}


def _other(price: str) -> str:
    return str(1 - Decimal(price))


def _between(before: dict[str, Any], after: dict[str, Any], up: str, down: str) -> Iterator[str]:
    """One frame for each level that differs; the tops are those after that very frame."""
    state = {side: {level["price"]: level["size"] for level in before[side]} for side in ("bids", "asks")}
    for side in ("bids", "asks"):
        wanted = {level["price"]: level["size"] for level in after[side]}
        # What goes is told before what comes, so that no book is crossed on the way.
        for price in [price for price in state[side] if price not in wanted]:
            del state[side][price]
            yield _frame(after, side, price, "0", state, up, down)
    for side in ("bids", "asks"):
        for level in after[side]:
            if state[side].get(level["price"]) != level["size"]:
                state[side][level["price"]] = level["size"]
                yield _frame(after, side, level["price"], level["size"], state, up, down)


def _frame(
    after: dict[str, Any], side: str, price: str, size: str, state: dict[str, dict[str, str]], up: str, down: str
) -> str:
    bid = max(state["bids"], key=Decimal, default="0")
    ask = min(state["asks"], key=Decimal, default="1")
    word, opposite = ("BUY", "SELL") if side == "bids" else ("SELL", "BUY")
    digest = after["hash"]
    return json.dumps(
        {
            "market": after["market"],
            "price_changes": [
                _level(down, price, size, word, digest, bid, ask),
                _level(up, _other(price), size, opposite, digest, _other(ask), _other(bid)),
            ],
            "timestamp": after["timestamp"],
            "event_type": "price_change",
        },
        separators=(", ", ":"),  # as recorded
    )


def _level(token: str, price: str, size: str, side: str, digest: str, bid: str, ask: str) -> dict[str, str]:
    return {
        "asset_id": token, "price": price, "size": size, "side": side, "hash": digest, "best_bid": bid, "best_ask": ask,
    }  # fmt: skip
