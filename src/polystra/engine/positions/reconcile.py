"""Reconciliation: the venue is the truth, the ledger explains it.

A snapshot adds whatever it shows (fills, open orders). It takes something away only when it
is complete and was asked after our last own event. A difference of cash or shares becomes an
ADJUSTMENT posting with its evidence only when the account is quiet (no provisional fill, no
order whose fate is open), two snapshots 5 s apart agree on it, and the lag of the venue's
balances behind our own last movements cannot explain it. The first cash ever seen is booked as
a transfer. Trading begins after the first complete snapshot. Shares are compared in `holdings`.
"""

from __future__ import annotations

from polystra.domain.events import AccountSnapshot, HoldingsRead, OrderReport, SubmitRefused
from polystra.domain.facts import BalanceObserved, NoticeKind, ReconcileCompleted
from polystra.domain.ledger import Posting, PostingKind
from polystra.domain.orders import OrderStatus, Side
from polystra.domain.units import NS_PER_S, Nanos, format_micros, notional_ceil
from polystra.engine.balance_truth import (
    LAG_HORIZON_NS,
    PAYOUT_SLACK,
    RETRY_AFTER_S,
    in_cooldown,
    judge_cash,
    may_be_lag,
    some_that_sum_to,
)
from polystra.engine.bookkeeper import Bookkeeper
from polystra.engine.effects import CancelOrder, ReadAccount
from polystra.engine.external import order_words
from polystra.engine.fee_check import FeeCheck
from polystra.engine.gateway import Gateway
from polystra.engine.order_life import LOOKUP_MARGIN_NS
from polystra.engine.positions.holdings import AGAIN_NS, Holdings
from polystra.engine.state import BalanceReading, EngineState, Turn

RECONCILE_BLOCK = "reconcile"
STRANGER_BLOCK = "stranger"


