"""What each client bought and earned per token, as the Data API tells it.

What lives here: held size, average price, entry cost and fees, realised profit, and redemptions, kept
from mined trades. What must not: balances that orders are checked against (`accounts`), HTTP.

Method (ours, after the field names of the Data API docs): average cost; `avg_price` and `entry_cost`
are fee-exclusive, a sale and a redemption realise proceeds less average cost, fees of sales lower the
realised profit. A failed trade that had been mined is taken out by the opposite change.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from polystra.exchange.model import CoreEvent, Redeemed, TradeEvent, TradeView
from polystra.exchange.state import State

_KIND: Final = "position"
_REDEMPTION: Final = "redemption"
_ONE: Final = 1_000_000


class Position(msgspec.Struct, kw_only=True):
    """One wallet's part in one token; micro-shares, micro-dollars, UTC nanoseconds."""

    address: str
    condition_id: str
    token_id: str
    size: int = 0
    bought: int = 0
    cost: int = 0
    spent: int = 0
    entry_fees: int = 0
    realized: int = 0
    first_entry_ns: int = 0
    last_event_ns: int = 0

    @property
    def average_price(self) -> int:
        """Micro-dollars per share over everything ever bought."""
        return self.spent * _ONE // self.bought if self.bought else 0


class Redemption(msgspec.Struct, frozen=True, kw_only=True):
    """Shares that turned into cash."""

    address: str
    condition_id: str
    token_id: str
    size: int
    cash: int
    at_ns: int


class Positions:
    """All positions of clients, by wallet and token."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._positions: dict[str, dict[str, Position]] = {}
        self._redemptions: dict[str, list[Redemption]] = {}
        self._numbers = 0
        self._counted: dict[str, None] = {
            trade.trade_id: None for trade in state.trades.values() if trade.settled and trade.status != "FAILED"
        }
        for _, body in state.records_of(_KIND):
            position = msgspec.json.decode(body, type=Position)
            self._positions.setdefault(position.address, {})[position.token_id] = position
        for name, body in state.records_of(_REDEMPTION):
            redemption = msgspec.json.decode(body, type=Redemption)
            self._redemptions.setdefault(redemption.address, []).append(redemption)
            self._numbers = max(self._numbers, int(name))

    def of(self, address: str) -> Iterator[Position]:
        """Yield a wallet's positions, oldest first."""
        yield from self._positions.get(address, {}).values()

    def of_condition(self, condition_id: str) -> Iterator[Position]:
        """Yield every client's positions in a market."""
        for positions in self._positions.values():
            for position in positions.values():
                if position.condition_id == condition_id:
                    yield position

    def redemptions(self, address: str) -> list[Redemption]:
        """Return a wallet's redemptions, oldest first."""
        return self._redemptions.get(address, [])

    def on_event(self, event: CoreEvent) -> None:
        """Keep up with what was mined, failed and redeemed."""
        match event:
            case TradeEvent(trade=trade) if trade.status == "MINED" and trade.trade_id not in self._counted:
                self._counted[trade.trade_id] = None
                self._book(trade, event.at_ns, sign=1)
            case TradeEvent(trade=trade) if trade.status == "FAILED" and trade.trade_id in self._counted:
                del self._counted[trade.trade_id]
                self._book(trade, event.at_ns, sign=-1)
            case TradeEvent(trade=trade) if trade.status == "CONFIRMED":
                self._counted.pop(trade.trade_id, None)
            case Redeemed() if not self._state.is_house(event.account):
                self._redeem(event)
            case _:
                pass

    def transferred(self, source: str, target: str, token_id: str, *, amount: int, at_ns: int) -> None:
        """Shares were moved on chain: they leave at their average cost and come without one; no profit is made."""
        condition_id = self._state.by_token[token_id].spec.condition_id
        for address, size in ((source, -amount), (target, amount)):
            if self._state.is_house(address):
                continue
            position = self._position(address, condition_id, token_id, at_ns)
            if size < 0:
                position.cost -= self._basis(position, amount)
            position.size += size
            self._keep(position)

    def _book(self, trade: TradeView, at_ns: int, *, sign: int) -> None:
        sides = [(trade.taker_account, trade.token_id, trade.side, trade.size, trade.cash, trade.fee)]
        sides += [(leg.account, leg.token_id, leg.side, leg.size, leg.cash, 0) for leg in trade.legs]
        for address, token_id, side, size, cash, fee in sides:
            if self._state.is_house(address):
                continue
            position = self._position(address, trade.condition_id, token_id, at_ns)
            if side == "BUY":
                position.size += sign * size
                position.bought += sign * size
                position.cost += sign * cash
                position.spent += sign * cash
                position.entry_fees += sign * fee
            else:
                basis = self._basis(position, sign * size)
                position.realized += sign * (cash - fee) - basis
                position.size -= sign * size
                position.cost -= basis
            self._keep(position)

    def _redeem(self, event: Redeemed) -> None:
        position = self._position(event.account, event.condition_id, event.token_id, event.at_ns)
        basis = self._basis(position, event.size)
        position.realized += event.cash - basis
        position.cost -= basis
        position.size -= event.size
        self._keep(position)
        redemption = Redemption(
            address=event.account,
            condition_id=event.condition_id,
            token_id=event.token_id,
            size=event.size,
            cash=event.cash,
            at_ns=event.at_ns,
        )
        self._redemptions.setdefault(event.account, []).append(redemption)
        self._numbers += 1
        self._state.put_record(_REDEMPTION, str(self._numbers), msgspec.json.encode(redemption))

    def _basis(self, position: Position, size: int) -> int:
        """Return the cost of shares that leave (or return, when negative) at the average."""
        if size >= position.size > 0:
            return position.cost
        return position.cost * size // position.size if position.size > 0 else position.average_price * size // _ONE

    def _position(self, address: str, condition_id: str, token_id: str, at_ns: int) -> Position:
        positions = self._positions.setdefault(address, {})
        position = positions.get(token_id)
        if position is None:
            position = positions[token_id] = Position(
                address=address, condition_id=condition_id, token_id=token_id, first_entry_ns=at_ns
            )
        position.last_event_ns = at_ns
        return position

    def _keep(self, position: Position) -> None:
        self._state.put_record(_KIND, f"{position.address}|{position.token_id}", msgspec.json.encode(position))
