"""What can be asked of the built-in exchange without changing it.

What lives here: the reading half of `core`: books in either token's terms, accounts, open orders,
trades, snapshots. What must not: anything that moves money or time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from polystra.exchange.accounts import Account
from polystra.exchange.auth import KeyRing
from polystra.exchange.books import ExchangeBooks
from polystra.exchange.model import OrderView, TradeView
from polystra.exchange.state import Market, State
from polystra.matching.book import ONE


class ExchangeView:
    """The readable side of an exchange; what it returns is for reading only."""

    _state: State
    _now_ns: int

    @property
    def now_ns(self) -> int:
        """Latest instant that the exchange was told."""
        return self._now_ns

    @property
    def resumed_ns(self) -> int | None:
        """Instant of the last write of the books that this exchange resumed from, else None."""
        return self._state.resumed_ns

    @property
    def keys(self) -> KeyRing:
        """The API keys."""
        return self._state.keys

    @property
    def markets(self) -> Mapping[str, Market]:
        """Markets by condition id, in the order of listing."""
        return self._state.markets

    def market(self, condition_id: str) -> Market:
        """Return a listed market.

        Raises:
            KeyError: no market with this condition id was listed.
        """
        return self._state.markets[condition_id]

    def market_of_token(self, token_id: str) -> Market | None:
        """Return the market that one of its tokens names."""
        return self._state.by_token.get(token_id)

    def best(self, token_id: str) -> tuple[int | None, int | None]:
        """Return (best bid, best ask) of a token in its own terms; (None, None) for an unknown one."""
        market = self._state.by_token.get(token_id)
        if market is None:
            return None, None
        bid, ask = market.book.best_bid, market.book.best_ask
        if market.outcome_of(token_id) == 0:
            return bid, ask
        return (None if ask is None else ONE - ask), (None if bid is None else ONE - bid)

    def depth(self, token_id: str) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Return (bids ascending, asks descending) as (price, size), best last as on the wire."""
        market = self._state.by_token.get(token_id)
        if market is None:
            return [], []
        bids, asks = list(market.book.levels(bids=True)), list(market.book.levels(bids=False))
        if market.outcome_of(token_id) == 0:
            return bids, asks[::-1]
        return [(ONE - price, size) for price, size in reversed(asks)], [(ONE - price, size) for price, size in bids]

    def account(self, address: str) -> Account | None:
        """Return an account by its address; for reading only."""
        return self._state.ledger.accounts.get(address)

    def accounts_of(self, owner: str) -> list[Account]:
        """Return the accounts whose key's address is `owner`: its own and its wallets."""
        return [account for account in self._state.ledger.accounts.values() if account.owner == owner]

    def client_addresses(self) -> list[str]:
        """Return all accounts but the house's."""
        return [account.address for account in self._state.ledger.accounts.values() if not account.house]

    def wallet_of(self, owner: str, signature_type: int) -> Account | None:
        """Return the account that `owner` trades from with a signature type."""
        for account in self.accounts_of(owner):
            if account.signature_type == signature_type:
                return account
        return None

    def order(self, order_id: str) -> OrderView | None:
        """Return an open order."""
        order = self._state.orders.get(order_id)
        return None if order is None else order.view()

    def open_orders(self, addresses: Sequence[str]) -> Iterator[OrderView]:
        """Yield the open orders of accounts, oldest first per account."""
        for address in addresses:
            account = self._state.ledger.accounts.get(address)
            for order in account.orders.values() if account else ():
                yield order.view()

    def trades(self, addresses: Sequence[str]) -> Iterator[TradeView]:
        """Yield the trades in which one of the accounts took part, newest first."""
        wanted = set(addresses)
        for trade in reversed(self._state.trades.values()):
            if trade.taker_account in wanted or any(leg.account in wanted for leg in trade.legs):
                yield trade

    def trade(self, trade_id: str) -> TradeView | None:
        """Return a trade by its id."""
        return self._state.trades.get(trade_id)

    def is_known(self, order_id: str) -> bool:
        """Tell whether an order with this id was ever taken or killed."""
        return order_id in self._state.known

    def books(self) -> ExchangeBooks:
        """Return a snapshot of every account, as `read_books` returns it from the file."""
        return self._state.books(self._now_ns)

    def total_money(self) -> int:
        """Return all micro-dollars in accounts, collateral and fee pot: grows by funding only."""
        return self._state.ledger.total()

    def outstanding(self, token_id: str) -> int:
        """Return how many micro-shares of a token exist, on their way ones included."""
        return self._state.ledger.outstanding(token_id)
