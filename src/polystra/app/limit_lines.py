"""The limits beside what is used of them, from the database and the settings, for `polystra status`.

What lives here: which limits are shown and their figures. What must not: the judgement (the engine
makes it, with marks of open positions that are not in the database), printing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from polystra.adapters.store.account_reading import AccountReading
from polystra.app.engine_settings import risk_config
from polystra.app.settings import Settings
from polystra.domain.facts import PositionRecorded
from polystra.domain.orders import Order, Purpose
from polystra.domain.units import MICRO, MicroDollars, format_micros, notional_ceil
from polystra.engine.results import Results


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitLine:
    """One limit; money in dollars. `limit` is empty when there is none."""

    name: str
    used: str
    limit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The results that limits are judged on, micro-dollars."""

    today: MicroDollars
    below_peak: MicroDollars
    losses_in_row: int


def limit_lines(account: AccountReading, results: Results, settings: Settings) -> tuple[LimitLine, ...]:
    """The limits of entries; losses without what is open."""
    figures = Figures(
        today=results.today(account.last_entry_ns),
        below_peak=results.peak - results.realised,
        losses_in_row=results.losses_in_row(),
    )
    symbols = {market.condition_id: market.symbol for market in account.markets}
    return limits(account.positions, account.orders, symbols, figures, settings)


def limits(
    positions: Iterable[PositionRecorded],
    orders: Iterable[Order],
    symbols: Mapping[str, str],
    figures: Figures,
    settings: Settings,
) -> tuple[LimitLine, ...]:
    """The same from what holds shares and what may trade; `symbols` names the coin of each market."""
    held = [line for line in positions if line.pending_shares or line.settled_shares]
    risk = risk_config(settings)
    market, symbol, total = _at_risk(held, orders, symbols)
    return (
        _money("at risk", total, risk.max_exposure),
        _money("at risk in one market", market, risk.max_exposure_per_market),
        _money("at risk in one coin", symbol, risk.max_exposure_per_symbol),
        LimitLine(name="positions", used=str(len(held)), limit=str(risk.max_open_positions)),
        _money("lost today", max(0, -figures.today), risk.daily_loss_limit),
        _money("below the peak", max(0, figures.below_peak), risk.max_drawdown),
        LimitLine(
            name="losses in a row",
            used=str(figures.losses_in_row),
            limit=str(risk.max_consecutive_losses or ""),
        ),
    )


def _money(name: str, used: MicroDollars, limit: MicroDollars) -> LimitLine:
    return LimitLine(name=name, used=format_micros(used), limit=format_micros(limit) if limit else "")


def _at_risk(
    positions: Iterable[PositionRecorded], orders: Iterable[Order], symbol_of: Mapping[str, str]
) -> tuple[MicroDollars, MicroDollars, MicroDollars]:
    """What is held at its average price and live entries: the most in a market, the most in a coin, all."""
    markets: dict[str, MicroDollars] = defaultdict(int)
    for line in positions:
        markets[line.condition_id] += (line.pending_shares + line.settled_shares) * line.average_price // MICRO
    for order in orders:
        markets[order.terms.condition_id] += _may_cost(order)
    symbols: dict[str, MicroDollars] = defaultdict(int)
    for condition_id, dollars in markets.items():
        symbols[symbol_of.get(condition_id, condition_id)] += dollars
    return max(markets.values(), default=0), max(symbols.values(), default=0), sum(markets.values())


def _may_cost(order: Order) -> MicroDollars:
    if not order.is_live or order.terms.purpose is not Purpose.ENTRY:
        return 0
    return order.terms.budget or notional_ceil(order.terms.price, order.remaining)
