"""Balance truth: what a balance reading of the venue is worth, and why something cannot be afforded.

The venue trades on a cached balance: after a match it may read too little, even nothing, for seconds to
minutes (Polymarket CLOB docs, balance lag), and open orders lock what they promise. "Truly insufficient"
and "locked or lagging" ask for opposite answers, so that this module tells them apart and says so in a
sentence. What must not live here: orders, postings, waiting.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from typing import Final

from polystra.domain.ids import PositionId, TokenId
from polystra.domain.units import NS_PER_S, MicroDollars, MicroShares, Nanos, format_micros
from polystra.engine.state import BalanceReading, EngineState

RETRY_AFTER_S: Final = (1, 2, 3)
"""Pauses between refreshed readings after a refusal for lack of balance."""
LAG_HORIZON_S: Final = 150
"""Longer than the longest lag of the venue's balances that is reckoned with (120 s and a cache's age)."""
LAG_HORIZON_NS: Final = LAG_HORIZON_S * NS_PER_S
DUST: Final = 10_000
"""A cent, or a hundredth of a share, in millionths: the most that rounding can add up to."""
PAYOUT_SLACK: Final = 1_000
"""A tenth of a cent: cash that differs from a claim by no more is its payout (payouts are exact, fees may not be)."""
_MOST_MOVEMENTS: Final = 10


class BalanceVerdict(StrEnum):
    """Whether an amount may be spent or sold now."""

    ENOUGH = "ENOUGH"
    LOCKED = "LOCKED"
    """Ours, but promised to our open orders."""
    LAGGING = "LAGGING"
    """Ours by our books; the venue does not show it yet, which its lag explains."""
    INSUFFICIENT = "INSUFFICIENT"
    """Not there: our books say so, or the venue has said so for longer than it lags."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceAnswer:
    """The verdict, its reason for people, and how much may be used meanwhile (millionths)."""

    verdict: BalanceVerdict
    sentence: str
    usable: int

    @property
    def may_retry(self) -> bool:
        """True when asking again in a few seconds can change the answer."""
        return self.verdict in (BalanceVerdict.LOCKED, BalanceVerdict.LAGGING)


def judge(
    *,
    needed: int,
    ledger: int,
    venue: int | None,
    reserved: int,
    since_fill_s: int | None,
    unit: str,
    cooldown_s: int = 3,
    enhanced: bool = True,
) -> BalanceAnswer:
    """Tell whether `needed` can be given, in millionths of `unit` ("dollars", "shares").

    `ledger` is what our books hold, `reserved` what our open orders have promised of it, `venue` the venue's
    last reading with reservations still in it (None: never read, or the read failed; that never means zero),
    `since_fill_s` the seconds since our last fill that touched it (None: none is known).
    """
    free = max(0, ledger - reserved)
    need, hold = format_micros(needed), format_micros(ledger)
    if ledger < needed:
        sentence = f"truly insufficient: {need} {unit} are needed, our books hold {hold}"
        return BalanceAnswer(verdict=BalanceVerdict.INSUFFICIENT, sentence=sentence, usable=free)
    if free < needed:
        sentence = (
            f"locked: {need} {unit} are needed, {format_micros(reserved)} of our {hold} are promised to open orders"
        )
        return BalanceAnswer(verdict=BalanceVerdict.LOCKED, sentence=sentence, usable=free)
    if venue is None:
        sentence = (
            f"enough by our books: {need} {unit} are needed, {format_micros(free)} are free; the venue was not read"
        )
        return BalanceAnswer(verdict=BalanceVerdict.ENOUGH, sentence=sentence, usable=free)
    shown = max(0, venue - reserved)
    if shown >= needed:
        sentence = f"enough: {need} {unit} are needed, {format_micros(min(free, shown))} are free"
        return BalanceAnswer(verdict=BalanceVerdict.ENOUGH, sentence=sentence, usable=min(free, shown))
    recent = since_fill_s is not None and since_fill_s < (LAG_HORIZON_S if enhanced else cooldown_s)
    if recent:
        sentence = (
            f"lagging: {need} {unit} are needed and our books hold {hold}; the venue shows {format_micros(venue)} "
            f"{since_fill_s} s after our last fill, which is not believed yet"
        )
        return BalanceAnswer(verdict=BalanceVerdict.LAGGING, sentence=sentence, usable=free if enhanced else shown)
    ago = "with no fill of ours" if since_fill_s is None else f"{since_fill_s} s after our last fill"
    sentence = (
        f"truly insufficient: {need} {unit} are needed and our books hold {hold}, but the venue shows "
        f"{format_micros(venue)} {ago}, too long for a lag"
    )
    return BalanceAnswer(verdict=BalanceVerdict.INSUFFICIENT, sentence=sentence, usable=min(free, shown))


