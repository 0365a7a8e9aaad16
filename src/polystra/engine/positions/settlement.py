"""Settlement: what a resolved market pays, and the wait until the pay-out is cash.

On the verdict, held shares become a claim (RESOLVED posting: shares out, claim in, payout
realised). The claim becomes cash only when the venue shows that the shares are gone *and* that
the cash has come (REDEEMED posting): a balance that reads zero for a while after a fill is no
redemption. Shares of a trade that is still provisional wait for its confirmation.
Nothing is redeemed by this program; losers' shares stay in the wallet, worth nothing.
"""

from __future__ import annotations

from polystra.domain.events import AccountSnapshot, MarketResolved, TokenBalanceRead
from polystra.domain.facts import NoticeKind, SettlementRecorded
from polystra.domain.ids import TokenId
from polystra.domain.ledger import Posting, PostingKind
from polystra.domain.market import Outcome
from polystra.domain.positions import Position
from polystra.domain.units import MICRO, NS_PER_MS, NS_PER_S, MicroDollars, Nanos, format_micros
from polystra.engine.balance_truth import DUST, LAG_HORIZON_NS, PAYOUT_SLACK, some_that_sum_to
from polystra.engine.bookkeeper import Bookkeeper
from polystra.engine.effects import LookupOrder, ReadResolution, ReadTokenBalance
from polystra.engine.order_life import LOOKUP_MARGIN_NS
from polystra.engine.state import BalanceReading, EngineState, MarketState, Turn

FIRST_ASK_S = 10
ASK_EVERY_S = 30
CONFIRM_S = 3
"""After an announced verdict it is asked for again this soon."""
REDEEM_ASK_S = 5


