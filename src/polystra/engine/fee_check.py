"""Fees checked: what the venue charged against what the market's schedule predicts.

No message tells the fee that was charged. It shows as the cash that a quiet account has too little or too
much, when nothing but our fills moved its cash since our books last agreed with the venue. What lives here:
that comparison. What must not: the correction of the books (`reconcile`), the block (`switches`), waiting.

A difference that no fee explains (more than every share at a rate of 1, or a fee below nothing) is somebody's
transfer and no business of this check. Without an agreement in this run nothing is compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from polystra.domain.events import SwitchName
from polystra.domain.facts import NoticeKind
from polystra.domain.fills import Fill, FillStatus, Liquidity
from polystra.domain.ids import ConditionId
from polystra.domain.units import MICRO, MicroDollars, format_micros
from polystra.engine.balance_truth import some_that_sum_to
from polystra.engine.state import EngineState, Turn

TOLERATED_PART: Final = 100
"""One part in so many of the predicted fee may be missing or too much."""
TOLERATED_PER_FILL: Final[MicroDollars] = 100
"""0.0001 dollars: the venue's rounding, ten legs of half a step each and some more."""
_OUR_TRADES: Final = ("matched:", "settled:", "reversed:")


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeMismatch:
    """Fees of some taker fills together, in micro-dollars: predicted, charged, and the markets of the fills."""

    predicted: MicroDollars
    charged: MicroDollars
    fills: int
    markets: tuple[ConditionId, ...]


def judge(takers: Sequence[Fill], difference: MicroDollars) -> FeeMismatch | None:
    """What a cash difference (venue less books) says about the fees of these fills; None: nothing wrong."""
    if not takers:
        return None
    predicted = sum(fill.fee for fill in takers)
    charged = predicted - difference
    if abs(difference) <= max(predicted // TOLERATED_PART, TOLERATED_PER_FILL * len(takers)):
        return None
    if not 0 <= charged <= sum(_highest(fill) for fill in takers):
        return None
    markets = tuple(dict.fromkeys(fill.condition_id for fill in takers))
    return FeeMismatch(predicted=predicted, charged=charged, fills=len(takers), markets=markets)


class FeeCheck:
    """Tells a mismatch once for each market; its block is a switch."""

    def __init__(self, state: EngineState) -> None:
        self._state = state

    def compare(self, difference: MicroDollars, lagging: Iterable[MicroDollars], turn: Turn) -> None:
        """Judge a difference that a quiet account has shown twice; `lagging` are our movements it may not show yet."""
        if some_that_sum_to(-difference, tuple(lagging)):
            return
        found = judge(self._takers(), difference)
        if found is None or self._moved_otherwise():
            return
        for condition_id in found.markets:
            market = self._state.markets.get(condition_id)
            if market is not None and (SwitchName.FEES, market.market.slug) not in self._state.switches:
                turn.notice(NoticeKind.FEE_MISMATCHED, market.market.slug, _words(found))

    def _takers(self) -> list[Fill]:
        """Taker fills that became final after our books last agreed with the venue."""
        agreed_ns = self._state.agreed_at_ns
        if not agreed_ns:
            return []
        return [
            fill
            for fill in self._state.fills.values()
            if fill.liquidity is Liquidity.TAKER
            and fill.status is FillStatus.CONFIRMED
            and fill.updated_at_ns > agreed_ns
        ]

    def _moved_otherwise(self) -> bool:
        """True when cash moved by something else too: its part of the difference is not known."""
        since = self._state.agreed_at_ns
        return any(
            movement.cash and movement.at_ns > since and not source.startswith(_OUR_TRADES)
            for source, movement in self._state.movements.items()
        )


def _highest(fill: Fill) -> MicroDollars:
    """The fee at a rate of 1, the most that a fee can be."""
    return -(-fill.quantity * fill.price * (MICRO - fill.price) // (MICRO * MICRO)) + TOLERATED_PER_FILL


def _words(found: FeeMismatch) -> str:
    where = "" if len(found.markets) == 1 else f" in {len(found.markets)} markets together"
    return (
        f"{found.fills} taker fill{'' if found.fills == 1 else 's'}{where} should have cost "
        f"{format_micros(found.predicted)} dollars of fees, the venue charged {format_micros(found.charged)}: "
        "no entry that takes is made in this market until polystra start or its end"
    )