def judge_shares(state: EngineState, position_id: PositionId, needed: MicroShares, now_ns: Nanos) -> BalanceAnswer:
    """Whether `needed` shares of a position can be sold now, as far as balances go."""
    position = state.positions[position_id]
    token_id = position.token_id
    return judge(
        needed=needed,
        ledger=max(0, position.shares),
        venue=_shares_of(state, position_id, token_id),
        reserved=sum(
            track.left for track in state.orders_of(position_id) if track.is_live and track.order.terms.side == "SELL"
        ),
        since_fill_s=_since_s(state.moved_at_ns(token_id), now_ns),
        unit="shares",
        cooldown_s=state.config.balance.cooldown_s,
        enhanced=state.config.balance.enhanced,
    )


def judge_cash(state: EngineState, needed: MicroDollars, now_ns: Nanos) -> BalanceAnswer:
    """Whether `needed` dollars can be spent now: the gate of entries and scale-ins."""
    reading = state.cash_reading
    return judge(
        needed=needed,
        ledger=max(0, state.ledger.cash),
        venue=None if reading is None else reading.amount,
        reserved=state.reserved_cash(),
        since_fill_s=_since_s(state.moved_at_ns(None), now_ns),
        unit="dollars",
        cooldown_s=state.config.balance.cooldown_s,
        enhanced=state.config.balance.enhanced,
    )


def in_cooldown(state: EngineState, token_id: TokenId | None, now_ns: Nanos) -> bool:
    """True while a reading of a token (None: cash) is not looked at, because a fill has just moved it."""
    return now_ns < state.moved_at_ns(token_id) + state.config.balance.cooldown_s * NS_PER_S


def may_be_lag(difference: int, movements: list[int]) -> bool:
    """True when recent movements of ours that the venue has not seen, some or all, explain a difference.

    `difference` is the venue's balance less ours, `movements` are our own signed changes within the horizon.
    """
    if not movements:
        return False
    return len(movements) > _MOST_MOVEMENTS or abs(difference) > DUST or bool(some_that_sum_to(-difference, movements))


def some_that_sum_to(amount: int, parts: Sequence[int], slack: int = DUST) -> tuple[int, ...]:
    """The places of those of `parts` that make `amount` within `slack`: all, else the fewest; () when none do."""
    every = tuple(range(len(parts)))
    if parts and abs(sum(parts) - amount) <= slack:
        return every
    largest = len(parts) if len(parts) <= _MOST_MOVEMENTS else 2
    for size in range(1, largest + 1):
        for places in combinations(every, size):
            if abs(sum(parts[place] for place in places) - amount) <= slack:
                return places
    return ()


def _shares_of(state: EngineState, position_id: PositionId, token_id: TokenId) -> int | None:
    """The venue's reading of the token, less what other positions in it hold."""
    reading: BalanceReading | None = state.readings.get(token_id)
    if reading is None:
        return None
    others = sum(
        other.shares
        for other in state.positions.held()
        if other.token_id == token_id and other.position_id != position_id
    )
    return max(0, reading.amount - others)


def _since_s(at_ns: Nanos, now_ns: Nanos) -> int | None:
    return None if at_ns == 0 else max(0, now_ns - at_ns) // NS_PER_S