class Settlement:
    """Owns the last chapter of a market."""

    def __init__(self, state: EngineState, bookkeeper: Bookkeeper) -> None:
        self._state = state
        self._bookkeeper = bookkeeper
        self._looked_ns: dict[TokenId, Nanos] = {}
        """When the balance of each claim was last asked for."""

    def resolved(self, event: MarketResolved, turn: Turn) -> None:
        """The verdict; repeated verdicts change nothing, a different one freezes the market.

        An announcement only makes us ask: the venue may still reverse it.
        """
        market = self._state.markets.get(event.condition_id)
        if market is None:
            return
        if not event.confirmed:
            if market.resolution is None:
                turn.effects.append(ReadResolution(condition_id=market.condition_id))
                turn.timer(f"resolve:{event.condition_id}", turn.now_ns + CONFIRM_S * NS_PER_S)
            return
        if market.resolution is not None:
            if market.resolution.up_payout != event.up_payout:
                market.frozen = f"resolved twice: {market.resolution.up_payout}, then {event.up_payout}"
                turn.notice(NoticeKind.MARKET_FROZEN, event.condition_id, market.frozen)
            return
        market.resolution = event
        turn.timer(f"settle:{event.condition_id}", turn.now_ns + 2 * NS_PER_S)
        for track in list(self._state.live_orders()):
            if track.order.terms.condition_id == event.condition_id and track.order.order_id is not None:
                since = max(0, track.order.created_at_ns - LOOKUP_MARGIN_NS)
                turn.effects.append(
                    LookupOrder(order_id=track.order_id, condition_id=event.condition_id, since_ns=since)
                )
        self.review(market, turn)

    def ask(self, condition_id: str, turn: Turn) -> None:
        """The timer after the close: ask for the verdict until there is one."""
        market = next((m for m in self._state.markets.values() if m.condition_id == condition_id), None)
        if market is None or market.resolution is not None:
            return
        turn.effects.append(ReadResolution(condition_id=market.condition_id))
        turn.timer(f"resolve:{condition_id}", turn.now_ns + ASK_EVERY_S * NS_PER_S)

    def review(self, market: MarketState, turn: Turn) -> None:
        """Turn settled shares into a claim; record the market's result once nothing is open in it."""
        resolution = market.resolution
        if resolution is None:
            return
        positions = [self._state.positions[position_id] for position_id in market.positions]
        for position in positions:
            self._claim(position, market, resolution, turn)
        if market.settled:
            return
        unsettled = any(not track.is_settled for track in self._state.orders.of_market(market.condition_id))
        if unsettled or any(p.pending_shares or p.settled_shares for p in positions):
            pause_s = min(30, 2 << min(market.settle_asks, 4))
            turn.timer(f"settle:{market.condition_id}", turn.now_ns + pause_s * NS_PER_S)
            return
        market.settled = True
        self._state.settled_markets += 1
        self._record(market, resolution, positions, turn)

    def balance_read(self, event: TokenBalanceRead, turn: Turn) -> None:
        """Shares of a claim that are gone from the wallet may have been redeemed: look for the cash."""
        state, token_id = self._state, event.token_id
        if event.shares is not None:
            state.readings[token_id] = BalanceReading(event.shares, event.at_ns)
        if token_id not in state.redeeming:
            return
        if event.shares:
            state.gone.pop(token_id, None)
        elif event.shares == 0:
            state.gone.setdefault(token_id, turn.now_ns)
            turn.timer("reconcile:redemption", turn.now_ns + NS_PER_MS)
        pause_s = self._pause_s(token_id, turn) if event.shares is not None else ASK_EVERY_S
        turn.timer(f"redeem:{token_id}", turn.now_ns + pause_s * NS_PER_S)

    def cash_seen(self, snapshot: AccountSnapshot, turn: Turn) -> None:
        """Book the claims whose shares are gone and whose cash is there; in the end, those that brought none."""
        state = self._state
        if not state.redeeming or not snapshot.complete or snapshot.cash is None:
            return
        if state.ledger.pending_cash or snapshot.asked_at_ns <= state.last_account_event_ns:
            return
        if snapshot.cash - state.ledger.cash > PAYOUT_SLACK:
            self._look_for_paid(snapshot.cash - state.ledger.cash, turn)
        for token_id in [token for token in state.gone if state.ledger.balance(token).claim <= DUST]:
            self._released(token_id, "the last shares, worth less than a cent, are gone from the wallet", turn)
        tokens = list(state.gone)
        more = snapshot.cash - state.ledger.cash
        claims = [state.ledger.balance(token_id).claim for token_id in tokens]
        paid = {tokens[place] for place in some_that_sum_to(more, claims, PAYOUT_SLACK)} if more > 0 else set()
        for token_id in tokens:
            quiet_ns = turn.now_ns - max(state.gone[token_id], state.moved_at_ns(token_id))
            if token_id in paid:
                self._released(token_id, "the shares are gone from the wallet and the cash has come", turn)
            elif quiet_ns > LAG_HORIZON_NS and abs(more) <= PAYOUT_SLACK:
                self._gone_unpaid(token_id, turn)
            elif quiet_ns > 2 * LAG_HORIZON_NS:
                self._released(token_id, "the shares are gone from the wallet", turn)

    def ask_redeemed(self, token_id: str, turn: Turn) -> None:
        """The timer of a claim: read the token's balance again."""
        for known in self._state.redeeming:
            if known == token_id:
                self._looked_ns[known] = turn.now_ns
                turn.effects.append(ReadTokenBalance(token_id=known))

    # --- inside -----------------------------------------------------------------------

    def _look_for_paid(self, more: MicroDollars, turn: Turn) -> None:
        """More cash than the claims known as gone explain: read the balances of the others that it could be."""
        state = self._state
        more -= sum(state.ledger.balance(token_id).claim for token_id in state.gone)
        for token_id in state.redeeming:
            looked_ns = self._looked_ns.get(token_id)
            if token_id in state.gone or looked_ns is None or turn.now_ns - looked_ns < REDEEM_ASK_S * NS_PER_S:
                continue
            if state.ledger.balance(token_id).claim <= more + PAYOUT_SLACK:
                self._looked_ns[token_id] = turn.now_ns
                turn.effects.append(ReadTokenBalance(token_id=token_id))

    def _pause_s(self, token_id: TokenId, turn: Turn) -> int:
        """Seconds to the next look at a claim: it may wait for days, and when it is paid the cash tells."""
        if token_id in self._state.gone or self._state.stopping is not None:
            return REDEEM_ASK_S
        age_s = (turn.now_ns - self._state.redeeming[token_id]) // NS_PER_S
        return 600 if age_s < 3_600 else 3_600

    def _released(self, token_id: TokenId, evidence: str, turn: Turn) -> None:
        claim = self._state.ledger.balance(token_id).claim
        self._end_claim(token_id, evidence, turn, paid=True)
        words = f"released ${format_micros(claim)}: {evidence}"
        turn.notice(NoticeKind.REDEMPTION_SEEN, token_id, words)

    def _gone_unpaid(self, token_id: TokenId, turn: Turn) -> None:
        claim = self._state.ledger.balance(token_id).claim
        evidence = f"the balance of the token has been 0 for longer than it lags, cash is {self._state.ledger.cash}"
        self._end_claim(token_id, evidence, turn, paid=False)
        words = f"winning shares worth ${format_micros(claim)} left the wallet and no cash came for them"
        turn.notice(NoticeKind.FILL_STRANGE, token_id, words)

    def _end_claim(self, token_id: TokenId, evidence: str, turn: Turn, *, paid: bool) -> None:
        state = self._state
        claim = state.ledger.balance(token_id).claim
        market = state.market_for(token_id)
        self._bookkeeper.post(
            Posting(
                source_id=f"redeemed:{token_id}:{state.redeeming[token_id]}",
                kind=PostingKind.REDEEMED if paid else PostingKind.ADJUSTMENT,
                at_ns=turn.now_ns,
                reason="winning shares were redeemed" if paid else "winning shares left without cash",
                condition_id=market.condition_id if market else None,
                token_id=token_id,
                settled_cash=claim if paid else 0,
                claim=-claim,
                evidence=evidence,
            ),
            turn,
        )
        del state.redeeming[token_id]
        self._looked_ns.pop(token_id, None)
        del state.gone[token_id]
        state.last_account_event_ns = turn.now_ns
        for position_id in market.positions if market else ():
            turn.touch(position_id)

    def _claim(self, position: Position, market: MarketState, resolution: MarketResolved, turn: Turn) -> None:
        if position.pending_shares or not position.settled_shares:
            return
        outcome = market.market.outcome_of(position.token_id)
        each = resolution.up_payout if outcome is Outcome.UP else MICRO - resolution.up_payout
        shares = position.settled_shares
        payout = shares * each // MICRO
        self._bookkeeper.post(
            Posting(
                source_id=f"resolved:{position.position_id}:{position.resolved}",
                kind=PostingKind.RESOLVED,
                at_ns=turn.now_ns,
                reason=f"market resolved, {each} per share",
                condition_id=position.condition_id,
                token_id=position.token_id,
                position_id=position.position_id,
                settled_shares=-shares,
                claim=payout,
                resolved=shares,
                payout=payout,
                price=each,
                evidence=f"up payout {resolution.up_payout}",
            ),
            turn,
        )
        self._await_redemption(position, turn)

    def _await_redemption(self, position: Position, turn: Turn) -> None:
        claim = self._state.ledger.balance(position.token_id).claim
        if claim > 0 and position.token_id not in self._state.redeeming:
            self._state.redeeming[position.token_id] = turn.now_ns
            turn.timer(f"redeem:{position.token_id}", turn.now_ns + REDEEM_ASK_S * NS_PER_S)

    def _record(self, market: MarketState, resolution: MarketResolved, positions: list[Position], turn: Turn) -> None:
        winner = {MICRO: Outcome.UP, 0: Outcome.DOWN}.get(resolution.up_payout)
        turn.facts.append(
            SettlementRecorded(
                condition_id=market.condition_id,
                slug=market.market.slug,
                symbol=market.market.symbol,
                winner=winner,
                up_payout=resolution.up_payout,
                shares_held=sum(p.resolved for p in positions),
                payout=sum(p.payout for p in positions),
                realised_pnl=sum(p.realised_pnl for p in positions),
                fees=sum(p.fees for p in positions),
                at_ns=turn.now_ns,
            )
        )
