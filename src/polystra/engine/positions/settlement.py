"""Settlement: what a resolved market pays, and the wait until the pay-out is cash.

On the verdict, held shares become a claim (RESOLVED posting: shares out, claim in, payout
realised). The claim becomes cash only when the venue shows that the shares are gone
(REDEEMED posting). Shares of a trade that is still provisional wait for its confirmation.
Nothing is redeemed by this program; losers' shares stay in the wallet, worth nothing.
"""

from __future__ import annotations

from polystra.domain.events import MarketResolved, TokenBalanceRead
from polystra.domain.facts import NoticeKind, SettlementRecorded
from polystra.domain.ledger import Posting, PostingKind
from polystra.domain.market import Outcome
from polystra.domain.positions import Position
from polystra.domain.units import MICRO, NS_PER_S
from polystra.engine.bookkeeper import Bookkeeper
from polystra.engine.effects import LookupOrder, ReadResolution, ReadTokenBalance
from polystra.engine.order_life import LOOKUP_MARGIN_NS
from polystra.engine.state import EngineState, MarketState, Turn

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
        unsettled = [
            track
            for track in self._state.orders.values()
            if track.order.terms.condition_id == market.condition_id and not track.is_settled
        ]
        if unsettled or any(p.pending_shares or p.settled_shares for p in positions):
            turn.timer(f"settle:{market.condition_id}", turn.now_ns + 2 * NS_PER_S)
            return
        market.settled = True
        self._state.settled_markets += 1
        self._record(market, resolution, positions, turn)

    def balance_read(self, event: TokenBalanceRead, turn: Turn) -> None:
        """A claim whose shares are gone from the wallet has been redeemed: it is cash now."""
        if event.token_id not in self._state.redeeming:
            return
        claim = self._state.ledger.balance(event.token_id).claim
        if event.shares is None or event.shares > 0:
            turn.timer(f"redeem:{event.token_id}", turn.now_ns + REDEEM_ASK_S * NS_PER_S)
            return
        market = self._state.market_for(event.token_id)
        self._bookkeeper.post(
            Posting(
                source_id=f"redeemed:{event.token_id}:{self._state.redeeming[event.token_id]}",
                kind=PostingKind.REDEEMED,
                at_ns=turn.now_ns,
                reason="winning shares were redeemed",
                condition_id=market.condition_id if market else None,
                token_id=event.token_id,
                settled_cash=claim,
                claim=-claim,
                evidence="the venue's balance of the token is 0",
            ),
            turn,
        )
        del self._state.redeeming[event.token_id]
        self._state.last_account_event_ns = turn.now_ns
        turn.notice(NoticeKind.REDEMPTION_SEEN, event.token_id, f"{claim} micro-dollars became cash")
        if market is not None:
            for position_id in market.positions:
                turn.touch(position_id)

    def ask_redeemed(self, token_id: str, turn: Turn) -> None:
        """The timer of a claim: read the token's balance again."""
        for known in self._state.redeeming:
            if known == token_id:
                turn.effects.append(ReadTokenBalance(token_id=known))

    # --- inside -----------------------------------------------------------------------

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
