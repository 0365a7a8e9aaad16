"""Frames of the PolyBolt price socket, as price ticks.

What lives here: pure translation of frames. What must not: sockets, sequence keeping.
Source: Polymarket docs, live data: channels `price.crypto` (spot of the settlement feed) and
`price.crypto.twap` (its 60-second average), snapshots in `payload.data`.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from polystra.adapters.polymarket.wire import (
    JsonObject,
    as_list,
    as_object,
    instant,
    integer,
    price_e8,
    required_text,
    text,
    truth,
)
from polystra.domain.errors import VenueProtocolError
from polystra.domain.events import PriceSource, PriceTicked
from polystra.domain.units import Nanos, PriceE8

CHANNEL_SPOT: Final = "price.crypto"
CHANNEL_AVERAGE: Final = "price.crypto.twap"
AVERAGE_WINDOW_S: Final = 60

SOURCES: Final = MappingProxyType(
    {CHANNEL_SPOT: PriceSource.SETTLEMENT, CHANNEL_AVERAGE: PriceSource.AVERAGE},
)
SETTLEMENT_ORACLE: Final = "chainlink"
_QUOTE: Final = "usd"
_TOLERANCE: Final = 1_000
"""`value` and `full_accuracy_value` may differ by one part in this many; more means another scale."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceFrame:
    """One data frame: its channel, its number, what the server skipped, and the prices in it."""

    channel: str
    sequence: int | None
    dropped: int
    snapshot: bool
    ticks: tuple[PriceTicked, ...]


def price_frame(message: JsonObject, received_ns: Nanos) -> PriceFrame | None:
    """Return the data frame in `message`, None for acknowledgements, pongs and other channels."""
    channel = text(message, "channel")
    if channel not in SOURCES or "payload" not in message:
        return None
    payload = as_object(message["payload"], "payload")
    symbol = _symbol(payload)
    source = _source(channel, payload)
    fallback = instant(message, "ts", default=received_ns)
    points = [payload]
    if "data" in payload:
        points = [as_object(item, "point of a snapshot") for item in as_list(payload["data"], "data")]
    return PriceFrame(
        channel=channel,
        sequence=integer(message, "seq"),
        dropped=integer(message, "dropped") or 0,
        snapshot=truth(message, "snapshot", default="data" in payload),
        ticks=tuple(
            PriceTicked(
                symbol=symbol, source=source, price=_price(point), at_ns=instant(point, "timestamp", default=fallback)
            )
            for point in points
        ),
    )


def _symbol(payload: JsonObject) -> str:
    """Return "BTC" for "btcusd" (and "btc/usd", which the older socket wrote)."""
    written = required_text(payload, "symbol").lower().replace("/", "")
    name = written.removesuffix(_QUOTE)
    if not name or name == written:
        raise VenueProtocolError(f"symbol is {written[:60]!r}, expected one quoted in dollars such as 'btcusd'")
    return name.upper()


def _source(channel: str, payload: JsonObject) -> PriceSource:
    """The channel's source; a spot price of another oracle than the settlement one is only a spot price."""
    oracle = text(payload, "source").lower()
    if channel == CHANNEL_SPOT and oracle not in ("", SETTLEMENT_ORACLE):
        return PriceSource.SPOT
    return SOURCES[channel]


def _price(point: JsonObject) -> PriceE8:
    full = point.get("full_accuracy_value")
    if full is None or full == "":
        return price_e8(point.get("value"), "value")
    exact = price_e8(full, "full_accuracy_value")
    if point.get("value") is not None:
        rough = price_e8(point["value"], "value")
        if abs(exact - rough) * _TOLERANCE > rough:
            raise VenueProtocolError("full_accuracy_value and value differ: the feed has changed its scale")
    return exact
