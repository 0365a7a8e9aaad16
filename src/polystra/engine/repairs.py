"""Repairs: what a person mends by hand, through the same tables and the same ledger as everything else.

What lives here: unfreezing, adopting, resolving a doubt, a reading of the account that was asked for. What must
not: evidence for the person (the shell shows it first), questions and confirmations.

Every repair is answered by one `RequestAnswered`; one that was carried out is told by a notice before it. A
doubt is never resolved on a word alone: the venue is asked once more, what it shows stands, and only where a
complete answer shows nothing does the person's word count. After a restart a repair is asked for again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from polystra.domain.events import AccountSnapshot, OrderLookedUp, RepairAct, RepairRequested, Sighting
from polystra.domain.facts import NoticeKind, ReconcileCompleted, RequestAnswered
from polystra.domain.ids import ClientOrderId, OrderId, PositionId
from polystra.domain.ledger import Posting, PostingKind
from polystra.domain.market import SIZE_STEP
from polystra.domain.positions import Position
from polystra.domain.units import MICRO, NS_PER_S, MicroDollars, MicroShares, Nanos, format_micros
from polystra.engine.bookkeeper import Bookkeeper
from polystra.engine.entries import Entries
from polystra.engine.external import order_words
from polystra.engine.gateway import Gateway
from polystra.engine.order_requests import OrderRequests
from polystra.engine.positions.exits import OVERSOLD_BLOCK
from polystra.engine.positions.reconcile import STRANGER_BLOCK, Reconciler
from polystra.engine.state import EngineState, MarketState, OrderTrack, Turn

RECONCILE_TRIGGER: Final = "asked for by hand"
WORD_COUNTS_S: Final = 60
"""What a person saw counts for so long: who waited for the answer has gone by then, and may have learnt better."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A repair that waits for the venue's answer to a question put at `asked_ns` or later."""

    request: RepairRequested
    asked_ns: Nanos


