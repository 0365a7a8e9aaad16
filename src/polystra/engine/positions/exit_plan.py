"""The plan of a position's take-profit: at which prices which part of the shares is to be sold.

What lives here: pure arithmetic from the settings, the price paid and the shares. What must not:
orders, books, time. Targets are rounded up to the grid, so that a sale never takes less; one above
the highest price means that its part is held to resolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from polystra.domain.market import SIZE_STEP, Market
from polystra.domain.units import MICRO, MicroPrice, MicroShares, ceil_to, floor_to
from polystra.engine.config import ExitConfig, TakeProfitKind


@dataclass(frozen=True, slots=True)
class Target:
    """A part of the take-profit: its price and the shares of it that are not sold yet."""

    price: MicroPrice
    quantity: MicroShares


def parts(config: ExitConfig, average: MicroPrice) -> tuple[tuple[int, MicroPrice], ...]:
    """(share in millionths, unrounded price) of every part, the lowest price first; empty when the rule is off."""
    if not config.take_profit or average <= 0:
        return ()
    if config.ladder:
        steps = sorted(config.ladder, key=lambda step: step[1])
        return tuple((share, average + average * gain // MICRO) for share, gain in steps)
    if config.take_profit_kind is TakeProfitKind.PRICE:
        return ((MICRO, config.take_profit_price),)
    if config.take_profit_kind is TakeProfitKind.RISK:
        risk = average * config.stop_loss_ppm // MICRO
        return ((MICRO, average + risk * config.take_profit_risk_ppm // MICRO),)
    return ((MICRO, average + average * config.take_profit_ppm // MICRO),)


def targets(
    config: ExitConfig, grid: Market, *, average: MicroPrice, total: MicroShares, sold: MicroShares
) -> tuple[Target, ...]:
    """The parts on the market's grid, the lowest first; what is sold already is taken from the lowest.

    Args:
        config: the exit rules.
        grid: the market's tick.
        average: micro-dollars paid per share.
        total: shares held and sold.
        sold: shares sold so far.
    """
    found: dict[MicroPrice, MicroShares] = {}
    share_before = 0
    for share, wanted in parts(config, average):
        start, share_before = share_before, share_before + share
        low = floor_to(total * start // MICRO, SIZE_STEP)
        high = total if share_before >= MICRO else floor_to(total * share_before // MICRO, SIZE_STEP)
        price = ceil_to(wanted, grid.tick_size)
        if price <= grid.highest_price:
            found[price] = found.get(price, 0) + max(0, high - max(sold, low))
    return tuple(Target(price, quantity) for price, quantity in found.items())


def belongs_to(price: MicroPrice, tick_size: MicroPrice, plan: Sequence[Target]) -> Target | None:
    """The target that an order at `price` on a grid of `tick_size` stands for, None when the plan has none there.

    A target that moved by less than the order's own tick leaves the order where it is.
    """
    near = [target for target in plan if abs(target.price - price) < tick_size]
    return min(near, key=lambda target: abs(target.price - price), default=None)
