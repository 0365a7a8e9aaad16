"""What happens to accounts beside trading: heartbeats, approvals, standing, notices, moved funds.

What lives here: the changing calls of the account side, each of which first brings the exchange up to
its instant and writes the books before it returns, as the core's own do. What must not: orders,
matching, HTTP.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from polystra.domain.errors import ConfigError
from polystra.exchange.account_rules import AccountRules
from polystra.exchange.accounts import Order
from polystra.exchange.auth import ApiKey
from polystra.exchange.balances import AssetType, Balances, Standing
from polystra.exchange.chain import Agenda
from polystra.exchange.heartbeats import Heartbeats
from polystra.exchange.notifications import TYPES, Notice, Notifications
from polystra.exchange.positions import Positions
from polystra.exchange.reversal import CASH
from polystra.exchange.settlement import CANCELED_NOT_ENOUGH_BALANCE, Settlement
from polystra.exchange.state import State


class AccountDesk:
    """The account side of one exchange; reach it as `core.desk`."""

    def __init__(
        self,
        state: State,
        agenda: Agenda,
        settlement: Settlement,
        balances: Balances,
        *,
        begin: Callable[[int], None],
        withdraw: Callable[[Order, int, str], None],
    ) -> None:
        self._state = state
        self._settlement = settlement
        self._begin = begin
        self._withdraw = withdraw
        self.balances = balances
        self.heartbeats = Heartbeats(state, agenda)
        self.notifications = Notifications(state)
        self.positions = Positions(state)

    @property
    def rules(self) -> AccountRules:
        """The account side's switches as they are now."""
        return self.balances.rules

    def set_rules(self, rules: AccountRules) -> None:
        """Change the account side's switches from now on."""
        self._settlement.rules = rules
        self.balances.rules = rules

    def create_readonly_key(self, address: str, now_ns: int) -> ApiKey:
        """Make another key of an address that may only read."""
        key = self._state.keys.create_readonly(address)
        self._state.new_keys.append(key)
        self._state.flush(now_ns)
        return key

    def beat(self, key: ApiKey, heartbeat_id: str | None, now_ns: int) -> tuple[bool, str]:
        """Take a heartbeat (None: the older form without id); returns validity and the next id."""
        self._begin(now_ns)
        if heartbeat_id is None:
            self.heartbeats.beat_without_id(key.key, now_ns)
            result = True, ""
        else:
            result = self.heartbeats.beat(key.key, heartbeat_id, now_ns)
        self._state.flush(now_ns)
        return result

    def look_after(self, key: str, at_ns: int) -> None:
        """Cancel all open orders of an API key whose heart has stopped."""
        if self.heartbeats.stopped(key, at_ns):
            for order in [order for order in self._state.orders.values() if order.owner == key]:
                self._withdraw(order, at_ns, "CANCELED")

    def approve(self, address: str, asset_type: AssetType, spender: str, amount: int, now_ns: int) -> None:
        """Set an allowance; open orders that it no longer covers are cancelled.

        Raises:
            ConfigError: no such account, spender or amount.
        """
        self._begin(now_ns)
        self.balances.approve(address, asset_type, spender, amount)
        for order in self.balances.unapproved(self._state.ledger.accounts[address]):
            self._withdraw(order, now_ns, CANCELED_NOT_ENOUGH_BALANCE)
        self._state.flush(now_ns)

    def set_standing(self, owner: str, standing: Standing | None, now_ns: int) -> None:
        """Ban an owner's accounts, put them into closed-only mode, or drop the record."""
        self._begin(now_ns)
        self.balances.set_standing(owner, standing)
        self._state.flush(now_ns)

    def move_funds(self, source: str, target: str, asset: str, amount: int, *, now_ns: int) -> None:
        """Transfer settled dollars (CASH) or shares on chain; orders left without backing are cancelled.

        Raises:
            ConfigError: no such account, or it does not hold that much.
        """
        self._begin(now_ns)
        accounts = self._state.ledger.accounts
        if source not in accounts or target not in accounts or source == target:
            raise ConfigError(f"accounts {source[:60]} and {target[:60]} must exist and differ; open them first")
        held = accounts[source].cash if asset == CASH else accounts[source].tokens.get(asset, 0)
        if not 0 < amount <= held:
            raise ConfigError(f"amount is {amount}, but {source} holds {held}; choose at least 1 and at most that")
        giver, taker = self._state.ledger.touch(source), self._state.ledger.touch(target)
        if asset == CASH:
            giver.pay_cash(amount)
            taker.cash += amount
        else:
            giver.give_tokens(asset, amount)
            taker.tokens[asset] = taker.tokens.get(asset, 0) + amount
            self.positions.transferred(source, target, asset, amount=amount, at_ns=now_ns)
        self.balances.arrived(target, asset, amount, now_ns)
        self._settlement.withdraw_unbacked(source, now_ns)
        self._state.flush(now_ns)

    def notify(self, kind: int, address: str, payload: dict[str, Any], now_ns: int) -> Notice:
        """Send a notice to a wallet, or to everyone with an empty address.

        Raises:
            ConfigError: an unknown type or account.
        """
        self._begin(now_ns)
        if kind not in TYPES or (address and address not in self._state.ledger.accounts):
            raise ConfigError(f"notification type {kind} for {address[:60]!r}: choose 1 to 11 and an open account")
        owner = self._state.ledger.accounts[address].owner if address else ""
        keys = self._state.keys.of_address(owner)
        notice = self.notifications.add(kind, address, keys[0].key if keys else "", payload, now_ns)
        self._state.flush(now_ns)
        return notice

    def dismiss(self, address: str, ids: list[int], now_ns: int) -> None:
        """Hide notices from a wallet for good."""
        self.notifications.dismiss(address, ids)
        self._state.flush(now_ns)
