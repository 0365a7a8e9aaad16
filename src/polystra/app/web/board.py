"""The board between the trading loop and the web thread: the last look, and the facts since somebody took them.

What lives here: the hand-over, and what follows from facts (counts, latest decisions, paths of prices). What must
not: JSON, HTTP. The trading loop's side stores references and returns; everything else runs in the web thread.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from polystra.adapters.store.account_reading import entries_blocked, last_reconcile
from polystra.adapters.store.pages import settled_markets
from polystra.domain.facts import (
    DecisionRecorded,
    Fact,
    IntentRecorded,
    Notice,
    NoticeKind,
    ReconcileCompleted,
    SettlementRecorded,
)
from polystra.domain.ids import ConditionId, PositionId
from polystra.domain.units import MicroPrice, Nanos
from polystra.ports.audit import ApiCall
from polystra.ports.viewing import View

BATCHES_KEPT: Final = 5_000
_DECISIONS_KEPT: Final = 200
_PATHS_KEPT: Final = 200
PATH_POINTS: Final = 3_600
"""Looks of one position: an hour of them at one a second."""


@dataclass(frozen=True, slots=True)
class PathPoint:
    """One look at a position: the midpoint and the best bid of its token, micro-dollars a share."""

    at_ns: Nanos
    mark: MicroPrice | None
    bid: MicroPrice | None


class Board:
    """`ports.viewing.Viewer`; see the module docstring."""

    def __init__(self) -> None:
        self._view: View | None = None
        self._heard: deque[Sequence[Fact]] = deque(maxlen=BATCHES_KEPT)
        self._calls: deque[ApiCall] = deque(maxlen=BATCHES_KEPT)
        self._settled = 0
        self._reconcile: ReconcileCompleted | None = None
        self._blocked = ""
        self._heart_trouble = ""
        self._decisions: OrderedDict[ConditionId, DecisionRecorded] = OrderedDict()
        self._entries: OrderedDict[PositionId, DecisionRecorded] = OrderedDict()
        self._paths: OrderedDict[PositionId, deque[PathPoint]] = OrderedDict()

    # --- the trading loop's side --------------------------------------------------------

    def show(self, view: View) -> None:
        """Replace the last look."""
        self._view = view

    def heard(self, facts: Sequence[Fact]) -> None:
        """Keep facts until the web thread takes them; the oldest go when it does not."""
        self._heard.append(facts)

    def called(self, call: ApiCall) -> None:
        """Keep a request to the venue until the web thread takes it; from whichever thread sent it."""
        self._calls.append(call)

    # --- the web thread's side ----------------------------------------------------------

    @property
    def view(self) -> View | None:
        """The last look, None before the first."""
        return self._view

    @property
    def settled(self) -> int:
        """How many markets were settled, this run and those before."""
        return self._settled

    @property
    def reconcile(self) -> ReconcileCompleted | None:
        """The last comparison with the venue."""
        return self._reconcile

    @property
    def blocked(self) -> str:
        """Why no entries are made, empty when they are."""
        return self._blocked

    @property
    def heart_trouble(self) -> str:
        """Why the venue takes no heartbeats of ours, empty when it does or none are sent."""
        return self._heart_trouble

    def decision(self, condition_id: ConditionId) -> DecisionRecorded | None:
        """The latest decision about a market in this run."""
        return self._decisions.get(condition_id)

    def entry(self, position_id: PositionId) -> DecisionRecorded | None:
        """The decision of this run that opened a position."""
        return self._entries.get(position_id)

    def path(self, position_id: PositionId) -> Sequence[PathPoint]:
        """What this run saw of a position's price, oldest first."""
        return tuple(self._paths.get(position_id, ()))

    def begin(self, connection: Connection) -> None:
        """Read what stood before this run; called once, before the first `take`."""
        self._settled = settled_markets(connection)
        self._reconcile = last_reconcile(connection)
        self._blocked = entries_blocked(connection)

    def take(self) -> list[Fact]:
        """Facts since the last call, in the order of their commits; what follows from them is noted."""
        taken: list[Fact] = []
        while self._heard:
            taken += self._heard.popleft()
        for fact in taken:
            self._note(fact)
        return taken

    def take_calls(self) -> list[ApiCall]:
        """Requests to the venue since the last call."""
        taken: list[ApiCall] = []
        while self._calls:
            taken.append(self._calls.popleft())
        return taken

    def note_view(self, view: View) -> None:
        """Add a look to the paths of the positions in it."""
        for held in view.positions:
            book = held.book
            position_id = held.recorded.position_id
            path = self._paths.setdefault(position_id, deque(maxlen=PATH_POINTS))
            if book is not None and (not path or path[-1].at_ns < view.at_ns):
                path.append(PathPoint(view.at_ns, book.mid, book.bid))
        while len(self._paths) > _PATHS_KEPT:
            self._paths.popitem(last=False)

    # --- inside -----------------------------------------------------------------------

    def _note(self, fact: Fact) -> None:
        match fact:
            case DecisionRecorded():
                self._decisions[fact.condition_id] = fact
                self._decisions.move_to_end(fact.condition_id)
                while len(self._decisions) > _DECISIONS_KEPT:
                    self._decisions.popitem(last=False)
            case IntentRecorded():
                self._intent(fact)
            case SettlementRecorded():
                self._settled += 1
            case ReconcileCompleted():
                self._reconcile = fact
            case Notice():
                self._notice(fact)
            case _:
                pass

    def _intent(self, fact: IntentRecorded) -> None:
        """Remember the decision behind the first order of a position."""
        terms = fact.order.terms
        decision = self._decisions.get(terms.condition_id)
        if decision is not None and decision.decision_id == fact.decision_id:
            self._entries.setdefault(terms.position_id, decision)
        while len(self._entries) > _PATHS_KEPT:
            self._entries.popitem(last=False)

    def _notice(self, fact: Notice) -> None:
        match fact.kind:
            case NoticeKind.ENTRIES_ALLOWED:
                self._blocked = ""
            case NoticeKind.ENTRIES_BLOCKED | NoticeKind.TRADING_HALTED:
                self._blocked = fact.message
            case NoticeKind.HEARTBEAT_FAILED:
                self._heart_trouble = fact.message
            case NoticeKind.HEARTBEAT_RECOVERED:
                self._heart_trouble = ""
            case _:
                pass
