"""Results: balance, profit, days, trades, the path of the equity against the day's limit, and how good forecasts were.

What lives here: handlers and the types of their answers. What must not: another definition of a figure: they are those
of `polystra balance`, `profit`, `daily` and `trades`, to the micro-dollar.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Final, Literal

import msgspec

from polystra.adapters.store import pages
from polystra.adapters.store.account_reading import AccountReading
from polystra.app.balance import Balance, build_balance
from polystra.app.profit import DayLine, Profit, build_daily, build_profit
from polystra.app.redeemable import RedeemableLine, build_redeemable
from polystra.app.trade_list import TradeLine, ended_trades, trade_lines
from polystra.app.web.lists import number_of
from polystra.app.web.route import Ask, Page
from polystra.app.web.site import Site, iso, iso_words
from polystra.backtest.scoring import Forecast, brier, reliability
from polystra.domain.ledger import Posting
from polystra.domain.market import Outcome
from polystra.domain.positions import Position
from polystra.domain.units import MicroDollars, Nanos, format_micros, parse_micros
from polystra.engine.results import DAY_NS

_JUDGED: Final = 5_000


class ProfitQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to group."""

    by: Annotated[
        Literal["symbol", "window", "outcome", "entry", "exit", "hour"],
        msgspec.Meta(description="symbol, window, outcome, entry, exit or hour"),
    ] = "symbol"


class DailyQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far back."""

    days: Annotated[int, msgspec.Meta(ge=1, le=366, description="a number of days from 1 to 366")] = 14


class EquityQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far back, how fine."""

    days: Annotated[int, msgspec.Meta(ge=1, le=366, description="a number of UTC days from 1 to 366")] = 1
    points: Annotated[int, msgspec.Meta(ge=2, le=2_000, description="a number of points from 2 to 2000")] = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceAnswer(Balance):
    """As `polystra balance --json`, and the winnings that wait to be redeemed."""

    redeemable: tuple[RedeemableLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """UTC days, today first."""

    items: tuple[DayLine, ...]
    next_before: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trades:
    """Positions that have ended, the one that ended last first."""

    items: tuple[TradeLine, ...]
    next_before: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EquityPoint:
    """After a booking. `equity` is dollars put in and results realised until then, what is held at its cost."""

    at: str
    equity: str
    realised: str
    day_pnl: str
    """Realised since midnight UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EquityAnswer:
    """The path of the account. The last point is now, with what is open at its marks."""

    points: tuple[EquityPoint, ...]
    day_start: str
    day_start_equity: str
    """All dollars put in, today's too, and what was realised until midnight: what today's result is counted from."""
    loss_limit: str | None
    """Dollars that may be lost in a UTC day before entries stop; null: no limit."""
    loss_floor: str | None
    """The equity at which that is reached."""
    day_pnl: str
    unrealised: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationBin:
    """Forecasts of similar probability of Up: their mean, how often Up came, how many."""

    low: float
    high: float
    count: int
    forecast: float
    won: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationAnswer:
    """How good the forecasts behind entries were, beside the market's own price; lower scores are better."""

    forecasts: int
    brier_model: float | None
    brier_market: float | None
    bins: tuple[CalibrationBin, ...]
    market_bins: tuple[CalibrationBin, ...]


async def get_balance(site: Site, _ask: Ask) -> BalanceAnswer:
    """The account's dollars and shares."""

    def look(account: AccountReading) -> BalanceAnswer:
        balance = build_balance(account)
        told = {name: getattr(balance, name) for name in Balance.__dataclass_fields__}
        told["venue_read_at"] = iso_words(balance.venue_read_at)
        return BalanceAnswer(**told, redeemable=build_redeemable(account))

    return await site.study(look)


async def get_profit(site: Site, ask: Ask) -> Profit:
    """What was won and lost."""
    by = ask.query.by
    profit = await site.study(lambda account: build_profit(account, _now(site), by=by))
    return replace(
        profit,
        as_of=iso_words(profit.as_of),
        first_trade=iso_words(profit.first_trade),
        last_trade=iso_words(profit.last_trade),
    )


async def get_daily(site: Site, ask: Ask) -> Days:
    """The same by day."""
    days = ask.query.days
    return await site.study(lambda account: Days(items=build_daily(account, _now(site), days=days), next_before=None))


async def get_trades(site: Site, ask: Ask) -> Trades:
    """Positions that have ended; the cursor counts how many end later."""
    query: Page = ask.query
    skipped = number_of(query.before) or 0

    def look(account: AccountReading) -> Trades:
        trades = ended_trades(account)
        page = trades[skipped : skipped + query.limit]
        lines = tuple(
            replace(line, opened_at=iso(trade.opened_at_ns), closed_at=iso(trade.closed_at_ns))
            for line, trade in zip(trade_lines(page), page, strict=True)
        )
        more = skipped + len(page) < len(trades)
        return Trades(items=lines, next_before=str(skipped + len(page)) if more else None)

    return await site.study(look)


async def get_equity(site: Site, ask: Ask) -> EquityAnswer:
    """The path of the account against the day's loss limit."""
    query: EquityQuery = ask.query
    view = site.view()
    unrealised = sum(
        held.booked.unrealised_pnl(mark)
        for held in view.positions
        if (mark := held.recorded.mark if held.book is None or held.book.mid is None else held.book.mid) is not None
        and held.booked.shares
    )
    limit = parse_micros(site.settings.daily_loss_limit_dollars, field="DAILY_LOSS_LIMIT_DOLLARS")
    return await site.study(
        lambda account: equity_of(account.postings, view.at_ns, query, unrealised=unrealised, limit=limit)
    )


async def get_calibration(site: Site, _ask: Ask) -> CalibrationAnswer:
    """Forecasts of the newest entries whose market has a verdict."""
    rows = await site.read(lambda connection: pages.judged_entries(connection, limit=_JUDGED))
    return calibration_of(
        [
            Forecast(
                window=row.market,
                block=0,
                seconds_left=0,
                probabilities={"model": row.decision.p_up, "market": row.decision.market_prior_p_up},
                up=row.winner is Outcome.UP,
            )
            for row in rows
        ]
    )


def calibration_of(forecasts: Sequence[Forecast]) -> CalibrationAnswer:
    """Scores and bins of forecasts by `model` and `market`."""
    return CalibrationAnswer(
        forecasts=len(forecasts),
        brier_model=_brier(forecasts, "model"),
        brier_market=_brier(forecasts, "market"),
        bins=_bins(forecasts, "model"),
        market_bins=_bins(forecasts, "market"),
    )


def equity_of(
    postings: Sequence[Posting], now_ns: Nanos, query: EquityQuery, *, unrealised: MicroDollars, limit: MicroDollars
) -> EquityAnswer:
    """Add the postings up, in the order of their booking, and keep the points that are asked for."""
    midnight_ns = now_ns // DAY_NS * DAY_NS
    since_ns = midnight_ns - (query.days - 1) * DAY_NS
    positions: dict[str, Position] = {}
    steps: list[tuple[Nanos, MicroDollars, MicroDollars, MicroDollars]] = []
    put_in = realised = day_start = 0
    before: tuple[MicroDollars, MicroDollars] = (0, 0)
    day = 0
    for posting in postings:
        if posting.at_ns // DAY_NS > day:
            day, day_start = posting.at_ns // DAY_NS, realised
        gain, paid = _change(posting, positions)
        realised += gain
        put_in += paid
        if posting.at_ns >= since_ns:
            if gain or paid:
                steps.append((posting.at_ns, put_in + realised, realised, realised - day_start))
        else:
            before = (put_in + realised, realised)
    if midnight_ns // DAY_NS > day:
        day_start = realised
    start_equity = put_in + day_start
    today = realised - day_start
    now = (now_ns, put_in + realised + unrealised, realised, today + unrealised)
    first = [(since_ns, *before, 0)] if before[0] else []
    points = [*_thinned([*first, *steps], query.points - 1), now]
    return EquityAnswer(
        points=tuple(
            EquityPoint(at=iso(at), equity=format_micros(equity), realised=format_micros(r), day_pnl=format_micros(d))
            for at, equity, r, d in points
        ),
        day_start=iso(midnight_ns),
        day_start_equity=format_micros(start_equity),
        loss_limit=format_micros(limit) if limit else None,
        loss_floor=format_micros(start_equity - limit) if limit else None,
        day_pnl=format_micros(today + unrealised),
        unrealised=format_micros(unrealised),
    )


# --- inside ---------------------------------------------------------------------------


def _now(site: Site) -> Nanos:
    view = site.board.view
    return site.clock.now_ns() if view is None else view.at_ns


def _change(posting: Posting, positions: dict[str, Position]) -> tuple[MicroDollars, MicroDollars]:
    """What a posting adds to results, and what it adds to the dollars put in (deposits, adjustments)."""
    if posting.position_id is None or posting.condition_id is None or posting.token_id is None:
        return 0, posting.pending_cash + posting.settled_cash + posting.claim
    position = positions.get(posting.position_id)
    if position is None:
        position = positions[posting.position_id] = Position(
            position_id=posting.position_id,
            condition_id=posting.condition_id,
            token_id=posting.token_id,
            opened_at_ns=posting.at_ns,
        )
    before = position.realised_pnl
    position.add(posting)
    return position.realised_pnl - before, 0


def _thinned(
    steps: list[tuple[Nanos, MicroDollars, MicroDollars, MicroDollars]], most: int
) -> list[tuple[Nanos, MicroDollars, MicroDollars, MicroDollars]]:
    """At most so many points: the last of each stretch of time, and so the very last."""
    if len(steps) <= most:
        return steps
    begin, end = steps[0][0], steps[-1][0] + 1
    kept: dict[int, tuple[Nanos, MicroDollars, MicroDollars, MicroDollars]] = {}
    for step in steps:
        kept[(step[0] - begin) * most // (end - begin)] = step
    return list(kept.values())


def _brier(forecasts: Sequence[Forecast], name: str) -> float | None:
    if not forecasts:
        return None
    return round(sum(brier(each.probabilities[name], each.up) for each in forecasts) / len(forecasts), 6)


def _bins(forecasts: Sequence[Forecast], name: str) -> tuple[CalibrationBin, ...]:
    return tuple(
        CalibrationBin(
            low=found.low,
            high=found.high,
            count=found.count,
            forecast=round(found.mean, 6),
            won=round(found.share_up, 6),
        )
        for found in reliability(forecasts, name)
    )
