"""Who owns what on the built-in exchange: accounts, open orders, and the money rules between them.

What lives here: balances (settled and on their way), the dollars behind minted pairs, the venue's
fee pot, and the only functions that move any of them. What must not: matching, order validation,
time, events.

What an account gives leaves it when the match is made; what it receives arrives when the trade is
mined, and only then can it be spent (Polymarket CLOB docs: balances lag behind matches). Nothing
is ever created: `Ledger.total` is constant through every match, mint, merge and redemption.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from polystra.domain.errors import InvariantViolation
from polystra.exchange.model import MarketSpec, OrderStatus, OrderType, OrderView, Side, TradeView
from polystra.matching.book import ONE, UP, Leg, MatchKind, RestingOrder


@dataclass(slots=True, kw_only=True)
class Order:
    """An order from acceptance to its end; sizes in micro-shares, `price` its limit in its own token."""

    order_id: str
    account: str
    owner: str
    condition_id: str
    token_id: str
    outcome_index: int
    side: Side
    order_type: OrderType
    price: int
    original_size: int
    created_ns: int
    expiration_s: int
    size_matched: int = 0
    trade_ids: list[str] = field(default_factory=list)
    status: OrderStatus = "LIVE"
    resting: RestingOrder | None = None

    def view(self) -> OrderView:
        """Return the order as it stands, frozen."""
        return OrderView(
            order_id=self.order_id,
            account=self.account,
            owner=self.owner,
            condition_id=self.condition_id,
            token_id=self.token_id,
            outcome=outcome_name(self.outcome_index),
            side=self.side,
            order_type=self.order_type,
            price=self.price,
            original_size=self.original_size,
            size_matched=self.size_matched,
            created_ns=self.created_ns,
            expiration_s=self.expiration_s,
            trade_ids=tuple(self.trade_ids),
            status=self.status,
        )


@dataclass(slots=True, kw_only=True)
class Account:
    """One wallet; `owner` is the key's address behind it. House accounts may owe money."""

    address: str
    owner: str
    signature_type: int = 0
    house: bool = False
    cash: int = 0
    pending_cash: int = 0
    tokens: dict[str, int] = field(default_factory=dict)
    pending_tokens: dict[str, int] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    fees_paid: int = 0
    redeemed: int = 0

    @property
    def spendable_cash(self) -> int:
        """Settled cash less what open buys still have to be good for."""
        return self.cash - sum(order.resting.reserve for order in self.orders.values() if order.resting)

    def spendable_tokens(self, token_id: str) -> int:
        """Settled shares less what open sells offer."""
        offered = sum(
            order.resting.remaining
            for order in self.orders.values()
            if order.resting and order.side == "SELL" and order.token_id == token_id
        )
        return self.tokens.get(token_id, 0) - offered

    def pay_cash(self, amount: int) -> None:
        """Take settled cash; raises InvariantViolation when a normal account would owe money."""
        self.cash -= amount
        if self.cash < 0 and not self.house:
            raise InvariantViolation(
                f"account {self.address} would hold {self.cash} micro-dollars after paying {amount}"
            )

    def give_tokens(self, token_id: str, size: int) -> None:
        """Take settled shares; raises InvariantViolation when there are not enough."""
        left = self.tokens.get(token_id, 0) - size
        if left < 0:
            raise InvariantViolation(f"account {self.address} would hold {left} micro-shares of {token_id}")
        if left:
            self.tokens[token_id] = left
        else:
            self.tokens.pop(token_id, None)

    def expect(self, token_id: str, size: int) -> None:
        """Note shares that arrive with the block."""
        self.pending_tokens[token_id] = self.pending_tokens.get(token_id, 0) + size

    def arrive(self, token_id: str, size: int) -> None:
        """Turn expected shares into held ones."""
        left = self.pending_tokens[token_id] - size
        if left:
            self.pending_tokens[token_id] = left
        else:
            del self.pending_tokens[token_id]
        self.tokens[token_id] = self.tokens.get(token_id, 0) + size


