"""`polystra balance`: the account's dollars and shares, where they are bound, and what the venue last said.

What lives here: the lines and their words. What must not: statements, requests to the venue (`doctor` asks it).
Money is decimal text.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import typer

from polystra.adapters.store.account_reading import AccountReading, read_account
from polystra.app.api_client import FROM_API, FROM_DATABASE, asked, say_source
from polystra.app.book_reading import database_url, own_books
from polystra.app.order_words import moment
from polystra.app.position_list import summed
from polystra.app.screen import grid, pairs, screen
from polystra.app.settings import Settings
from polystra.app.status import available_dollars, is_open, promised_dollars
from polystra.domain.orders import Side
from polystra.domain.units import MICRO, format_micros


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareLine:
    """Shares of one open position; `promised` are in live sells, `value` is at the mark, else at cost."""

    position_id: str
    shares: str
    settled: str
    promised: str
    mark: str | None
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """Dollars: `cash` of the ledger, of which `promised` to live buys; `claims` are winnings not redeemed.

    `equity` is cash, claims and the value of what is held. `venue_cash` is what the venue told at `venue_read_at`,
    when the ledger held `ledger_cash_then`; `difference` is the first less the second.
    """

    mode: str
    account: str
    cash: str
    promised: str
    available: str
    claims: str
    positions_value: str
    equity: str
    not_marked: int
    venue_cash: str | None
    ledger_cash_then: str | None
    difference: str | None
    venue_read_at: str
    shares: tuple[ShareLine, ...]


def show_balance(settings: Settings, *, as_json: bool) -> None:
    """Print the account's balance.

    Raises:
        StoreError: the database cannot be read.
    """
    balance = asked(settings, Balance, "/balance")
    source = FROM_API
    if balance is None:
        source = FROM_DATABASE
        balance = build_balance(read_account(database_url(settings)))
    if as_json:
        typer.echo(json.dumps(asdict(balance), indent=2))
        return
    print_balance(balance)
    say_source(source, as_json=as_json)


def build_balance(account: AccountReading) -> Balance:
    """Lay out what the account has."""
    ledger = own_books(account).ledger()
    sums = summed(account.positions, account.postings)
    lines = []
    value = unmarked = 0
    for line in account.positions:
        if not is_open(line):
            continue
        held = line.pending_shares + line.settled_shares
        price = line.average_price if line.mark is None else line.mark
        unmarked += line.mark is None
        worth = price * held // MICRO
        value += worth
        lines.append(
            ShareLine(
                position_id=line.position_id,
                shares=format_micros(sums[line.position_id].shares),
                settled=format_micros(line.settled_shares),
                promised=format_micros(_promised(account, line.position_id)),
                mark=None if line.mark is None else format_micros(line.mark),
                value=format_micros(worth),
            )
        )
    told = account.balances[-1] if account.balances else None
    return Balance(
        mode=account.mode,
        account=account.account,
        cash=format_micros(ledger.cash),
        promised=format_micros(promised_dollars(account)),
        available=available_dollars(account),
        claims=format_micros(ledger.claims),
        positions_value=format_micros(value),
        equity=format_micros(ledger.cash + ledger.claims + value),
        not_marked=unmarked,
        venue_cash=None if told is None else format_micros(told.cash),
        ledger_cash_then=None if told is None else format_micros(told.ledger_cash),
        difference=None if told is None else format_micros(told.cash - told.ledger_cash),
        venue_read_at="" if told is None else moment(told.at_ns),
        shares=tuple(lines),
    )


def print_balance(balance: Balance) -> None:
    """Write the balance for people."""
    value = balance.positions_value + (f" ({balance.not_marked} at cost, not marked)" if balance.not_marked else "")
    told = "not read yet"
    if balance.venue_cash is not None:
        told = (
            f"{balance.venue_cash} at {balance.venue_read_at} UTC, when the ledger held {balance.ledger_cash_then} "
            f"(difference {balance.difference})"
        )
    rows = [
        ("account", f"{balance.account} ({balance.mode})"),
        ("cash $", balance.cash),
        ("promised to live buys $", balance.promised),
        ("available $", balance.available),
        ("winnings not redeemed $", balance.claims),
        ("value of what is held $", value),
        ("equity $", balance.equity),
        ("the venue's word $", told),
    ]
    console = screen()
    console.print(pairs("Balance", rows))
    if balance.shares:
        figures = ("shares", "settled", "in live sells", "mark $", "value $")
        lines = [
            (line.position_id, line.shares, line.settled, line.promised, line.mark or "-", line.value)
            for line in balance.shares
        ]
        console.print(grid("Shares", words=("position",), figures=figures, rows=lines))


def _promised(account: AccountReading, position_id: str) -> int:
    return sum(
        order.remaining
        for order in account.orders
        if order.is_live and order.terms.side is Side.SELL and order.terms.position_id == position_id
    )
