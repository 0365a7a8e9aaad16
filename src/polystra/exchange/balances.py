"""What the order book believes of a wallet: cached balances, allowances, and whether it may trade.

What lives here: the lag between the chain and the book's cache, the approvals per spender, closed-only
and banned accounts, and the refusals that follow. What must not: the balances themselves (`accounts`),
HTTP.

Texts: Polymarket CLOB docs, resources/error-codes; the tail of the allowance text is ours, after the
balance one. What an account gives is known to the book at once; only arrivals are seen late.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final, Literal, TypeAlias

import msgspec

from polystra.domain.errors import ConfigError
from polystra.exchange.account_rules import AccountRules
from polystra.exchange.accounts import Account, Order
from polystra.exchange.model import NS_PER_MS, MarketSpec, PlaceRequest, Refusal, TradeView
from polystra.exchange.reversal import CASH
from polystra.exchange.state import State
from polystra.exchange.typed_data import CTF_EXCHANGE_V2, EXCHANGE_V3, NEG_RISK_EXCHANGE_V2
from polystra.exchange.validation import check_funds

AssetType: TypeAlias = Literal["COLLATERAL", "CONDITIONAL", "CONDITIONAL-V2"]

UNLIMITED: Final = (1 << 256) - 1
COLLATERAL_ADAPTER: Final = "0xada100db00ca00073811820692005400218fce1f"
NEG_RISK_COLLATERAL_ADAPTER: Final = "0xada2005600dec949baf300f4c6120000bdb6eaab"
SPENDERS: Final[dict[AssetType, tuple[str, ...]]] = {
    "COLLATERAL": (
        CTF_EXCHANGE_V2,
        NEG_RISK_EXCHANGE_V2,
        EXCHANGE_V3,
        COLLATERAL_ADAPTER,
        NEG_RISK_COLLATERAL_ADAPTER,
    ),
    "CONDITIONAL": (CTF_EXCHANGE_V2, NEG_RISK_EXCHANGE_V2, COLLATERAL_ADAPTER, NEG_RISK_COLLATERAL_ADAPTER),
    "CONDITIONAL-V2": (EXCHANGE_V3,),
}
_ALLOWANCE: Final = "allowance"
_STANDING: Final = "standing"


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What the venue holds against an account."""

    closed_only: bool = False
    banned: bool = False


def spender_of(spec: MarketSpec) -> str:
    """Return the exchange contract that moves a market's money and shares."""
    if spec.version == "v2":
        return EXCHANGE_V3
    return NEG_RISK_EXCHANGE_V2 if spec.neg_risk else CTF_EXCHANGE_V2


def token_type(spec: MarketSpec) -> AssetType:
    """Return the asset type under which a market's shares are asked for."""
    return "CONDITIONAL-V2" if spec.version == "v2" else "CONDITIONAL"


