"""`polystra status`: how the last or running daemon stands, from its database.

What lives here: what is shown and its words. What must not: statements, the check against the
exchange (`report`). Money is decimal text; times are UTC of the run's clock.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Final

import typer

from polystra.adapters.store.account_reading import AccountReading, is_in_use, read_account
from polystra.app.book_reading import database_url, own_books
from polystra.app.limit_lines import LimitLine, limit_lines
from polystra.app.redeemable import runway
from polystra.app.screen import pairs, screen
from polystra.app.settings import Settings
from polystra.domain.facts import PositionRecorded, SwitchChanged
from polystra.domain.orders import Order, Side
from polystra.domain.positions import PositionStatus
from polystra.domain.units import NS_PER_S, MicroDollars, Nanos, format_micros, notional_ceil, parse_micros
from polystra.engine.results import Results

_DONE: Final = (PositionStatus.CLOSED, PositionStatus.RESOLVED)


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchLine:
    """Something that stops or limits entries; `until` is empty when only a person ends it."""

    name: str
    subject: str
    reason: str
    source: str
    since: str
    until: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """One look at the account; `entries_blocked` says why, empty when entries are made."""

    mode: str
    account: str
    schema: str
    running: bool
    entries_blocked: str
    venue_mode: str
    """What the venue takes, where that is not everything, and how it was told."""
    switches: tuple[SwitchLine, ...]
    markets_settled: int
    open_positions: int
    open_orders: int
    cash: str
    available: str
    claims: str
    runway: str
    realised_pnl_today: str
    realised_pnl: str
    limits: tuple[LimitLine, ...]
    last_reconcile: str
    last_entry: str


MODE_WORDS: Final = {"paper": "paper (live data, a simulated account: no money moves)"}


def show_status(settings: Settings, *, as_json: bool) -> None:
    """Print how the account stands.

    Raises:
        StoreError: the database cannot be read.
    """
    url = database_url(settings)
    entry = parse_micros(settings.trade_size_dollars, field="TRADE_SIZE_DOLLARS")
    status = build_status(read_account(url), settings, running=is_in_use(url), entry=entry)
    if as_json:
        typer.echo(json.dumps(asdict(status), indent=2))
        return
    screen().print(pairs("Polystra", _in_words(status).items()))


def build_status(account: AccountReading, settings: Settings, *, running: bool, entry: MicroDollars = 0) -> Status:
    """Read the status off an account. Today is the UTC day of the newest entry, on the run's clock.

    `entry` is the usual stake in micro-dollars, by which the runway is counted.
    """
    ledger = own_books(account).ledger()
    results = _results(account)
    last_reconcile = ""
    if (reconcile := account.last_reconcile) is not None:
        differences = "; ".join(reconcile.differences) or "no differences"
        last_reconcile = f"{_moment(reconcile.at_ns)} ({reconcile.trigger}): {differences}"
    return Status(
        mode=account.mode,
        account=account.account,
        schema=account.schema,
        running=running,
        entries_blocked=account.entries_blocked,
        venue_mode=account.venue_mode,
        switches=tuple(_switch(each) for each in account.switches if each.on),
        markets_settled=len(account.settlements),
        open_positions=sum(is_open(line) for line in account.positions),
        open_orders=sum(order.is_live for order in account.orders),
        cash=format_micros(ledger.cash),
        available=available_dollars(account),
        claims=format_micros(ledger.claims),
        runway=runway(ledger.claims, entry),
        realised_pnl_today=format_micros(results.today(account.last_entry_ns)),
        realised_pnl=format_micros(sum(line.realised_pnl for line in account.positions)),
        limits=limit_lines(account, results, settings),
        last_reconcile=last_reconcile,
        last_entry=_moment(account.last_entry_ns) if account.last_entry_ns else "",
    )


def available_dollars(account: AccountReading) -> str:
    """The ledger's cash less what live buys may still cost, before fees."""
    return format_micros(max(0, own_books(account).ledger().cash - promised_dollars(account)))


def promised_dollars(account: AccountReading) -> MicroDollars:
    """What live buys may still cost, before fees."""
    return sum(reserved_dollars(order) for order in account.orders)


def _results(account: AccountReading) -> Results:
    """The figures that the loss limits are judged on, without what is open."""
    results = Results()
    results.resume(account.switches)
    for posting in account.postings:
        results.book(posting)
    return results


def reserved_dollars(order: Order) -> MicroDollars:
    """Dollars that a live buy may still cost, before fees."""
    if not order.is_live or order.terms.side is not Side.BUY:
        return 0
    return order.terms.budget or notional_ceil(order.terms.price, order.remaining)


def _switch(switch: SwitchChanged) -> SwitchLine:
    return SwitchLine(
        name=switch.name,
        subject=switch.subject,
        reason=switch.reason,
        source=switch.source,
        since=_moment(switch.at_ns),
        until=_moment(switch.until_ns) if switch.until_ns else "",
    )


def is_open(line: PositionRecorded) -> bool:
    """True while shares are held in a market without a verdict."""
    return bool(line.pending_shares or line.settled_shares) and line.status not in _DONE


def _in_words(status: Status) -> dict[str, str]:
    return {
        "mode": MODE_WORDS.get(status.mode, status.mode),
        "account": status.account,
        "schema": status.schema,
        "daemon": "running" if status.running else "not running",
        "entries": f"blocked: {status.entries_blocked}" if status.entries_blocked else "allowed",
        "venue": status.venue_mode or "takes orders",
        "switches": "; ".join(_switch_words(line) for line in status.switches) or "none",
        "markets settled": str(status.markets_settled),
        "open positions": str(status.open_positions),
        "open orders": str(status.open_orders),
        "cash $": status.cash,
        "available $": status.available,
        "winnings not redeemed $": status.claims,
        "runway": status.runway or "no winnings wait to be redeemed",
        "realised PnL today $": status.realised_pnl_today,
        "realised PnL $": status.realised_pnl,
        "limits": "; ".join(_limit_words(line) for line in status.limits),
        "last reconcile": status.last_reconcile or "never",
        "last entry": status.last_entry or "none",
    }


def _limit_words(line: LimitLine) -> str:
    return f"{line.name} {line.used} of {line.limit}" if line.limit else f"{line.name} {line.used}, no limit"


def _switch_words(line: SwitchLine) -> str:
    subject = f" {line.subject}" if line.subject else ""
    until = f"until {line.until}" if line.until else "until polystra start"
    return f"{line.name}{subject}: {line.reason} (since {line.since}, {until})"


def _moment(at_ns: Nanos) -> str:
    return datetime.fromtimestamp(at_ns // NS_PER_S, UTC).isoformat(sep=" ").replace("+00:00", " UTC")
