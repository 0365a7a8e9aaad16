"""A trade's way from match to finality, and the ways in which it goes wrong.

What lives here: MATCHED -> MINED -> CONFIRMED with its delays, RETRYING and FAILED by seeded chance
or by request, late settlement. What must not: matching, the arithmetic of undoing (`reversal`),
sockets.

Statuses: Polymarket CLOB docs, order lifecycle and realtime order updates. While a trade is RETRYING
after it was mined its receipts stay spendable; only FAILED takes them back. What chance has planned
for a trade does not survive a restart: it then settles as usual.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final, TypeAlias

from polystra.domain.errors import ConfigError
from polystra.exchange.account_rules import MILLION, AccountRules
from polystra.exchange.accounts import Order
from polystra.exchange.balances import Balances
from polystra.exchange.chain import Agenda, ConfirmTrade, FailTrade, MineTrade, RedeemShares, RetryTrade
from polystra.exchange.model import FINAL, NS_PER_MS, CoreConfig, CoreEvent, TradeEvent, TradeView
from polystra.exchange.reversal import standing_or_falling, undo
from polystra.exchange.state import Market, State

CANCELED_NOT_ENOUGH_BALANCE: Final = "CANCELED_NOT_ENOUGH_BALANCE"
REVERTED: Final = "execution reverted"

TradeStep: TypeAlias = MineTrade | ConfirmTrade | RetryTrade | FailTrade


class Settlement:
    """Moves trades on behalf of the core; writes nothing to disk itself."""

    def __init__(
        self,
        state: State,
        agenda: Agenda,
        config: CoreConfig,
        emit: Callable[[CoreEvent], None],
        *,
        withdraw: Callable[[Order, int, str], None],
        balances: Balances,
    ) -> None:
        self._state = state
        self._agenda = agenda
        self._config = config
        self._emit = emit
        self._withdraw = withdraw
        self._balances = balances
        self._rng = random.Random(f"{config.rules.seed}:settlement")
        self.rules: AccountRules = config.rules

    # -- planning --------------------------------------------------------------------------------

    def enter(self, trade: TradeView, now_ns: int) -> None:
        """Plan the settlement of a new trade; chance plays with clients' trades only."""
        mined_ns = now_ns + self._config.mined_after_ms * NS_PER_MS
        fate = self._draw() if not self._state.house_only(trade) else ""
        if fate in {"fail", "retry"}:
            self._agenda.add(mined_ns, RetryTrade(trade.trade_id, 0, then_fail=fate == "fail"))
        elif fate == "reorg":
            self._agenda.add(mined_ns, MineTrade(trade.trade_id))
            self._agenda.add(mined_ns + self._confirming_ns() // 2, RetryTrade(trade.trade_id, 0))
        else:
            self._plan(trade, mined_ns + (self.rules.late_ms * NS_PER_MS if fate == "late" else 0))

    def resume(self, now_ns: int) -> None:
        """Enter again what a stopped exchange had still to settle."""
        for trade in self._state.trades.values():
            if trade.status in FINAL:
                continue
            mined_ns = trade.matched_ns + self._config.mined_after_ms * NS_PER_MS
            if trade.status == "RETRYING":
                mined_ns = max(mined_ns, now_ns)
            if trade.status == "MINED":
                self._agenda.add(mined_ns + self._confirming_ns(), ConfirmTrade(trade.trade_id, trade.attempt))
            else:
                self._plan(trade, mined_ns)

    def _plan(self, trade: TradeView, mined_ns: int) -> None:
        self._agenda.add(mined_ns, MineTrade(trade.trade_id, trade.attempt))
        self._agenda.add(mined_ns + self._confirming_ns(), ConfirmTrade(trade.trade_id, trade.attempt))

    def _confirming_ns(self) -> int:
        return max(0, self._config.confirmed_after_ms - self._config.mined_after_ms) * NS_PER_MS

    def _draw(self) -> str:
        rules = self.rules
        odds = {"fail": rules.fail_ppm, "retry": rules.retry_ppm, "reorg": rules.reorg_ppm, "late": rules.late_ppm}
        if not any(odds.values()):
            return ""
        drawn = self._rng.randrange(MILLION)
        for fate, share in odds.items():
            if drawn < share:
                return fate
            drawn -= share
        return ""

    # -- steps -----------------------------------------------------------------------------------

    def step(self, step: TradeStep, at_ns: int) -> None:
        """Carry out a step that fell due, unless the trade has moved on since it was planned."""
        trade = self._state.trades.get(step.trade_id)
        if trade is None or trade.status in FINAL or trade.attempt != step.attempt:
            return
        match step:
            case MineTrade():
                self._mine(trade, at_ns)
            case ConfirmTrade():
                self._move(replace(trade, status="CONFIRMED", updated_ns=at_ns), at_ns)
            case RetryTrade():
                self._retry(trade, at_ns, then_fail=step.then_fail)
            case FailTrade():
                self._fail([trade], at_ns)

    def _mine(self, trade: TradeView, at_ns: int) -> None:
        if not trade.settled:
            self._state.ledger.settle(trade)
            self._balances.delivered(trade, at_ns)
        transaction = "0x" + self._state.next_digest().hex()
        mined = replace(trade, status="MINED", settled=True, updated_ns=at_ns, transaction_hash=transaction)
        self._move(mined, at_ns)
        if not trade.settled:
            self._redeem_later(mined, at_ns)

    def _retry(self, trade: TradeView, at_ns: int, *, then_fail: bool) -> None:
        again = replace(
            trade,
            status="RETRYING",
            attempt=trade.attempt + 1,
            updated_ns=at_ns,
            transaction_hash="0x" + self._state.next_digest().hex(),
        )
        due_ns = at_ns + self.rules.retry_after_ms * NS_PER_MS
        if then_fail:
            self._agenda.add(due_ns, FailTrade(again.trade_id, again.attempt))
        else:
            self._plan(again, due_ns)
        self._move(again, at_ns)

    def _fail(self, trades: Iterable[TradeView], at_ns: int) -> None:
        trades = list(trades)
        undo(self._state.ledger, trades)
        for trade in trades:
            self._state.dirty_markets[trade.condition_id] = None
            self._move(replace(trade, status="FAILED", updated_ns=at_ns, error=REVERTED), at_ns)
        for address in dict.fromkeys(party for trade in trades for party in parties(trade)):
            self.withdraw_unbacked(address, at_ns)
        for trade in trades:
            self._redeem_later(trade, at_ns)

    def _move(self, trade: TradeView, at_ns: int) -> None:
        house_only = self._state.house_only(trade)
        if house_only and trade.status in FINAL:
            del self._state.trades[trade.trade_id]
        else:
            self._state.trades[trade.trade_id] = trade
        if not house_only:
            self._state.dirty_trades[trade.trade_id] = None
        self._emit(TradeEvent(trade=trade, at_ns=at_ns))
        self._state.forget_old_trades()

    # -- requests --------------------------------------------------------------------------------

    def retry(self, trade_id: str, now_ns: int) -> None:
        """Lose a trade's transaction; it is mined `retry_after_ms` later under another hash.

        Raises:
            ConfigError: there is no such trade, or it is final.
        """
        self._retry(self._unfinished(trade_id), now_ns, then_fail=False)

    def fail(self, trade_id: str, now_ns: int) -> tuple[str, ...]:
        """Void a trade and what was built on it; returns the ids of all trades that failed.

        Raises:
            ConfigError: there is no such trade, it is final, or what it delivered was used for good.
        """
        first = self._unfinished(trade_id)
        unfinished = [trade for trade in self._state.trades.values() if trade.status not in FINAL]
        falling = standing_or_falling(self._state.ledger, unfinished, first)
        self._fail(falling, now_ns)
        return tuple(trade.trade_id for trade in falling)

    def delay(self, trade_id: str, delay_ms: int, now_ns: int) -> None:
        """Let a trade be mined `delay_ms` from now instead of at its usual time.

        Raises:
            ConfigError: there is no such trade, it is mined already, or the delay is negative.
        """
        trade = self._unfinished(trade_id)
        if trade.settled or delay_ms < 0:
            raise ConfigError(
                f"trade {trade_id} is {trade.status} and the delay {delay_ms} ms; choose a trade that is not mined "
                "yet and a delay of at least 0"
            )
        trade = replace(trade, attempt=trade.attempt + 1)
        self._state.trades[trade_id] = trade
        self._plan(trade, now_ns + delay_ms * NS_PER_MS)

    def _unfinished(self, trade_id: str) -> TradeView:
        trade = self._state.trades.get(trade_id)
        if trade is None or trade.status in FINAL:
            state = "not known here" if trade is None else f"{trade.status} for good"
            raise ConfigError(f"trade {trade_id[:60]} is {state}; choose one that is still being settled")
        return trade

    # -- consequences ----------------------------------------------------------------------------

    def withdraw_unbacked(self, address: str, at_ns: int) -> None:
        """Cancel the newest open orders for which an account has no longer the dollars or shares."""
        account = self._state.ledger.accounts[address]
        if account.house:
            for order in [order for order in account.orders.values() if order.side == "SELL"][::-1]:
                if account.spendable_tokens(order.token_id) < 0:
                    self._withdraw(order, at_ns, CANCELED_NOT_ENOUGH_BALANCE)
            return
        for order in list(account.orders.values())[::-1]:
            left = account.spendable_cash if order.side == "BUY" else account.spendable_tokens(order.token_id)
            if left < 0:
                self._withdraw(order, at_ns, CANCELED_NOT_ENOUGH_BALANCE)

    def schedule_redemption(self, address: str, market: Market, now_ns: int) -> None:
        """Turn an account's paying shares of a resolved market into cash a little later."""
        account = self._state.ledger.accounts[address]
        if market.spec.up_token in account.tokens or market.spec.down_token in account.tokens:
            due_ns = now_ns + self._config.redeem_after_ms * NS_PER_MS
            self._agenda.add(due_ns, RedeemShares(address, market.spec.condition_id))

    def _redeem_later(self, trade: TradeView, at_ns: int) -> None:
        market = self._state.markets[trade.condition_id]
        if market.closed:
            for address in parties(trade):
                self.schedule_redemption(address, market, at_ns)


def parties(trade: TradeView) -> list[str]:
    """Return the accounts of a trade, each once, the taker first."""
    return list(dict.fromkeys([trade.taker_account, *(leg.account for leg in trade.legs)]))
