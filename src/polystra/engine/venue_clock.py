"""The venue's clock: our offset from it, and what a large one forbids.

What lives here: when the clocks are compared (an interval, a reconnect, a refused proof, a message that
bears another time than ours), the correction, the block on entries. What must not: the measuring itself
(an adapter's), the use of the venue's time (`EngineState.venue_now_s`).

Windows, expirations and proofs are counted in the venue's time. A correction makes expirations and
proofs right; the strategy's own timing follows our clock, so that beyond the limit no entry leaves.
"""

from __future__ import annotations

from typing import Final

from polystra.domain.events import ClockDriftMeasured
from polystra.domain.facts import NoticeKind
from polystra.domain.units import NS_PER_MS, NS_PER_S, Nanos
from polystra.engine.effects import MeasureClock
from polystra.engine.state import EngineState, Turn

CLOCK_BLOCK: Final = "clock"
_TOLD_NS: Final = NS_PER_S // 2
"""A correction that moved by less since it was last told is not told again."""


_DOUBT_PAUSE_NS: Final = 10 * NS_PER_S
"""Messages of another time have the clocks compared this often at most: they may only be late."""


class VenueClock:
    """Owns the correction."""

    def __init__(self, state: EngineState) -> None:
        self._state = state
        self._told_ns: Nanos = 0
        self._doubted_ns: Nanos | None = None

    def heard(self, at_ns: Nanos, turn: Turn) -> None:
        """A message of the venue was made at `at_ns` by its clock: too far from ours, the clocks are compared.

        Somebody may have set our clock, or the machine slept; else the message was late and nothing follows.
        """
        state = self._state
        if abs(at_ns - turn.now_ns - state.venue_offset_ns) <= state.config.risk.max_clock_drift_ns:
            return
        if self._doubted_ns is None or abs(turn.now_ns - self._doubted_ns) >= _DOUBT_PAUSE_NS:
            self._doubted_ns = turn.now_ns
            self.ask(turn)

    def ask(self, turn: Turn) -> None:
        """Have the clocks compared now."""
        turn.effects.append(MeasureClock())

    def ask_later(self, turn: Turn) -> None:
        """Have the clocks compared when the interval is over."""
        turn.timer("clock", turn.now_ns + self._state.config.clock_check_every_s * NS_PER_S)

    def due(self, turn: Turn) -> None:
        """The interval is over."""
        self.ask(turn)
        self.ask_later(turn)

    def measured(self, event: ClockDriftMeasured, turn: Turn) -> None:
        """Correct by what is proven; block entries while that is more than is allowed."""
        state = self._state
        correction_ns, most_ns = event.correction_ns, state.config.risk.max_clock_drift_ns
        state.venue_offset_ns = correction_ns
        words = (
            f"the venue's clock is {_seconds(event.offset_ns)} s from ours, "
            f"give or take {event.uncertainty_ns / NS_PER_S:.3f} s"
        )
        was_blocked = CLOCK_BLOCK in state.blocks
        if abs(correction_ns) > most_ns:
            state.blocks[CLOCK_BLOCK] = (
                f"{words}, more than MAX_CLOCK_DRIFT_SECONDS {most_ns / NS_PER_S:g}: set the machine's clock (NTP)"
            )
            if not was_blocked:
                self._told_ns = correction_ns
                turn.notice(NoticeKind.CLOCK_DRIFTED, "clock", state.blocks[CLOCK_BLOCK])
            return
        state.blocks.pop(CLOCK_BLOCK, None)
        if was_blocked:
            self._told_ns = correction_ns
            turn.notice(NoticeKind.CLOCK_AGREED, "clock", words)
        elif abs(correction_ns - self._told_ns) >= _TOLD_NS:
            self._told_ns = correction_ns
            turn.notice(NoticeKind.CLOCK_CORRECTED, "clock", f"{words}; corrected by {_seconds(correction_ns)} s")


def _seconds(nanos: Nanos) -> str:
    return f"{nanos // NS_PER_MS / 1000:+.3f}"