def outcome_name(index: int) -> str:
    """Return the outcome's word; the first token of a market is Up."""
    return "Up" if index == UP else "Down"


def token_of(spec: MarketSpec, index: int) -> str:
    """Return a market's token by outcome index."""
    return spec.up_token if index == UP else spec.down_token


class Ledger:
    """All accounts, the collateral behind outstanding pairs, and the fee pot, in micro-dollars."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.collateral: dict[str, int] = {}
        self.fee_pot = 0
        self.dirty: dict[str, None] = {}

    def total(self) -> int:
        """Return every dollar there is, whoever holds it; constant but for newly funded accounts."""
        held = sum(account.cash + account.pending_cash for account in self.accounts.values())
        return held + self.fee_pot + sum(self.collateral.values())

    def outstanding(self, token_id: str) -> int:
        """Return how many micro-shares of a token exist."""
        return sum(
            account.tokens.get(token_id, 0) + account.pending_tokens.get(token_id, 0)
            for account in self.accounts.values()
        )

    def touch(self, address: str) -> Account:
        """Return an account that is about to change, noting it for the books."""
        self.dirty[address] = None
        return self.accounts[address]

    def exchange(self, spec: MarketSpec, taker: Order, maker: Order, leg: Leg) -> None:
        """Take from both sides of one leg what they give, and note what they will receive."""
        self._give(spec, taker, leg.size, leg.taker_cash)
        self._give(spec, maker, leg.size, leg.maker_cash)
        if leg.kind is MatchKind.MINT:
            self.collateral[spec.condition_id] += leg.size
        elif leg.kind is MatchKind.MERGE:
            self.collateral[spec.condition_id] -= leg.size

    def _give(self, spec: MarketSpec, order: Order, size: int, cash: int) -> None:
        account = self.touch(order.account)
        token_id = token_of(spec, order.outcome_index)
        if order.side == "BUY":
            account.pay_cash(cash)
            account.expect(token_id, size)
        else:
            account.give_tokens(token_id, size)
            account.pending_cash += cash

    def charge_fee(self, taker: Order, fee: int) -> None:
        """Move the taker's fee to the pot: on top of a BUY, out of the proceeds of a SELL."""
        account = self.touch(taker.account)
        account.fees_paid += fee
        self.fee_pot += fee
        if taker.side == "BUY":
            account.pay_cash(fee)
        else:
            account.pending_cash -= fee

    def settle(self, trade: TradeView) -> None:
        """Deliver what the parties of a mined trade were waiting for."""
        self._deliver(trade.taker_account, trade.token_id, trade.side, trade.size, trade.cash - trade.fee)
        for leg in trade.legs:
            self._deliver(leg.account, leg.token_id, leg.side, leg.size, leg.cash)

    def _deliver(self, address: str, token_id: str, side: Side, size: int, cash: int) -> None:
        account = self.touch(address)
        if side == "BUY":
            account.arrive(token_id, size)
        else:
            account.pending_cash -= cash
            account.cash += cash

    def redeem(self, spec: MarketSpec, address: str, up_payout: int) -> Iterator[tuple[str, int, int]]:
        """Burn an account's settled paying shares for cash; yields (token, size, cash).

        The house gives its worthless shares up too: over days they would fill its rows in the books.
        """
        account = self.accounts[address]
        for token_id, payout in ((spec.up_token, up_payout), (spec.down_token, ONE - up_payout)):
            size = account.tokens.get(token_id, 0)
            if payout == 0 and size and account.house:
                self.touch(address).give_tokens(token_id, size)
            if payout == 0 or size == 0:
                continue
            cash = size * payout // ONE
            self.touch(address).give_tokens(token_id, size)
            self.collateral[spec.condition_id] -= cash
            account.cash += cash
            account.redeemed += cash
            yield token_id, size, cash
