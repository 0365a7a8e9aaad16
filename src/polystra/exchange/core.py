"""The built-in exchange without its sockets: markets, matching, settlement, redemption.

What lives here: the one path by which anything changes on the exchange, and the events that say so.
What must not: HTTP, signatures (`auth`, `typed_data`), payload shapes (`payloads`), clocks, chance:
instants come as arguments (UTC nanoseconds) and must not go backwards, ids from the seed.

Single-threaded and deterministic. Every public method that changes something first carries out what
fell due before its instant, and writes what changed to the books before it returns.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence

from polystra.domain.errors import ConfigError
from polystra.exchange.account_desk import AccountDesk
from polystra.exchange.accounts import Account, Order
from polystra.exchange.auth import ApiKey
from polystra.exchange.balances import Balances
from polystra.exchange.books import BookStore
from polystra.exchange.chain import (
    Agenda,
    CheckHeartbeat,
    ConfirmTrade,
    ExpireOrder,
    FailTrade,
    MineTrade,
    RedeemShares,
    RetryTrade,
    Step,
)
from polystra.exchange.listeners import Listener, Listeners
from polystra.exchange.matcher import Matcher
from polystra.exchange.model import (
    NS_PER_S,
    BookTraded,
    CancelReport,
    CoreConfig,
    CoreEvent,
    LevelChange,
    LevelsChanged,
    MakerLeg,
    MarketListed,
    MarketResolved,
    MarketSpec,
    OrderEvent,
    OrderView,
    Placement,
    PlaceRequest,
    Redeemed,
    Refusal,
    Side,
    TickSizeChanged,
    TradeEvent,
    TradeView,
    TradingStopped,
)
from polystra.exchange.reversal import CASH
from polystra.exchange.settlement import Settlement
from polystra.exchange.state import Market, State
from polystra.exchange.ticks import refined_tick
from polystra.exchange.trading_side import TradingSide
from polystra.exchange.validation import duplicated
from polystra.exchange.view import ExchangeView
from polystra.matching.book import ONE, up_price

__all__ = [
    "Account",
    "BookTraded",
    "CancelReport",
    "CoreConfig",
    "CoreEvent",
    "ExchangeCore",
    "LevelChange",
    "LevelsChanged",
    "MakerLeg",
    "Market",
    "MarketListed",
    "MarketResolved",
    "MarketSpec",
    "OrderEvent",
    "OrderView",
    "PlaceRequest",
    "Placement",
    "Redeemed",
    "Refusal",
    "TickSizeChanged",
    "TradeEvent",
    "TradeView",
    "TradingStopped",
]

CANCELED_EXPIRED = "CANCELED_EXPIRED_ORDER"
CANCELED_RESOLVED = "CANCELED_MARKET_RESOLVED"
NOT_FOUND = "Order not found or already canceled"
ALREADY_DONE = "already canceled or matched"


class ExchangeCore(TradingSide, ExchangeView):
    """The exchange; see the module docstring for its discipline."""

    def __init__(self, *, rng: random.Random, config: CoreConfig | None = None, store: BookStore | None = None) -> None:
        """Start a new exchange, or resume the one whose books `store` holds.

        Args:
            rng: gives a new exchange its identity (ids, API secrets); unused when resuming.
            config: delays and rules.
            store: where the books are written; None keeps them in memory.
        """
        self.config = config or CoreConfig()
        self._state = State(store or BookStore(None), rng, trades_kept=self.config.closed_trades_kept)
        self._agenda = Agenda()
        self._listeners = Listeners()
        self._open_trading_side(self.config.venue)
        balances = Balances(self._state, self.config.rules)
        self._settlement = Settlement(
            self._state, self._agenda, self.config, self._emit, withdraw=self._withdraw, balances=balances
        )
        self._matcher = Matcher(
            self._state,
            self._agenda,
            self.config,
            self._emit,
            listeners=self._listeners,
            settlement=self._settlement,
            balances=balances,
        )
        self.desk = AccountDesk(
            self._state, self._agenda, self._settlement, balances, begin=self._begin, withdraw=self._withdraw
        )
        news = (OrderEvent, TradeEvent, MarketListed, MarketResolved, Redeemed)
        self.add_listener(self.desk.notifications.on_event, *news)
        self.add_listener(self.desk.positions.on_event, TradeEvent, Redeemed)
        self._now_ns = self._state.resumed_ns or 0
        if self._state.resumed_ns is not None:
            self._resume_agenda(self._state.resumed_ns)

    # -- listening -------------------------------------------------------------------------------

    def add_listener(self, callback: Listener, *kinds: type[CoreEvent]) -> None:
        """Call `callback` with every event, in order; it must not call back into the core.

        With `kinds` only events of those are heard, and of the orders only those of clients (see `listeners`).
        """
        self._listeners.add(callback, kinds)

    def remove_listener(self, callback: Listener) -> None:
        """Stop calling `callback`."""
        self._listeners.remove(callback)

    # -- accounts --------------------------------------------------------------------------------

    def open_house_account(self, name: str) -> str:
        """Open (or find) an account of the exchange's own traders; returns its address.

        It has `config.house_cash`, may owe more, and sells only shares that it holds.
        """
        address = "0x" + hashlib.sha256(f"house account {name}".encode()).hexdigest()[:40]
        self._open_account(Account(address=address, owner=address, house=True, cash=self.config.house_cash))
        self._state.flush(self._now_ns)
        return address

    def register_wallet(self, owner: str, wallet: str, signature_type: int) -> None:
        """Let `owner`'s key trade from a contract wallet (types 1 to 3); funded when new.

        Raises:
            ConfigError: the type is not 1, 2 or 3, or the wallet is another owner's.
        """
        if signature_type not in {1, 2, 3}:
            raise ConfigError(f"signature type is {signature_type}; a contract wallet has 1, 2 or 3")
        owner, wallet = owner.lower(), wallet.lower()
        known = self._state.ledger.accounts.get(wallet)
        if known is not None and (known.owner, known.signature_type) != (owner, signature_type):
            raise ConfigError(f"wallet {wallet} is already {known.owner}'s with type {known.signature_type}")
        self._open_account(
            Account(address=wallet, owner=owner, signature_type=signature_type, cash=self.config.initial_cash)
        )
        self._state.flush(self._now_ns)

    def create_key(self, address: str, nonce: int) -> ApiKey | None:
        """Make an API key and fund the address's account if it is new; None when the key exists."""
        key = self._state.keys.create(address, nonce)
        if key is not None:
            self._open_account(Account(address=address, owner=address, cash=self.config.initial_cash))
            self._state.new_keys.append(key)
            self._state.flush(self._now_ns)
        return key

    def delete_key(self, key: ApiKey) -> None:
        """Forget an API key; its orders stay."""
        self._state.new_keys.append(self._state.keys.delete(key))
        self._state.flush(self._now_ns)

    def _open_account(self, account: Account) -> None:
        if account.address not in self._state.ledger.accounts:
            self._state.ledger.accounts[account.address] = account
            self._state.ledger.dirty[account.address] = None

    # -- markets ---------------------------------------------------------------------------------

    def list_market(self, spec: MarketSpec, now_ns: int) -> None:
        """Open a market for orders; listing the same one again changes nothing.

        Raises:
            ConfigError: a token or condition id is another market's.
        """
        self._begin(now_ns)
        known = self._state.markets.get(spec.condition_id)
        if known is not None and known.spec == spec:
            return
        if known is not None or {spec.up_token, spec.down_token} & self._state.by_token.keys():
            raise ConfigError(f"market {spec.slug} uses ids of another market; list it with ids of its own")
        self._state.add_market(Market(spec=spec, tick_size=spec.tick_size))
        self._emit(MarketListed(spec=spec, at_ns=now_ns))
        self._state.flush(now_ns)

    def set_tick_size(self, condition_id: str, tick_size: int, now_ns: int) -> None:
        """Refine a market's price grid; resting orders stay valid.

        Raises:
            ConfigError: the new tick does not divide the old one.
        """
        self._begin(now_ns)
        market = self._state.markets[condition_id]
        old = market.tick_size
        if old % tick_size:
            raise ConfigError(
                f"tick size {tick_size} of {market.spec.slug} does not refine {old}; ticks only get finer"
            )
        if tick_size == old:
            return
        market.tick_size = tick_size
        self._state.dirty_markets[condition_id] = None
        self._emit(TickSizeChanged(condition_id=condition_id, old_tick_size=old, new_tick_size=tick_size, at_ns=now_ns))
        self._state.flush(now_ns)

    def stop_trading(self, condition_id: str, now_ns: int) -> None:
        """End a market's window: no new orders; open ones stay until it is resolved."""
        self._begin(now_ns)
        market = self._state.markets[condition_id]
        if not market.accepting_orders:
            return
        market.accepting_orders = False
        self._state.dirty_markets[condition_id] = None
        self._emit(TradingStopped(condition_id=condition_id, at_ns=now_ns))
        self._state.flush(now_ns)

    def resolve(self, condition_id: str, up_payout_micros: int, now_ns: int) -> None:
        """Pay out a market: 1_000_000 for Up, 0 for Down, 500_000 for both halves; once only.

        Open orders are cancelled; paying shares turn into cash `config.redeem_after_ms` later.

        Raises:
            ConfigError: another payout.
        """
        if up_payout_micros not in {0, ONE // 2, ONE}:
            raise ConfigError(f"up payout is {up_payout_micros}, expected 0, 500000 or 1000000")
        self._begin(now_ns)
        market = self._state.markets[condition_id]
        if market.closed:
            return
        for order in [order for order in self._state.orders.values() if order.condition_id == condition_id]:
            self._matcher.withdraw(market, order, CANCELED_RESOLVED, now_ns)
        self._matcher.publish_levels(market, now_ns, traded=False)
        market.accepting_orders = False
        market.up_payout = up_payout_micros
        market.resolved_ns = now_ns
        self._state.dirty_markets[condition_id] = None
        self._emit(
            MarketResolved(
                condition_id=condition_id, up_payout_micros=up_payout_micros, winner=market.winner, at_ns=now_ns
            )
        )
        for address in self._state.ledger.accounts:
            self._settlement.schedule_redemption(address, market, now_ns)
        self._state.flush(now_ns)

    # -- orders ----------------------------------------------------------------------------------

    def place(self, account_id: str, request: PlaceRequest, now_ns: int) -> Placement:
        """Take, match or refuse an order whose proof of identity was checked before.

        Raises:
            ConfigError: there is no such account.
        """
        self._begin(now_ns)
        account = self._state.ledger.accounts.get(account_id)
        if account is None:
            raise ConfigError(f"account {account_id} does not exist; open it first")
        placement = self._gate(account, request, now_ns) or self._matcher.place(account, request, now_ns)
        self._refine_tick(request.token_id, now_ns)
        self._state.flush(now_ns)
        return placement

    def place_all(self, account_id: str, requests: Sequence[PlaceRequest], now_ns: int) -> list[Placement]:
        """Place several orders of one account one after the other, and announce what they changed as one event.

        Raises:
            ConfigError: there is no such account.
        """
        self._begin(now_ns)
        account = self._state.ledger.accounts.get(account_id)
        if account is None:
            raise ConfigError(f"account {account_id} does not exist; open it first")
        self._matcher.hold_levels()
        try:
            placements = [
                self._gate(account, request, now_ns) or self._matcher.place(account, request, now_ns)
                for request in requests
            ]
        finally:
            self._matcher.release_levels(now_ns)
        for token_id in dict.fromkeys(request.token_id for request in requests):
            self._refine_tick(token_id, now_ns)
        self._state.flush(now_ns)
        return placements

    def _refine_tick(self, token_id: str, now_ns: int) -> None:
        market = self._state.by_token.get(token_id)
        finer = refined_tick(market) if market is not None and self.config.venue.refine_ticks else None
        if market is not None and finer is not None:
            self.set_tick_size(market.spec.condition_id, finer, now_ns)

    def would_match(self, request: PlaceRequest) -> bool:
        """Tell whether an order would meet another one now (such orders are held in some markets)."""
        market = self._state.by_token.get(request.token_id)
        return market is not None and bool(self._matcher.plan(market, request).legs)

    def check(self, account_id: str, request: PlaceRequest, now_ns: int) -> Refusal | None:
        """Return the refusal that `place` would give before it looks at the book, if any."""
        if request.order_id is not None and request.order_id in self._state.known:
            return duplicated(request.order_id)
        account = self._state.ledger.accounts.get(account_id)
        if account is None:
            return None
        return self._matcher.check(account, request, request.order_id or "", now_ns)

    def cancel(self, account_id: str, order_ids: Sequence[str], now_ns: int) -> CancelReport:
        """Cancel orders of the account or of its owner's other wallets; repeated ids count once.

        What that changed in a market's book is announced as one event.
        """
        self._begin(now_ns)
        owner = self._state.ledger.accounts[account_id].owner
        canceled: list[str] = []
        not_canceled: dict[str, str] = {}
        self._matcher.hold_levels()
        try:
            for order_id in dict.fromkeys(order_ids):
                order = self._state.orders.get(order_id)
                if order is None or self._state.ledger.accounts[order.account].owner != owner:
                    not_canceled[order_id] = ALREADY_DONE if order_id in self._state.known else NOT_FOUND
                    continue
                self._withdraw(order, now_ns)
                canceled.append(order_id)
        finally:
            self._matcher.release_levels(now_ns)
        self._state.flush(now_ns)
        return CancelReport(tuple(canceled), not_canceled)

    def cancel_all(self, account_id: str, condition_id: str | None, token_id: str | None, now_ns: int) -> CancelReport:
        """Cancel the open orders of the account's owner, all or those of a market or token."""
        owner = self._state.ledger.accounts[account_id].owner
        chosen = [
            order.order_id
            for account in self.accounts_of(owner)
            for order in account.orders.values()
            if condition_id in {None, order.condition_id} and token_id in {None, order.token_id}
        ]
        return self.cancel(account_id, chosen, now_ns)

    def _withdraw(self, order: Order, now_ns: int, status: str = "CANCELED") -> None:
        market = self._state.markets[order.condition_id]
        self._matcher.withdraw(market, order, status, now_ns)
        self._matcher.publish_levels(market, now_ns, traded=False)

    # -- settlement ------------------------------------------------------------------------------

    def fail_trade(self, trade_id: str, now_ns: int | None = None) -> tuple[str, ...]:
        """Void a trade and whatever was built on it; returns the ids of all that failed.

        Raises:
            ConfigError: no such trade, it is final, or what it delivered was used for good.
        """
        now_ns = self._now_ns if now_ns is None else now_ns
        self._begin(now_ns)
        failed = self._settlement.fail(trade_id, now_ns)
        self._state.flush(now_ns)
        return failed

    def retry_trade(self, trade_id: str, now_ns: int | None = None) -> None:
        """Lose a trade's transaction; another one with another hash is mined a little later.

        Raises:
            ConfigError: no such trade, or it is final.
        """
        now_ns = self._now_ns if now_ns is None else now_ns
        self._begin(now_ns)
        self._settlement.retry(trade_id, now_ns)
        self._state.flush(now_ns)

    def delay_trade(self, trade_id: str, delay_ms: int, now_ns: int | None = None) -> None:
        """Let a trade be mined `delay_ms` from now.

        Raises:
            ConfigError: no such trade, it is mined already, or the delay is negative.
        """
        now_ns = self._now_ns if now_ns is None else now_ns
        self._begin(now_ns)
        self._settlement.delay(trade_id, delay_ms, now_ns)
        self._state.flush(now_ns)

    # -- time ------------------------------------------------------------------------------------

    def next_due_ns(self) -> int | None:
        """Return the instant of the next step of the chain, None when there is nothing to come."""
        return self._agenda.next_due_ns

    def advance(self, now_ns: int) -> None:
        """Carry out everything that falls due up to now: settlement, expiry, redemption."""
        self._begin(now_ns)
        self._state.flush(now_ns)

    def close(self) -> None:
        """Close the books."""
        self._state.close()

    def _begin(self, now_ns: int) -> None:
        while (due := self._agenda.pop_due(now_ns)) is not None:
            self._step(due[1], due[0])
        self._now_ns = max(self._now_ns, now_ns)

    def _step(self, step: Step, at_ns: int) -> None:
        match step:
            case MineTrade() | ConfirmTrade() | RetryTrade() | FailTrade():
                self._settlement.step(step, at_ns)
            case CheckHeartbeat(key):
                self.desk.look_after(key, at_ns)
            case ExpireOrder(order_id):
                order = self._state.orders.get(order_id)
                if order is not None:
                    self._withdraw(order, at_ns, CANCELED_EXPIRED)
            case RedeemShares(address, condition_id):
                self._redeem(address, self._state.markets[condition_id], at_ns)
            case _:
                self._trading_step(step, at_ns)

    def _redeem(self, address: str, market: Market, at_ns: int) -> None:
        assert market.up_payout is not None
        condition_id = market.spec.condition_id
        for token_id, size, cash in self._state.ledger.redeem(market.spec, address, market.up_payout):
            self._state.dirty_markets[condition_id] = None
            self.desk.balances.arrived(address, CASH, cash, at_ns)
            self._emit(
                Redeemed(
                    account=address, condition_id=condition_id, token_id=token_id, size=size, cash=cash, at_ns=at_ns
                )
            )

    def _resume_agenda(self, now_ns: int) -> None:
        """Enter again what a stopped exchange had still to do."""
        self._settlement.resume(now_ns)
        self.desk.heartbeats.resume(now_ns)
        for order in self._state.orders.values():
            if order.order_type == "GTD":
                due_ns = (order.expiration_s - self.config.gtd_removed_early_s) * NS_PER_S
                self._agenda.add(due_ns, ExpireOrder(order.order_id))
        for market in self._state.markets.values():
            if market.closed:
                for address in self._state.ledger.accounts:
                    self._settlement.schedule_redemption(address, market, now_ns)

    def _emit(self, event: CoreEvent) -> None:
        if self._event_holds:
            self._held_events.append(event)
            return
        for listener in self._listeners.of(type(event)):
            listener(event)


def level_for(change: LevelChange, outcome: int) -> tuple[Side, int, int]:
    """Render a level change in one token's own terms as (side, price, new aggregate)."""
    side: Side = change.side if outcome == 0 else ("SELL" if change.side == "BUY" else "BUY")
    return side, up_price(outcome, change.price), change.size