class Balances:
    """The book's view of all wallets; amounts are millionths, instants UTC nanoseconds."""

    def __init__(self, state: State, rules: AccountRules) -> None:
        self._state = state
        self.rules = rules
        self._unseen: dict[tuple[str, str], deque[tuple[int, int]]] = {}
        self._allowances: dict[tuple[str, str, str], int] = {}
        self._standing: dict[str, Standing] = {}
        for name, body in state.records_of(_ALLOWANCE):
            address, asset_type, spender = name.split("|")
            self._allowances[address, asset_type, spender] = int(body)
        for name, body in state.records_of(_STANDING):
            self._standing[name] = msgspec.json.decode(body, type=Standing)

    # -- the cache -------------------------------------------------------------------------------

    def arrived(self, address: str, asset: str, amount: int, at_ns: int) -> None:
        """Note what the chain has and the book will see only after its lag; `asset` is a token or CASH."""
        if self.rules.balance_lag_ms == 0 or self._state.is_house(address):
            return
        seen_ns = at_ns + self.rules.balance_lag_ms * NS_PER_MS
        self._unseen.setdefault((address, asset), deque()).append((seen_ns, amount))

    def delivered(self, trade: TradeView, at_ns: int) -> None:
        """Note the receipts of a mined trade."""
        for address, side, token_id, size, cash in _receipts(trade):
            asset, amount = (token_id, size) if side == "BUY" else (CASH, cash)
            self.arrived(address, asset, amount, at_ns)

    def unseen(self, address: str, asset: str, now_ns: int) -> int:
        """Return how much of an account's balance the book does not know of yet."""
        waiting = self._unseen.get((address, asset))
        if waiting is None:
            return 0
        while waiting and waiting[0][0] <= now_ns:
            waiting.popleft()
        if not waiting:
            del self._unseen[address, asset]
        return sum(amount for _, amount in waiting)

    def refresh(self, address: str, asset: str) -> None:
        """Read the chain again for one asset."""
        self._unseen.pop((address, asset), None)

    def cached(self, account: Account, asset: str, now_ns: int) -> int:
        """Return the balance that the book tells and trusts, reservations not taken off."""
        held = account.cash if asset == CASH else account.tokens.get(asset, 0)
        return max(0, held - self.unseen(account.address, asset, now_ns))

    def spendable(self, account: Account, asset: str, now_ns: int) -> int:
        """Return what a new order may give: the cached balance less what open orders are good for."""
        left = account.spendable_cash if asset == CASH else account.spendable_tokens(asset)
        return left - self.unseen(account.address, asset, now_ns)

    # -- allowances ------------------------------------------------------------------------------

    def allowances(self, address: str, asset_type: AssetType) -> dict[str, int]:
        """Return what each contract may move, by its address; everything unless it was revoked."""
        return {
            spender: self._allowances.get((address, asset_type, spender), UNLIMITED) for spender in SPENDERS[asset_type]
        }

    def approve(self, address: str, asset_type: AssetType, spender: str, amount: int) -> None:
        """Set what a contract may move; for shares anything but zero means everything.

        Raises:
            ConfigError: no such account, spender or amount.
        """
        if address not in self._state.ledger.accounts:
            raise ConfigError(f"account {address[:60]} does not exist; open it first")
        if spender not in SPENDERS[asset_type] or not 0 <= amount <= UNLIMITED:
            raise ConfigError(
                f"spender {spender[:60]} with amount {amount} is not possible for {asset_type}; choose among "
                f"{', '.join(SPENDERS[asset_type])} and an amount that fits 256 bits"
            )
        self._allowances[address, asset_type, spender] = amount
        self._state.put_record(_ALLOWANCE, f"{address}|{asset_type}|{spender}", str(amount).encode())

    def allowed(self, account: Account, side: str, spec: MarketSpec) -> int:
        """Return how much of what an order gives its market's contract may take."""
        asset_type = "COLLATERAL" if side == "BUY" else token_type(spec)
        amount = self._allowances.get((account.address, asset_type, spender_of(spec)), UNLIMITED)
        return UNLIMITED if asset_type != "COLLATERAL" and amount else amount

    def unapproved(self, account: Account) -> list[Order]:
        """Return the open orders that a revoked allowance left without backing."""
        markets = self._state.markets
        return [
            order
            for order in account.orders.values()
            if order.resting is not None
            and self.allowed(account, order.side, markets[order.condition_id].spec)
            < (order.resting.reserve if order.side == "BUY" else order.resting.remaining)
        ]

    # -- standing --------------------------------------------------------------------------------

    def standing(self, owner: str) -> Standing | None:
        """Return what is held against an owner, None when there is no record."""
        return self._standing.get(owner)

    def set_standing(self, owner: str, standing: Standing | None) -> None:
        """Put an owner's accounts into closed-only mode, ban them, or drop the record."""
        if standing is None:
            self._standing.pop(owner, None)
            self._state.drop_record(_STANDING, owner)
            return
        self._standing[owner] = standing
        self._state.put_record(_STANDING, owner, msgspec.json.encode(standing))

    # -- refusals --------------------------------------------------------------------------------

    def check_standing(self, account: Account, request: PlaceRequest) -> Refusal | None:
        """Refuse a banned account everything and a closed-only one whatever is not a sale."""
        standing = self._standing.get(account.owner)
        if standing is None:
            return None
        if standing.banned:
            return Refusal(f"'{account.address}' address banned")
        if standing.closed_only and request.side == "BUY":
            return Refusal(f"'{account.address}' address in closed only mode")
        return None

    def check_order(
        self, account: Account, request: PlaceRequest, spec: MarketSpec, amount: int, now_ns: int
    ) -> Refusal | None:
        """Refuse an order that gives `amount`, more than the book's cache or the approvals allow."""
        asset = CASH if request.side == "BUY" else request.token_id
        refusal = check_funds(self.spendable(account, asset, now_ns), amount)
        if refusal is not None or account.house:
            return refusal
        allowed = self.allowed(account, request.side, spec)
        if allowed >= amount:
            return None
        return Refusal(
            "not enough balance / allowance: the allowance is not enough ->"
            f" spender: {spender_of(spec)}, allowance: {allowed}, order amount: {amount}"
        )


def _receipts(trade: TradeView) -> Iterator[tuple[str, str, str, int, int]]:
    yield trade.taker_account, trade.side, trade.token_id, trade.size, trade.cash - trade.fee
    for leg in trade.legs:
        yield leg.account, leg.side, leg.token_id, leg.size, leg.cash
