"""The coins that the built-in exchange knows: names, venue symbols and typical behaviour.

What lives here: constants per coin, and the spellings in which feeds and files name it.
What must not: prices of a run, anything that changes. Volatilities are rounded long-run
figures; starting prices are round numbers without meaning.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from polystra.domain.units import E8, PriceE8


@dataclass(frozen=True, slots=True)
class Asset:
    """One coin; `annual_volatility` is a fraction, `spot_decimals` the spot venue's price digits."""

    symbol: str
    name: str
    start_price: PriceE8
    annual_volatility: float
    spot_decimals: int

    @property
    def feed_symbol(self) -> str:
        """The settlement feed's spelling, e.g. `btcusd` (Polymarket CLOB docs, live data)."""
        return f"{self.symbol.lower()}usd"

    @property
    def spot_symbol(self) -> str:
        """The spot venue's spelling, e.g. `BTCUSDT`."""
        return f"{self.symbol}USDT"

    @property
    def stream_url(self) -> str:
        """The resolution source that the venue names for this coin."""
        return f"https://data.chain.link/streams/{self.symbol.lower()}-usd"


ASSETS: Final[dict[str, Asset]] = {
    asset.symbol: asset
    for asset in (
        Asset("BTC", "Bitcoin", 64_000 * E8, 0.55, 2),
        Asset("ETH", "Ethereum", 2_400 * E8, 0.70, 2),
        Asset("SOL", "Solana", 150 * E8, 0.80, 2),
        Asset("XRP", "XRP", 2 * E8, 0.75, 4),
        Asset("DOGE", "Dogecoin", E8 // 5, 0.80, 5),
        Asset("BNB", "BNB", 600 * E8, 0.60, 2),
        Asset("HYPE", "Hyperliquid", 40 * E8, 0.80, 3),
        Asset("ZEC", "Zcash", 300 * E8, 0.80, 2),
    )
}

_SPELLING: Final = re.compile("|".join(f"(?:{symbol})" for symbol in ASSETS), re.IGNORECASE)


def symbol_in(text: str) -> str | None:
    """Return the first coin that `text` names (`btc/usd`, `ETHUSDT`, `chainlink_btcusd_1hz`), or None."""
    found = _SPELLING.search(text)
    return found.group().upper() if found else None
