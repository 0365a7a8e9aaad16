"""Taking a trade back: what each party returns, what was built on it, and the money arithmetic.

What lives here: the movements that undo a trade to the micro-unit, delivered or not, and the search
for later trades that cannot stand without it. What must not: time, events, statuses (`settlement`).

A trade that is undone before it was mined hurts nobody: what a party was to receive had never been
spendable. Once it was mined, its receipts may have been given away again; then the later trades in
which they were given are undone with it, newest first, as a chain that lost the first block has lost
theirs too. What is final (confirmed or redeemed) cannot be undone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from polystra.domain.errors import ConfigError
from polystra.exchange.accounts import Account, Ledger
from polystra.exchange.model import Side, TradeView

CASH = ""
"""The asset name of collateral beside token ids."""


@dataclass(frozen=True, slots=True)
class Undoing:
    """What undoing a trade adds to one account: settled and pending amounts of one asset."""

    address: str
    asset: str
    settled: int
    pending: int


def undoings(trade: TradeView) -> Iterator[Undoing]:
    """Yield what every party gets back and returns; the fee goes back to the taker."""
    paid = trade.cash + trade.fee if trade.side == "BUY" else trade.cash - trade.fee
    yield from _sides(trade.taker_account, trade.side, (CASH, paid), (trade.token_id, trade.size), trade.settled)
    for leg in trade.legs:
        yield from _sides(leg.account, leg.side, (CASH, leg.cash), (leg.token_id, leg.size), trade.settled)


def _sides(
    address: str, side: Side, cash: tuple[str, int], shares: tuple[str, int], settled: bool
) -> Iterator[Undoing]:
    gave, got = (cash, shares) if side == "BUY" else (shares, cash)
    yield Undoing(address, gave[0], gave[1], 0)
    yield Undoing(address, got[0], -got[1], 0) if settled else Undoing(address, got[0], 0, -got[1])


def minted(trade: TradeView) -> int:
    """Return the collateral that a trade put behind new pairs; negative for merged ones."""
    size = sum(leg.size for leg in trade.legs if leg.token_id != trade.token_id)
    return size if trade.side == "BUY" else -size


def undo(ledger: Ledger, trades: Sequence[TradeView]) -> None:
    """Apply the undoing of trades that were found to stand or fall together."""
    for trade in trades:
        for part in undoings(trade):
            _add(ledger.touch(part.address), part)
        ledger.collateral[trade.condition_id] -= minted(trade)
        ledger.fee_pot -= trade.fee
        ledger.accounts[trade.taker_account].fees_paid -= trade.fee


def _add(account: Account, part: Undoing) -> None:
    if part.asset == CASH:
        account.cash += part.settled
        account.pending_cash += part.pending
        return
    for amounts, change in ((account.tokens, part.settled), (account.pending_tokens, part.pending)):
        left = amounts.get(part.asset, 0) + change
        if left:
            amounts[part.asset] = left
        else:
            amounts.pop(part.asset, None)


def standing_or_falling(ledger: Ledger, trades: Sequence[TradeView], first: TradeView) -> list[TradeView]:
    """Return `first` and the later trades that were built on it, in the order of their finding.

    Args:
        ledger: balances as they are.
        trades: all trades that are not final, oldest first.
        first: the trade that is to be undone.

    Raises:
        ConfigError: what it delivered was used in a way that is final.
    """
    falling = {first.trade_id: first}
    while (missing := _first_missing(ledger, list(falling.values()))) is not None:
        address, asset = missing
        standing = (trade for trade in reversed(trades) if trade.trade_id not in falling)
        built_on = next((trade for trade in standing if _gave(trade, address, asset)), None)
        if built_on is None:
            what = "dollars" if asset == CASH else f"shares of {asset}"
            raise ConfigError(
                f"trade {first.trade_id} cannot fail any more: {address} has used its {what} for good; "
                "choose a trade that is not mined yet"
            )
        falling[built_on.trade_id] = built_on
    return list(falling.values())


def _gave(trade: TradeView, address: str, asset: str) -> bool:
    return any((part.address, part.asset) == (address, asset) and part.settled > 0 for part in undoings(trade))


def _first_missing(ledger: Ledger, falling: Sequence[TradeView]) -> tuple[str, str] | None:
    change: dict[tuple[str, str], int] = {}
    for trade in falling:
        for part in undoings(trade):
            key = (part.address, part.asset)
            change[key] = change.get(key, 0) + part.settled
    for (address, asset), amount in change.items():
        account = ledger.accounts[address]
        if asset == CASH:
            if not account.house and account.cash + amount < 0:
                return address, asset
        elif account.tokens.get(asset, 0) + amount < 0:
            return address, asset
    return None
