"""The shares side of balance truth: when the venue says that there is nothing to sell.

After a fill the venue's cached balance may lag for seconds, so that a sell is refused for want of
balance although the shares are there (Polymarket CLOB docs, balance lag). Such a refusal is waited
out: the balance is read again (which makes the venue look at the chain) and the sell is tried again
after 1, 2, 3 s; `balance_truth` says in words what is missing. A reading near zero is never taken
for a sale; only reconciliation changes a size.
"""

from __future__ import annotations

from typing import Final

from polystra.domain.events import TokenBalanceRead
from polystra.domain.facts import NoticeKind
from polystra.domain.ids import TokenId
from polystra.domain.market import SIZE_STEP
from polystra.domain.positions import Position
from polystra.domain.units import NS_PER_MS, NS_PER_S, MicroShares, Nanos, floor_to, format_micros
from polystra.engine.balance_truth import RETRY_AFTER_S, judge_shares
from polystra.engine.effects import ReadTokenBalance
from polystra.engine.state import BalanceReading, EngineState, ExitPhase, ExitState, Turn

FRESH_NS: Final = 5 * NS_PER_S
"""A look at the venue's balance is believed for so long."""
_ANSWER_NS: Final = 2 * NS_PER_S
_LONGEST_PAUSE_S: Final = 8
_LONGEST_GUARDING_S: Final = 60
"""A take-profit may wait: the stop does not need it."""


class ExitBalance:
    """Owns what is known of the venue's share balances and the pauses after a shortage."""

    def __init__(self, state: EngineState) -> None:
        self._state = state

    def read(self, event: TokenBalanceRead, turn: Turn) -> None:
        """The venue told a balance: whoever waits for it looks again."""
        market = self._state.market_for(event.token_id)
        if event.shares is None or market is None:
            return
        self._state.readings[event.token_id] = BalanceReading(amount=event.shares, at_ns=turn.now_ns)
        for position_id in market.positions:
            exits = self._state.exits.get(position_id)
            position = self._state.positions[position_id]
            if exits is None or position.token_id != event.token_id:
                continue
            if exits.untold:
                self._tell(position, exits.untold, turn)
                exits.untold = 0
            if exits.shortages or exits.phase is ExitPhase.SELLING:
                turn.touch(position_id)

    def short(self, position: Position, exits: ExitState, wanted: MicroShares, turn: Turn) -> None:
        """A sell found no balance: ask for it, try again after 1, 2, 3 s and then more seldom."""
        exits.shortages += 1
        count = exits.shortages
        longest_s = _LONGEST_PAUSE_S if exits.phase is ExitPhase.SELLING else _LONGEST_GUARDING_S
        pause_s = RETRY_AFTER_S[count - 1] if count <= len(RETRY_AFTER_S) else min(longest_s, 2 ** min(count - 2, 6))
        exits.next_attempt_ns = turn.now_ns + pause_s * NS_PER_S
        turn.timer(f"exit:{position.position_id}", exits.next_attempt_ns)
        if count in (1, len(RETRY_AFTER_S) + 1):
            if self._fresh(position.token_id, turn.now_ns) is None:
                exits.untold = wanted
            else:
                self._tell(position, wanted, turn)
        self._ask(position, exits, turn)
        if count == len(RETRY_AFTER_S) + 1:
            turn.timer("reconcile:an exit found no balance", turn.now_ns + NS_PER_MS)

    def has_looked(self, position: Position, exits: ExitState, turn: Turn) -> bool:
        """True when the venue's balance is known freshly, or did not come in time; else it is asked for."""
        if self._fresh(position.token_id, turn.now_ns) is not None:
            return True
        asked = exits.asked_ns
        reading = self._state.readings.get(position.token_id)
        if reading is not None and reading.at_ns >= asked:
            asked = 0
        if asked and _ANSWER_NS <= turn.now_ns - asked <= FRESH_NS:
            return True
        if not asked or turn.now_ns - asked > FRESH_NS:
            self._ask(position, exits, turn)
            asked = turn.now_ns
        turn.timer(f"exit:{position.position_id}", asked + _ANSWER_NS)
        return False

    def limit(self, position: Position, quantity: MicroShares, now_ns: Nanos) -> MicroShares:
        """At most what the venue showed a moment ago, less what open sells have locked there."""
        shares = self._fresh(position.token_id, now_ns)
        if shares is None:
            return quantity
        free = shares - self._state.reserved_shares(position.token_id)
        return min(quantity, floor_to(max(0, free), SIZE_STEP))

    # --- inside -----------------------------------------------------------------------

    def _tell(self, position: Position, wanted: MicroShares, turn: Turn) -> None:
        answer = judge_shares(self._state, position.position_id, wanted, turn.now_ns)
        words = f"no balance for {format_micros(wanted)} shares, tried again: {answer.sentence}"
        turn.notice(NoticeKind.EXIT_SKIPPED, position.position_id, words)

    def _ask(self, position: Position, exits: ExitState, turn: Turn) -> None:
        exits.asked_ns = turn.now_ns
        turn.effects.append(ReadTokenBalance(token_id=position.token_id))

    def _fresh(self, token_id: TokenId, now_ns: Nanos) -> MicroShares | None:
        known = self._state.readings.get(token_id)
        return known.amount if known is not None and now_ns - known.at_ns <= FRESH_NS else None