class Reconciler:
    """Compares the venue's account with ours."""

    def __init__(self, state: EngineState, gateway: Gateway, bookkeeper: Bookkeeper) -> None:
        self._state = state
        self._gateway = gateway
        self._bookkeeper = bookkeeper
        self._trigger = ""
        self._holdings = Holdings(state, bookkeeper)
        self._fees = FeeCheck(state)

    def ask(self, trigger: str, turn: Turn) -> None:
        """Ask for a snapshot of the account; the answer comes as `AccountSnapshot`."""
        self._trigger = trigger
        newest = self._state.reconciled_at_ns or self._state.last_fill_ns
        provisional = (fill.matched_at_ns for fill in self._state.fills.values() if not fill.status.is_final)
        since = max(0, min(newest, min(provisional, default=newest)) - LOOKUP_MARGIN_NS)
        again = trigger != "periodic"
        tokens = self._holdings.tokens(trigger, turn, quiet=self._quiet_at(turn.now_ns, turn.now_ns))
        turn.effects.append(ReadAccount(since_ns=since, tokens=tokens, trigger=trigger, refresh=again))
        self._holdings.ask_in_time(trigger, turn)

    def holdings_read(self, event: HoldingsRead, turn: Turn) -> None:
        """The second source has answered."""
        self._holdings.read(event, turn)

    def apply(self, snapshot: AccountSnapshot, turn: Turn) -> None:
        """Take what the snapshot adds, compare the rest."""
        known = len(self._state.fills)
        for report in snapshot.fills:
            self._bookkeeper.fill_reported(report, turn)
        applied = len(self._state.fills) - known
        differences = self._compare_orders(snapshot, turn)
        if snapshot.cash is not None:
            self._state.cash_reading = BalanceReading(snapshot.cash, snapshot.asked_at_ns)
        if snapshot.complete:
            self._state.reconciled_at_ns = max(self._state.reconciled_at_ns, snapshot.asked_at_ns)
            differences += self._compare_cash(snapshot, turn)
            differences += self._holdings.compare(snapshot, turn, quiet=self._quiet(snapshot))
            if self._quiet(snapshot) and snapshot.cash == self._state.ledger.cash:
                self._state.agreed_at_ns = snapshot.asked_at_ns
        else:
            differences.append(f"incomplete snapshot: {snapshot.detail}")
        first = RECONCILE_BLOCK in self._state.blocks
        if snapshot.complete and first:
            del self._state.blocks[RECONCILE_BLOCK]
        if first or differences or applied:
            turn.facts.append(
                ReconcileCompleted(
                    at_ns=turn.now_ns,
                    open_orders=len(snapshot.open_orders),
                    fills_applied=applied,
                    differences=tuple(differences),
                    trigger=self._trigger,
                )
            )

    def refused(self, event: SubmitRefused, turn: Turn) -> None:
        """A purchase found no cash: say whether it is missing, locked or late, and have the balance read anew."""
        track = self._state.track_of(event.order_id)
        if event.code != "balance" or track is None or track.order.terms.side is not Side.BUY:
            return
        terms = track.order.terms
        needed = terms.budget or notional_ceil(terms.price, terms.quantity)
        answer = judge_cash(self._state, needed, turn.now_ns)
        turn.notice(NoticeKind.BALANCE_JUDGED, terms.client_order_id, f"{terms.rule or 'entry'}: {answer.sentence}")
        turn.timer("reconcile:no balance", turn.now_ns + RETRY_AFTER_S[0] * NS_PER_S)

    # --- inside -----------------------------------------------------------------------

    def _compare_orders(self, snapshot: AccountSnapshot, turn: Turn) -> list[str]:
        differences = []
        strangers: list[OrderReport] = []
        for report in snapshot.open_orders:
            track = self._state.track_of(report.order_id)
            if track is None:
                strangers.append(report)
                continue
            if not track.is_live and track.order.status is not OrderStatus.FILLED:
                differences.append(f"order {report.order_id} is open at the venue, {track.order.status} here")
                if track.order.updated_at_ns < snapshot.asked_at_ns:
                    turn.effects.append(CancelOrder(order_id=report.order_id))
            self._gateway.report(report, turn)
        if snapshot.complete:
            self._missing_orders(snapshot, turn)
            self._strangers(strangers, turn)
        return differences

    def _missing_orders(self, snapshot: AccountSnapshot, turn: Turn) -> None:
        """Live here, not open there: ask for each by its id, conclude nothing from the list alone."""
        open_ids = {report.order_id for report in snapshot.open_orders}
        for track in list(self._state.live_orders()):
            order = track.order
            if order.order_id is None or order.order_id in open_ids or order.updated_at_ns >= snapshot.asked_at_ns:
                continue
            self._gateway.look_up(track, turn)

    def _strangers(self, strangers: list[OrderReport], turn: Turn) -> None:
        state = self._state
        known, state.external_orders = state.external_orders, {report.order_id: report for report in strangers}
        if not strangers or state.config.balance.allow_external_orders:
            state.blocks.pop(STRANGER_BLOCK, None)
        else:
            state.blocks[STRANGER_BLOCK] = order_words(state)
        if state.external_orders.keys() - known.keys():
            turn.notice(NoticeKind.ORDER_STRANGE, strangers[0].order_id, order_words(state))

    def _quiet(self, snapshot: AccountSnapshot) -> bool:
        """True when nothing of ours could have moved the balance around the snapshot."""
        return self._quiet_at(snapshot.asked_at_ns, snapshot.at_ns)

    def _quiet_at(self, asked_at_ns: Nanos, answered_ns: Nanos) -> bool:
        state = self._state
        return (
            asked_at_ns > state.last_account_event_ns
            and state.ledger.pending_cash == 0
            and not self._awaits_verdict(answered_ns)
            and all(balance.pending_shares == 0 for balance in state.ledger.tokens.values())
            and all(
                track.order.status is OrderStatus.OPEN and not track.cancel_asked_ns
                for track in state.orders.unsettled()
            )
        )

    def _awaits_verdict(self, now_ns: Nanos) -> bool:
        """True while shares of a window that is over are held: the venue may have paid them before we hear of it."""
        for token_id, balance in self._state.ledger.tokens.items():
            market = self._state.market_for(token_id) if balance.shares else None
            if market is None or market.resolution is not None:
                continue
            if now_ns >= market.market.closes_at_s * NS_PER_S:
                return True
        return False

    def _compare_cash(self, snapshot: AccountSnapshot, turn: Turn) -> list[str]:
        state = self._state
        if snapshot.cash is None:
            return []
        if not state.funded:
            state.funded = True
            if snapshot.cash != state.ledger.cash:
                self._adjust_cash(PostingKind.TRANSFER, "opening balance", snapshot.cash - state.ledger.cash, turn)
            self._observe(snapshot, turn)
            return []
        if not self._quiet(snapshot) or in_cooldown(state, None, snapshot.asked_at_ns):
            return []
        difference = snapshot.cash - state.ledger.cash
        if difference == 0 or self._is_winnings(difference):
            state.cash_difference = None
            return []
        known = state.cash_difference
        if known is None or known[0] != difference:
            state.cash_difference = (difference, snapshot.asked_at_ns)
            turn.timer("reconcile:again", turn.now_ns + AGAIN_NS)
            return []
        if snapshot.asked_at_ns - known[1] < AGAIN_NS:
            return []
        recent = self._recent_cash(snapshot)
        self._fees.compare(difference, recent, turn)
        if may_be_lag(difference, recent):
            return []
        state.cash_difference = None
        self._adjust_cash(PostingKind.ADJUSTMENT, "venue cash differs from the ledger", difference, turn)
        self._observe(snapshot, turn)
        return [f"cash differs by {format_micros(difference)} dollars: adjusted"]

    def _is_winnings(self, difference: int) -> bool:
        """True while more cash than ours may be claims that were paid: the settlement books those."""
        claims = [self._state.ledger.balance(token_id).claim for token_id in self._state.redeeming]
        return difference > 0 and bool(some_that_sum_to(difference, claims, PAYOUT_SLACK))

    def _recent_cash(self, snapshot: AccountSnapshot) -> list[int]:
        """Our own changes of cash that the venue's lag may still hide."""
        since = snapshot.asked_at_ns - LAG_HORIZON_NS
        return [m.cash for m in self._state.movements.values() if m.cash and m.at_ns >= since]

    def _adjust_cash(self, kind: PostingKind, reason: str, amount: int, turn: Turn) -> None:
        self._bookkeeper.post(
            Posting(
                source_id=f"{kind.lower()}:cash:{turn.now_ns}",
                kind=kind,
                at_ns=turn.now_ns,
                reason=reason,
                settled_cash=amount,
                evidence=f"ledger {self._state.ledger.cash}, venue {self._state.ledger.cash + amount}",
            ),
            turn,
        )

    def _observe(self, snapshot: AccountSnapshot, turn: Turn) -> None:
        if snapshot.cash is not None:
            turn.facts.append(
                BalanceObserved(
                    cash=snapshot.cash, ledger_cash=self._state.ledger.cash, at_ns=turn.now_ns, source=self._trigger
                )
            )
