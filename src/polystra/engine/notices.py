"""The venue's notices: hints to look, taken as a recovery behind the streams.

What lives here: when they are read, what each makes us look at, which are marked as read. What must
not: any change of an order, a share or a verdict; those come with the answers to what is asked.

A notice is marked as read after the commit of the turn that applied it: `DismissNotices` is an effect.
One that comes again (the mark was lost) asks nothing anew and is marked again. What trading has no use
for stays unread for the account's owner, and is told once.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from polystra.domain.events import NoticesRead
from polystra.domain.facts import NoticeKind
from polystra.domain.fills import FillStatus
from polystra.domain.notices import NoticeTopic, VenueNotice
from polystra.domain.units import NS_PER_S
from polystra.engine.effects import DismissNotices, ReadNotices
from polystra.engine.gateway import Gateway
from polystra.engine.positions.reconcile import RECONCILE_BLOCK
from polystra.engine.positions.settlement import Settlement
from polystra.engine.state import EngineState, OrderTrack, Turn

REMEMBERED: Final = 20_000
"""Notices that are remembered as applied; the oldest are forgotten."""
_LEFT_UNREAD: Final = (NoticeTopic.PERSONAL, NoticeTopic.UNKNOWN)


class VenueNotices:
    """Owns the reading of notices."""

    def __init__(self, state: EngineState, gateway: Gateway, settlement: Settlement) -> None:
        self._state = state
        self._gateway = gateway
        self._settlement = settlement
        self._begun = False
        self._applied: OrderedDict[int, None] = OrderedDict()
        self._unknown: dict[int, int] = {}

    @property
    def unknown(self) -> int:
        """How many notices of a type that we do not know have come."""
        return sum(self._unknown.values())

    def begin(self, turn: Turn) -> None:
        """Read for the first time once the account has been reconciled, then every interval."""
        if not self._begun and RECONCILE_BLOCK not in self._state.blocks:
            self._begun = True
            self.due(turn)

    def due(self, turn: Turn) -> None:
        """The interval is over."""
        self.ask(turn)
        if self._is_on:
            turn.timer("notices", turn.now_ns + self._state.config.notices_every_s * NS_PER_S)

    def ask(self, turn: Turn) -> None:
        """Read now."""
        if self._is_on:
            turn.effects.append(ReadNotices())

    def read(self, event: NoticesRead, turn: Turn) -> None:
        """Look at what the new ones name, and have them marked as read after the commit."""
        done: list[int] = []
        for notice in event.notices:
            if notice.notice_id not in self._applied:
                self._remember(notice)
                self._apply(notice, turn)
            if notice.topic not in _LEFT_UNREAD:
                done.append(notice.notice_id)
        if done:
            turn.effects.append(DismissNotices(notice_ids=tuple(done)))

    # --- inside -----------------------------------------------------------------------

    @property
    def _is_on(self) -> bool:
        return self._state.config.notices_every_s > 0

    def _remember(self, notice: VenueNotice) -> None:
        self._applied[notice.notice_id] = None
        while len(self._applied) > REMEMBERED:
            self._applied.popitem(last=False)

    def _apply(self, notice: VenueNotice, turn: Turn) -> None:
        match notice.topic:
            case NoticeTopic.ORDER_CANCELLED | NoticeTopic.ORDER_FILLED | NoticeTopic.FILL_FAILED:
                track = None if notice.order_id is None else self._state.track_of(notice.order_id)
                if track is not None and self._is_news(notice, track):
                    self._gateway.look_up(track, turn)
            case NoticeTopic.MARKET_RESOLVED:
                if notice.condition_id is not None:
                    self._settlement.ask(notice.condition_id, turn)
            case NoticeTopic.REDEEMED:
                for token_id in list(self._state.redeeming):
                    self._settlement.ask_redeemed(token_id, turn)
            case NoticeTopic.PERSONAL:
                turn.notice(NoticeKind.VENUE_NOTICE, str(notice.notice_id), f"type {notice.kind}: {notice.topic}")
            case NoticeTopic.UNKNOWN:
                self._not_known(notice, turn)
            case NoticeTopic.MARKET_LISTED:
                return

    def _is_news(self, notice: VenueNotice, track: OrderTrack) -> bool:
        """True while the order's end, a match of it or the failure of its trade may be unknown to us."""
        fills = [
            fill
            for fill in self._state.fills.of_position(track.order.terms.position_id)
            if fill.order_id == track.order_id
        ]
        told = [fill for fill in fills if notice.trade_id in (None, fill.trade_id)]
        if notice.topic is NoticeTopic.FILL_FAILED:
            return not told or any(fill.status is not FillStatus.FAILED for fill in told)
        if notice.topic is NoticeTopic.ORDER_FILLED and notice.trade_id is not None and told:
            return False
        return not track.is_settled

    def _not_known(self, notice: VenueNotice, turn: Turn) -> None:
        """Left unread, told once for its type."""
        known = self._unknown.get(notice.kind, 0)
        self._unknown[notice.kind] = known + 1
        if not known:
            words = f"type {notice.kind} is not known; notices of it are left unread"
            turn.notice(NoticeKind.VENUE_NOTICE, str(notice.notice_id), words)
