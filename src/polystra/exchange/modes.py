"""The venue's modes: normal, restarting, post-only, cancel-only, disabled, and who enters them when.

What lives here: a table of modes (what each refuses, in whose words, how long it lasts, what comes
next), entered by a schedule or by the operator. What must not: HTTP, orders.

Modes change with the instants that callers bring; nothing runs by itself. Texts, codes and headers:
Polymarket CLOB docs, trading/matching-engine and resources/error-codes.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from polystra.exchange.model import NS_PER_S, Refusal
from polystra.exchange.schedule import eastern, eastern_offset_s
from polystra.exchange.venue_rules import VenueRules

DAY_S: Final = 86_400
RESTART_HOUR: Final = 7
RESTART_WEEKDAY: Final = 1

ENGINE_RESTARTING: Final = Refusal("service not ready", 425)
TRADING_DISABLED: Final = Refusal("Trading is currently disabled. Check polymarket.com for updates", 503)
CANCEL_ONLY_TEXT: Final = "Trading is currently cancel-only. New orders are not accepted, but cancels are allowed."
CANCELS_ONLY: Final = Refusal(CANCEL_ONLY_TEXT, 503)
POST_ONLY_TEXT: Final = "post-only mode: only post-only orders and cancels are allowed"
POST_ONLY_CODE: Final = "post_only_mode"


class Mode(Enum):
    """What the matching engine is able or willing to do."""

    NORMAL = "normal"
    RESTARTING = "restarting"
    POST_ONLY = "post-only"
    CANCEL_ONLY = "cancel-only"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class _Row:
    """One mode: what placements and cancels are answered, and what follows it."""

    placement: Refusal | None
    cancel: Refusal | None
    follows: Mode


TABLE: Final[Mapping[Mode, _Row]] = {
    Mode.NORMAL: _Row(None, None, Mode.NORMAL),
    Mode.RESTARTING: _Row(ENGINE_RESTARTING, ENGINE_RESTARTING, Mode.POST_ONLY),
    Mode.POST_ONLY: _Row(None, None, Mode.NORMAL),
    Mode.CANCEL_ONLY: _Row(CANCELS_ONLY, None, Mode.NORMAL),
    Mode.DISABLED: _Row(TRADING_DISABLED, TRADING_DISABLED, Mode.NORMAL),
}


class VenueModes:
    """The state machine; every question carries its instant in UTC nanoseconds."""

    def __init__(self, rules: VenueRules) -> None:
        self._rules = rules
        self._mode = Mode.NORMAL
        self._until_ns: int | None = None
        self._planned: list[tuple[int, str, int | None]] = []
        self._weekly_ns: int | None = None

    def enter(self, mode: Mode, now_ns: int, seconds: int | None = None) -> None:
        """Enter a mode now; `seconds` None takes the usual length (open-ended but for restarts)."""
        self._mode = mode
        self._until_ns = self._end(mode, now_ns, seconds)

    def plan(self, mode: Mode, at_ns: int, seconds: int | None = None) -> None:
        """Enter a mode once `at_ns` has come."""
        insort(self._planned, (at_ns, mode.value, seconds), key=lambda entry: entry[:2])

    def at(self, now_ns: int) -> Mode:
        """Return the mode at an instant; instants must not go backwards."""
        if self._rules.weekly_restart and self._weekly_ns is None:
            self._weekly_ns = next_weekly_restart_s(now_ns // NS_PER_S) * NS_PER_S
        while (change := self._next_change(now_ns)) is not None:
            self._carry_out(change)
        return self._mode

    def until_ns(self, now_ns: int) -> int | None:
        """Return when the mode of an instant ends; None when nobody knows."""
        self.at(now_ns)
        return self._until_ns

    def refuse_placement(self, now_ns: int, *, post_only: bool) -> Refusal | None:
        """Return what an order is answered now, None when it may go on."""
        mode = self.at(now_ns)
        if mode is Mode.POST_ONLY and not post_only:
            left_s = 1 if self._until_ns is None else max(1, -(-(self._until_ns - now_ns) // NS_PER_S))
            return Refusal(POST_ONLY_TEXT, 503, code=POST_ONLY_CODE, retry_after_s=left_s)
        return TABLE[mode].placement

    def refuse_batch(self, now_ns: int) -> Refusal | None:
        """Return what a whole batch is answered now; in post-only mode its legs are answered one by one."""
        return TABLE[self.at(now_ns)].placement

    def refuse_cancel(self, now_ns: int) -> Refusal | None:
        """Return what a cancel is answered now, None when it may go on."""
        return TABLE[self.at(now_ns)].cancel

    def refuse_engine(self, now_ns: int) -> Refusal | None:
        """Return 425 while the engine restarts: for whatever else needs the engine, as heartbeats."""
        return ENGINE_RESTARTING if self.at(now_ns) is Mode.RESTARTING else None

    def _end(self, mode: Mode, start_ns: int, seconds: int | None) -> int | None:
        usual = {Mode.RESTARTING: self._rules.restart_s, Mode.POST_ONLY: self._rules.post_only_s}
        length_s = usual.get(mode) if seconds is None else seconds
        return None if length_s is None or mode is Mode.NORMAL else start_ns + length_s * NS_PER_S

    def _next_change(self, now_ns: int) -> _Change | None:
        """Return the earliest change that is due: the end of the mode, a planned one, the weekly restart."""
        due: list[_Change] = []
        if self._until_ns is not None and self._until_ns <= now_ns:
            due.append(_Change(self._until_ns, TABLE[self._mode].follows, None))
        if self._planned and self._planned[0][0] <= now_ns:
            at_ns, name, seconds = self._planned[0]
            due.append(_Change(at_ns, Mode(name), seconds, planned=True))
        if self._weekly_ns is not None and self._weekly_ns <= now_ns:
            due.append(_Change(self._weekly_ns, Mode.RESTARTING, None, weekly=True))
        return min(due, key=lambda change: change.at_ns) if due else None

    def _carry_out(self, change: _Change) -> None:
        if change.planned:
            self._planned.pop(0)
        if change.weekly:
            self._weekly_ns = next_weekly_restart_s(change.at_ns // NS_PER_S + 1) * NS_PER_S
        self.enter(change.mode, change.at_ns, change.seconds)


@dataclass(frozen=True, slots=True)
class _Change:
    at_ns: int
    mode: Mode
    seconds: int | None
    planned: bool = False
    weekly: bool = False


def next_weekly_restart_s(not_before_s: int) -> int:
    """Return the first Tuesday 07:00 US Eastern at or after a UTC second."""
    local_midnight_s = (not_before_s + eastern_offset_s(not_before_s)) // DAY_S * DAY_S
    for day in range(9):
        wall_s = local_midnight_s + day * DAY_S + RESTART_HOUR * 3_600
        second = wall_s - eastern_offset_s(wall_s - eastern_offset_s(wall_s))
        if second >= not_before_s and eastern(second).weekday() == RESTART_WEEKDAY:
            return second
    raise AssertionError("every span of nine days holds a Tuesday")