class Repairs:
    """Owns `RepairRequested`."""

    def __init__(
        self,
        state: EngineState,
        gateway: Gateway,
        *,
        bookkeeper: Bookkeeper,
        reconciler: Reconciler,
        entries: Entries,
        requests: OrderRequests,
    ) -> None:
        self._state = state
        self._gateway = gateway
        self._bookkeeper = bookkeeper
        self._reconciler = reconciler
        self._entries = entries
        self._requests = requests
        self._doubts: dict[OrderId, _Waiting] = {}
        self._readings: list[_Waiting] = []

    def requested(self, event: RepairRequested, turn: Turn) -> None:
        """Carry it out, or say in one sentence why not; what needs the venue is answered when it has answered."""
        match event.act:
            case RepairAct.RECONCILE:
                self._readings.append(_Waiting(event, turn.now_ns))
                self._reconciler.ask(RECONCILE_TRIGGER, turn)
            case RepairAct.UNFREEZE:
                self._unfreeze(event, turn)
            case RepairAct.ADOPT:
                self._adopt(event, turn)
            case RepairAct.RESOLVE_DOUBT:
                self._ask_once_more(event, turn)

    def snapshot(self, event: AccountSnapshot, turn: Turn) -> None:
        """The account was read and compared: whoever asked for it is told what was found."""
        due = [waiting for waiting in self._readings if event.asked_at_ns >= waiting.asked_ns]
        self._readings = [waiting for waiting in self._readings if event.asked_at_ns < waiting.asked_ns]
        for waiting in due:
            if not event.complete:
                _refuse(waiting.request, f"the account could not be read whole ({event.detail}): ask again", turn)
                continue
            told = [fact for fact in turn.facts if isinstance(fact, ReconcileCompleted)]
            found = "; ".join(words for fact in told for words in fact.differences) or "no difference was found"
            fills = sum(fact.fills_applied for fact in told)
            count = len(event.open_orders)
            words = f"the account was read: {found}; {fills} fill(s) were new, {count} order(s) are open at the venue"
            if self._state.share_differences or self._state.cash_difference:
                words += "; a difference was seen and is read again before anything is booked"
            _done(waiting.request, words, turn)

    def looked_up(self, event: OrderLookedUp, turn: Turn) -> None:
        """The venue was asked once more for an order in doubt: its word stands, else the person's."""
        waiting = self._doubts.get(event.order_id)
        if waiting is None or event.asked_at_ns < waiting.asked_ns:
            return
        if self._is_too_old(waiting, turn):
            self._forget(event.order_id, turn)
            return
        track = self._state.track_of(event.order_id)
        if track is None or track.order.terms.client_order_id not in self._state.doubts or not track.is_live:
            status = "forgotten" if track is None else f"{track.order.status.lower()} ({track.order.detail})"
            words = f"the venue itself has told: the order is {status}"
        elif event.open_order is not None or event.fills:
            shown = "open" if event.open_order is not None else f"with {len(event.fills)} fill(s)"
            words = f"the venue shows the order {shown}; that stands, whatever was seen before"
        elif not event.complete:
            return  # the search goes on, and asks again in a moment
        else:
            words = self._believe(track, waiting.request, turn)
        del self._doubts[event.order_id]
        _done(waiting.request, words, turn)

    # --- doubts -----------------------------------------------------------------------

    def _ask_once_more(self, event: RepairRequested, turn: Turn) -> None:
        track = self._state.orders.get(ClientOrderId(event.subject)) or self._state.track_of(OrderId(event.subject))
        if track is not None and self._is_too_old(self._doubts.get(track.order_id), turn):
            self._forget(track.order_id, turn)
        if track is None:
            _refuse(event, f"order {event.subject} is not known here: name it by our id or the venue's", turn)
        elif track.order.terms.client_order_id not in self._state.doubts or not track.is_live:
            words = f"order {event.subject} is not in doubt: it is {track.order.status.lower()}"
            _refuse(event, words, turn)
        elif event.seen is None:
            _refuse(event, f"order {event.subject}: say what you saw, accepted or rejected", turn)
        elif track.order_id in self._doubts:
            _refuse(event, f"order {event.subject} is being looked up for an earlier request: wait for that", turn)
        else:
            self._doubts[track.order_id] = _Waiting(event, turn.now_ns)
            self._gateway.look_up(track, turn)

    @staticmethod
    def _is_too_old(waiting: _Waiting | None, turn: Turn) -> bool:
        return waiting is not None and turn.now_ns - waiting.asked_ns > WORD_COUNTS_S * NS_PER_S

    def _forget(self, order_id: OrderId, turn: Turn) -> None:
        """A word that was given long ago is not believed now; the search for the order goes on without it."""
        request = self._doubts.pop(order_id).request
        words = f"the venue gave no whole answer within {WORD_COUNTS_S} s, nothing was changed: look and ask again"
        _refuse(request, f"order {request.subject}: {words}", turn)

    def _believe(self, track: OrderTrack, request: RepairRequested, turn: Turn) -> str:
        """A complete answer shows the order nowhere: what the person saw counts."""
        words = f"{request.source} saw it {request.seen}, and the venue shows it nowhere"
        if request.seen is Sighting.REJECTED:
            self._gateway.seen_rejected(track, words, turn)
            return f"{words}: it counts as refused, what it reserved is free; a cancel for its id was sent to be sure"
        self._gateway.seen_accepted(track, words, turn)
        return f"{words}: it counts as accepted, so that being absent now means that it has ended; its end is looked up"

    # --- freezes ----------------------------------------------------------------------

    def _unfreeze(self, event: RepairRequested, turn: Turn) -> None:
        meant = [market for market in self._state.markets.values() if _is_meant(market, event.subject)]
        if not meant:
            _refuse(event, f"{event.subject} is no market and no position that is watched here", turn)
            return
        over = [market for market in meant if market.frozen and market.resolution is not None]
        mended = [words for market in meant if market not in over for words in self._thaw(market, event, turn)]
        if mended:
            _done(event, "; ".join(mended), turn)
        elif over:
            _refuse(event, f"{over[0].market.slug} has its verdict ({over[0].frozen}): nothing is traded there", turn)
        else:
            _refuse(event, f"nothing of {event.subject or 'this account'} is frozen", turn)

    def _thaw(self, market: MarketState, event: RepairRequested, turn: Turn) -> list[str]:
        """Trade on in one market as our books stand; a contradiction that is still there freezes it anew."""
        mended = []
        if market.frozen:
            mended.append(f"{market.market.slug} is traded on as our books stand; was frozen: {market.frozen}")
            turn.notice(NoticeKind.MARKET_THAWED, market.condition_id, f"by {event.source}; was: {market.frozen}")
            market.frozen, market.may_thaw = "", False
            for token_id in (market.market.up_token, market.market.down_token):
                self._state.share_differences.pop(token_id, None)
        for position_id in market.positions:
            if self._state.blocks.get(OVERSOLD_BLOCK, "").startswith(f"{position_id} "):
                del self._state.blocks[OVERSOLD_BLOCK]
            exits = self._state.exits.get(position_id)
            if exits is not None and exits.watched and event.subject in ("", position_id, *_names(market)):
                mended.append(f"the take-profit of {position_id} may rest again; was watched: {exits.watched}")
                exits.watched = ""
                exits.refusals = 0
                exits.repairs.clear()
            turn.touch(position_id)
        return mended

    # --- adoption ---------------------------------------------------------------------

    def _adopt(self, event: RepairRequested, turn: Turn) -> None:
        report = self._state.external_orders.get(OrderId(event.subject))
        if report is not None:
            refused = self._requests.adopt(report, event, turn)
            if refused:
                _refuse(event, refused, turn)
                return
            del self._state.external_orders[report.order_id]
            if self._state.external_orders and STRANGER_BLOCK in self._state.blocks:
                self._state.blocks[STRANGER_BLOCK] = order_words(self._state)
            else:
                self._state.blocks.pop(STRANGER_BLOCK, None)
            size, price = format_micros(report.quantity), format_micros(report.price)
            _done(event, f"{report.side} {size} at {price} ({report.order_id}) is ours now", turn)
            return
        position = self._state.positions.get(PositionId(event.subject))
        if position is None:
            words = f"{event.subject} is neither an order nor a position that was made elsewhere: reconcile first"
            _refuse(event, words, turn)
            return
        refused = self._may_be_adopted(position, event)
        if refused:
            _refuse(event, refused, turn)
        else:
            _done(event, self._take_over(position, event, turn), turn)

    def _may_be_adopted(self, position: Position, event: RepairRequested) -> str:
        """Why a position cannot be taken over now, empty when it can."""
        market = self._state.markets.get(position.condition_id)
        if not position.external:
            return f"{position.position_id} is ours already"
        if market is None or market.resolution is not None:
            return f"the market of {position.position_id} has its verdict: what it pays is claimed all the same"
        if market.frozen:
            return f"the market of {position.position_id} is frozen ({market.frozen}): unfreeze it first"
        if position.pending_shares or position.settled_shares < SIZE_STEP:
            held, pending = format_micros(position.settled_shares), format_micros(position.pending_shares)
            return (
                f"{position.position_id} holds {held} settled and {pending} pending shares: only settled ones are taken"
            )
        if any(not track.is_settled for track in self._state.orders_of(position.position_id)):
            return f"an order of {position.position_id} is working: cancel it first"
        unknown = position.settled_shares - _known(position)
        if unknown >= SIZE_STEP and not 0 < event.price < MICRO:
            return (
                f"what {format_micros(unknown)} shares of {position.position_id} cost is not known: say it, --price "
                "between 0 and 1 dollar a share"
            )
        return ""

    def _take_over(self, old: Position, event: RepairRequested, turn: Turn) -> str:
        """Move the shares at their cost into a position of ours; cash and the token's sum stay as they are."""
        market = self._state.markets[old.condition_id]
        shares = old.settled_shares
        known = min(_known(old), shares)
        unknown = shares - known if shares - known >= SIZE_STEP else 0
        known_cost: MicroDollars = old.bought_cost - old.released_cost
        cost: MicroDollars = known_cost - (-event.price * unknown // MICRO)
        new = self._entries.open(market, market.market.outcome_of(old.token_id), turn)
        words = [*(["its trades"] if known else []), *([str(event.source)] if unknown else [])]
        told_by = f"by {' and '.join(words)}"
        evidence = f"{old.position_id} -> {new.position_id}, {format_micros(cost)} dollars {told_by}"
        for position, sign in ((old, -1), (new, 1)):
            self._bookkeeper.post(
                Posting(
                    source_id=f"adopted:{event.request_id}:{'in' if sign > 0 else 'out'}",
                    kind=PostingKind.ADJUSTMENT,
                    at_ns=turn.now_ns,
                    reason=f"adopted by {event.source}",
                    condition_id=old.condition_id,
                    token_id=old.token_id,
                    position_id=position.position_id,
                    settled_shares=sign * shares,
                    bought=shares if sign > 0 else 0,
                    bought_cost=cost if sign > 0 else 0,
                    sold=known if sign < 0 else 0,
                    sold_proceeds=known_cost if sign < 0 else 0,
                    evidence=evidence,
                ),
                turn,
            )
        return (
            f"{format_micros(shares)} shares of {old.position_id} are {new.position_id} now, cost {format_micros(cost)}"
        )


def _known(position: Position) -> MicroShares:
    """The shares that are left of those whose cost is known; dust beside them cost nothing worth asking for."""
    gone = position.sold + position.resolved - min(0, position.unexplained)
    return max(0, position.bought - gone)


def _names(market: MarketState) -> tuple[str, str]:
    return market.market.slug, market.condition_id


def _is_meant(market: MarketState, subject: str) -> bool:
    return not subject or subject in _names(market) or subject in market.positions


def _done(request: RepairRequested, words: str, turn: Turn) -> None:
    turn.notice(NoticeKind.REPAIRED, request.subject or request.act, f"{request.act} by {request.source}: {words}")
    _answer(request, "", turn)


def _refuse(request: RepairRequested, words: str, turn: Turn) -> None:
    _answer(request, words, turn)


def _answer(request: RepairRequested, refusal: str, turn: Turn) -> None:
    turn.facts.append(
        RequestAnswered(
            request_id=request.request_id, orders=(), refusal=refusal, source=request.source, at_ns=turn.now_ns
        )
    )
