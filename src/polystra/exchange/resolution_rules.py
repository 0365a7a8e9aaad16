"""What up/down markets resolve on: last price, averages, candle; with the texts that say so.

What lives here: the two prices that each rule compares, and its description, source and market
configuration as Gamma shows them. What must not: when a market is resolved (`world`), the wire.

Polymarket CLOB docs, crypto up/down markets: Up if the end price is at or above the start price. An
average at T is over the last ticks up to T; the candle's open is the first price at or after the
window's start, its close the last one before its end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from polystra.domain.units import NS_PER_S, PriceE8
from polystra.exchange.assets import Asset
from polystra.exchange.prices import AVERAGE_S, PricePath

LAST_PRINT_NS: Final = 250_000_000
"""How long before the end of a candle its last trade is."""


@dataclass(frozen=True, slots=True)
class ResolutionRule:
    """One rule: its prices at the window's start and end, and what Gamma says about it."""

    name: str
    start: Callable[[PricePath, int], PriceE8]
    end: Callable[[PricePath, int], PriceE8]
    describe: Callable[[Asset, str], str]
    source: Callable[[Asset], str]
    config: dict[str, Any] | None


def average(path: PricePath, second: int, seconds: int) -> PriceE8:
    """Return the mean of the last `seconds` ticks up to a second, rounded half up; holes hold their price."""
    if seconds == AVERAGE_S:
        return path.average(second)
    total = sum(path.held(at) for at in range(second - seconds + 1, second + 1))
    return (2 * total + seconds) // (2 * seconds)


def average_text(asset: Asset, seconds: int) -> str:
    """Return the description of a market that an average decides."""
    pair = f"{asset.symbol}/USD"
    return (
        f'This market will resolve to "Up" if the {seconds}-second time-weighted average price (TWAP) of '
        f"{asset.name} at the end of the time range specified in the title is greater than or equal to the "
        f"{seconds}-second time-weighted average price (TWAP) at the beginning of that range. Otherwise, it will "
        f'resolve to "Down".\n'
        f"The resolution source for this market is information from Chainlink, specifically the {seconds}-second "
        f"TWAP of the {pair} data stream available at {asset.stream_url}.\n{_not_elsewhere(pair)}"
    )


def last_price_text(asset: Asset) -> str:
    """Return the description of a market that the feed's last price decides."""
    pair = f"{asset.symbol}/USD"
    return (
        f'This market will resolve to "Up" if the {asset.name} price at the end of the time range specified in the '
        f"title is greater than or equal to the price at the beginning of that range. Otherwise, it will resolve "
        f'to "Down".\n'
        f"The resolution source for this market is information from Chainlink, specifically the {pair} data stream "
        f"available at {asset.stream_url}.\n{_not_elsewhere(pair)}"
    )


def candle_text(asset: Asset, window: str) -> str:
    """Return the description of a market that a spot candle decides."""
    return (
        f'This market will resolve to "Up" if the close price is greater than or equal to the open price for the '
        f"{asset.symbol}/USDT {window} candle that begins on the time and date specified in the title. Otherwise, "
        f'this market will resolve to "Down".\n'
        f'The resolution source for this market is information from Binance, specifically the open "O" and close '
        f'"C" prices of the {asset.symbol}/USDT {window} candle displayed at {candle_url(asset)}.\n'
        f"Please note that this market is about the price according to Binance {asset.symbol}/USDT, not according to "
        f"other sources or spot markets."
    )


def candle_url(asset: Asset) -> str:
    """Return the page of a coin on the spot venue."""
    return f"https://www.binance.com/en/trade/{asset.symbol}_USDT"


def _not_elsewhere(pair: str) -> str:
    return (
        f"Please note that this market is about the price according to Chainlink data stream {pair}, not according "
        f"to other sources or spot markets."
    )


def _averaged(seconds: int) -> ResolutionRule:
    def price(path: PricePath, second: int) -> PriceE8:
        return average(path, second, seconds)

    return ResolutionRule(
        name=f"average_{seconds}",
        start=price,
        end=price,
        describe=lambda asset, _window: average_text(asset, seconds),
        source=lambda asset: asset.stream_url,
        config={"twapEnabled": True, "twapLookbackSeconds": seconds},
    )


def _held(path: PricePath, second: int) -> PriceE8:
    return path.held(second)


def _open(path: PricePath, second: int) -> PriceE8:
    return path.spot(second * NS_PER_S)


def _close(path: PricePath, second: int) -> PriceE8:
    return path.spot(second * NS_PER_S - LAST_PRINT_NS)


RULES: Final[dict[str, ResolutionRule]] = {
    rule.name: rule
    for rule in (
        _averaged(AVERAGE_S),
        _averaged(30),
        ResolutionRule(
            name="last_price",
            start=_held,
            end=_held,
            describe=lambda asset, _window: last_price_text(asset),
            source=lambda asset: asset.stream_url,
            config={"twapEnabled": False},
        ),
        ResolutionRule(name="candle", start=_open, end=_close, describe=candle_text, source=candle_url, config=None),
    )
}
"""The rules by the names that `MarketSpec.rule` carries."""
