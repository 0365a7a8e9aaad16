"""Stops: at which best bid a position is sold, when its time is up, and which books are believed.

What lives here: pure answers from the settings, the price paid, the highest bid seen and the book.
What must not: orders, effects. A stop is judged on the best bid of a trusted book; of several stops
the highest holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from polystra.domain.book import OrderBook
from polystra.domain.market import Market
from polystra.domain.units import MICRO, NS_PER_S, MicroPrice, MicroShares, Nanos, ceil_to, floor_to
from polystra.engine.config import CloseAction, ExitConfig

STOP_LOSS: Final = "stop-loss"
TRAILING_STOP: Final = "trailing-stop"
BREAK_EVEN: Final = "break-even"
TIME_STOP: Final = "time-stop"
CLOSE_GUARD: Final = "close-guard"
MAX_AGE: Final = "max-age"
MANUAL: Final = "manual"
STOPS: Final = (STOP_LOSS, TRAILING_STOP, BREAK_EVEN)
"""The rules that are stops; every other rule closes."""


@dataclass(frozen=True, slots=True)
class StopLevel:
    """Sell when the best bid is at or below `price`; `rule` says which stop it is."""

    price: MicroPrice
    rule: str


def stop_level(
    config: ExitConfig, grid: Market, *, average: MicroPrice, high_water: MicroPrice, break_even: MicroPrice | None
) -> StopLevel | None:
    """The highest of the stops that are on, rounded down to the grid; None when there is none above the lowest price.

    Args:
        config: the exit rules.
        grid: the market's tick.
        average: micro-dollars paid per share.
        high_water: the highest best bid seen, 0 before the first.
        break_even: the break-even price once that stop is armed.
    """
    levels = []
    if config.stop_loss:
        levels.append(StopLevel(floor_to(average - average * config.stop_loss_ppm // MICRO, grid.tick_size), STOP_LOSS))
    if config.trailing and high_water:
        hanging = high_water - high_water * config.trailing_ppm // MICRO
        levels.append(StopLevel(floor_to(hanging, grid.tick_size), TRAILING_STOP))
    if break_even is not None:
        levels.append(StopLevel(break_even, BREAK_EVEN))
    legal = [level for level in levels if grid.lowest_price <= level.price]
    return max(legal, key=lambda level: level.price, default=None)


def break_even_price(grid: Market, *, average: MicroPrice, fees_per_share: MicroPrice) -> MicroPrice:
    """The bid at which a sale gives back what was paid, the fees paid and the fee of the sale included."""
    return ceil_to(average + fees_per_share + grid.fees.taker_fee(average, MICRO), grid.tick_size)


def arms_break_even(
    config: ExitConfig, grid: Market, *, best_bid: MicroPrice, average: MicroPrice, level: MicroPrice
) -> bool:
    """True when the gain asked for is reached and the stop would not fire at once."""
    reached = best_bid >= average + average * config.break_even_after_ppm // MICRO
    return config.break_even and reached and best_bid > level + grid.tick_size


def clock_rule(config: ExitConfig, *, opened_ns: Nanos, closes_ns: Nanos, now_ns: Nanos) -> str:
    """The rule by which time is up, or the empty string."""
    if in_guard(config, closes_ns=closes_ns, now_ns=now_ns):
        return CLOSE_GUARD if config.close_action is CloseAction.EXIT else ""
    if config.time_stop and now_ns >= opened_ns + config.time_stop_s * NS_PER_S:
        return TIME_STOP
    return ""


def in_guard(config: ExitConfig, *, closes_ns: Nanos, now_ns: Nanos) -> bool:
    """True in the last seconds of the window."""
    return now_ns >= closes_ns - config.close_guard_s * NS_PER_S


def distrust(book: OrderBook, *, now_ns: Nanos, oldest_ns: Nanos) -> str:
    """Why a book must not fire a stop, or the empty string; `oldest_ns` is the greatest age that is believed."""
    if not book.in_sync:
        return "out of sync"
    if now_ns - book.updated_at_ns > oldest_ns:
        return "stale"
    if book.best_bid is None or book.best_ask is None:
        return "one-sided"
    return "crossed" if book.is_crossed else ""


def price_for(book: OrderBook, quantity: MicroShares, floor: MicroPrice) -> MicroPrice:
    """The lowest bid that a sale of `quantity` reaches now, never below `floor`: the step that a thin book takes."""
    left = quantity
    for price in sorted(book.bids, reverse=True):
        if price < floor:
            break
        left -= book.bids[price]
        if left <= 0:
            return price
    return floor
