"""Results: what was won and lost, by day, from the peak and in a row. Sums over postings only.

What lives here: the figures that loss limits are judged on. What must not: the limits (`switches`),
marks of open positions, markets. Because everything follows from postings, a restart that replays
them arrives at the same figures. The day is the UTC day of the posting.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from typing import Final

from polystra.domain.events import SwitchName
from polystra.domain.facts import SwitchChanged
from polystra.domain.ids import ConditionId, PositionId
from polystra.domain.ledger import Posting
from polystra.domain.market import SIZE_STEP
from polystra.domain.positions import Position
from polystra.domain.units import NS_PER_S, MicroDollars, Nanos

DAY_NS: Final = 86_400 * NS_PER_S
_ENDED_KEPT: Final = 200


def next_day_ns(now_ns: Nanos) -> Nanos:
    """Return the first nanosecond of the next UTC day."""
    return (now_ns // DAY_NS + 1) * DAY_NS


@dataclass(slots=True)
class Results:
    """Realised results in micro-dollars, net of fees."""

    realised: MicroDollars = 0
    peak: MicroDollars = 0
    """The highest realised result since the beginning or the last resumption."""
    _day: int = 0
    _day_start: MicroDollars = 0
    _positions: dict[PositionId, Position] = field(default_factory=dict)
    _ended: dict[PositionId, tuple[Nanos, MicroDollars]] = field(default_factory=dict)
    _peak_since_ns: Nanos = 0
    _row_since_ns: Nanos = 0

    def book(self, posting: Posting) -> None:
        """Take one new posting."""
        if posting.position_id is None or posting.condition_id is None or posting.token_id is None:
            return
        self._roll(posting.at_ns)
        position = self._positions.get(posting.position_id)
        if position is None:
            position = Position(
                position_id=posting.position_id,
                condition_id=posting.condition_id,
                token_id=posting.token_id,
                opened_at_ns=posting.at_ns,
            )
            self._positions[posting.position_id] = position
        before = position.realised_pnl
        position.add(posting)
        self.realised += position.realised_pnl - before
        self.peak = self.realised if posting.at_ns <= self._peak_since_ns else max(self.peak, self.realised)
        self._note_end(position, posting.at_ns)

    def today(self, now_ns: Nanos) -> MicroDollars:
        """What was realised since midnight UTC."""
        self._roll(now_ns)
        return self.realised - self._day_start

    def day_so_far(self, now_ns: Nanos) -> MicroDollars:
        """The same for somebody who only looks: nothing here moves on to the next day by it."""
        return self.realised - self._day_start if now_ns // DAY_NS <= self._day else 0

    def losses_in_row(self) -> int:
        """How many of the last positions to end were losses, without a gain between."""
        count = 0
        for ended_ns, result in reversed(self._ended.values()):
            if ended_ns <= self._row_since_ns or result >= 0:
                break
            count += 1
        return count

    def resume(self, switches: Iterable[SwitchChanged]) -> None:
        """Before the first posting: from when each limit that somebody cleared is counted."""
        for switch in switches:
            if switch.on:
                continue
            if switch.name is SwitchName.CONSECUTIVE_LOSSES:
                self.resume_row(switch.at_ns)
            elif switch.name is SwitchName.DRAWDOWN:
                self.resume_peak(switch.at_ns)

    def resume_row(self, at_ns: Nanos) -> None:
        """Somebody has seen the losses: count from here on."""
        self._row_since_ns = max(self._row_since_ns, at_ns)

    def resume_peak(self, at_ns: Nanos) -> None:
        """Somebody has seen the drawdown: the peak is where the result stands now."""
        self._peak_since_ns = max(self._peak_since_ns, at_ns)
        self.peak = self.realised

    def forget(self, condition_id: ConditionId) -> None:
        """Drop the positions of a market whose business is done; the sums stay."""
        for position_id, position in list(self._positions.items()):
            if position.condition_id == condition_id:
                del self._positions[position_id]

    def forget_before(self, at_ns: Nanos, kept: Container[ConditionId]) -> None:
        """Drop the positions of other markets than `kept` that were opened before `at_ns`; the sums stay."""
        for position_id, position in list(self._positions.items()):
            if position.opened_at_ns < at_ns and position.condition_id not in kept:
                del self._positions[position_id]

    # --- inside -----------------------------------------------------------------------

    def _roll(self, at_ns: Nanos) -> None:
        day = at_ns // DAY_NS
        if day > self._day:
            self._day = day
            self._day_start = self.realised

    def _note_end(self, position: Position, at_ns: Nanos) -> None:
        """A position with no share left has ended, until shares come back to it."""
        if position.bought <= 0 or position.shares >= SIZE_STEP:
            self._ended.pop(position.position_id, None)
            return
        ended_ns, _ = self._ended.get(position.position_id, (at_ns, 0))
        self._ended[position.position_id] = (ended_ns, position.realised_pnl)
        while len(self._ended) > _ENDED_KEPT:
            del self._ended[next(iter(self._ended))]
