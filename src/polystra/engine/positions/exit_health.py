"""Self-healing: resting exits that do not fit the position are found, mended once, and told.

What lives here: what is wrong with the resting exits of a position, and the rule that the same
repair is not made twice in a row. What must not: cancelling and placing (exits).

A repair that is needed again with the same figures within a minute did not take: it is frozen. The
position's take-profit is then watched by the daemon instead of resting, its stop stays armed, and
the alert says so; new shares end the freeze.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from polystra.domain.facts import NoticeKind
from polystra.domain.market import SIZE_STEP
from polystra.domain.orders import OrderStatus
from polystra.domain.positions import Position
from polystra.domain.units import NS_PER_S, MicroShares, format_micros
from polystra.engine.positions.exit_plan import Target, belongs_to
from polystra.engine.state import ExitState, OrderTrack, Turn

REPAIR_WINDOW_NS: Final = 60 * NS_PER_S
_STUCK_CANCELS: Final = 4
_LOST: Final = (OrderStatus.CANCELED, OrderStatus.EXPIRED)


@dataclass(frozen=True, slots=True)
class Ailment:
    """What is wrong: its name, the state found, and the order to be withdrawn if one is."""

    name: str
    before: str
    track: OrderTrack | None = None


def excess(resting: Sequence[OrderTrack], surplus: MicroShares, held: MicroShares) -> list[Ailment]:
    """Resting sells, newest first, that promise shares which are not there (any more)."""
    found = []
    for track in reversed(resting):
        if surplus < SIZE_STEP:
            break
        name = "exit for a closed position" if held < SIZE_STEP else "exit larger than the position"
        words = f"{format_micros(track.left)} resting at {format_micros(track.order.terms.price)}"
        found.append(Ailment(name, f"{words}, {format_micros(held)} held", track))
        surplus -= track.left
    return found


def misplaced(resting: Sequence[OrderTrack], plan: Sequence[Target]) -> list[Ailment]:
    """Resting sells whose price is no longer one of the plan's."""
    found = []
    for track in resting:
        terms = track.order.terms
        if belongs_to(terms.price, terms.tick_size, plan) is None:
            wanted = ", ".join(format_micros(target.price) for target in plan) or "none"
            before = f"{format_micros(track.left)} resting at {format_micros(terms.price)}, planned {wanted}"
            found.append(Ailment("exit at another price", before, track))
    return found


def too_small(resting: Sequence[OrderTrack], missing: MicroShares, minimum: MicroShares) -> Ailment | None:
    """The newest resting sell of a target, to be joined with shares too few to rest by themselves."""
    if not SIZE_STEP <= missing < minimum:
        return None
    for track in reversed(resting):
        if track.left + missing >= minimum:
            before = f"{format_micros(track.left)} resting, {format_micros(missing)} more to cover"
            return Ailment("exit smaller than the position", before, track)
    return None


def lost(sells: Sequence[OrderTrack]) -> list[OrderTrack]:
    """Resting exits that ended without our asking and without being sold out."""
    return [
        track
        for track in sells
        if track.order.status in _LOST
        and track.order.terms.time_in_force.may_rest
        and not track.cancels
        and track.order.remaining >= SIZE_STEP
    ]


def stuck(resting: Sequence[OrderTrack]) -> list[Ailment]:
    """Sells whose cancel was sent again and again and which still may trade."""
    return [
        Ailment("exit cannot be cancelled", f"{track.cancels} cancels sent for {track.order.order_id}", track)
        for track in resting
        if track.cancels >= _STUCK_CANCELS
    ]


class ExitHealth:
    """Keeps account of repairs."""

    def mend(self, position: Position, exits: ExitState, ailment: Ailment, after: str, turn: Turn) -> None:
        """Tell a repair with before and after; freeze it when the same one was made a moment ago."""
        key = f"{ailment.name}: {ailment.before}"
        last_ns = exits.repairs.get(key)
        exits.repairs = {k: ns for k, ns in exits.repairs.items() if turn.now_ns - ns < REPAIR_WINDOW_NS}
        exits.repairs[key] = turn.now_ns
        if last_ns is None or turn.now_ns - last_ns >= REPAIR_WINDOW_NS:
            turn.notice(NoticeKind.EXIT_HEALED, position.position_id, f"{key} -> {after}")
            return
        if not exits.watched:
            exits.watched_bought = position.bought
            exits.watched = f'the repair of "{ailment.name}" did not take'
            words = f"{exits.watched} ({ailment.before}): frozen, the take-profit is watched instead"
            turn.notice(NoticeKind.EXIT_FROZEN, position.position_id, words)

    def report_stuck(self, position: Position, exits: ExitState, ailment: Ailment, turn: Turn) -> None:
        """Tell once that a cancel does not take; the gateway goes on asking."""
        key = f"{ailment.name}: {ailment.track.order.order_id if ailment.track else ''}"
        if key not in exits.repairs:
            exits.repairs[key] = turn.now_ns
            turn.notice(NoticeKind.EXIT_FROZEN, position.position_id, f"{ailment.name}: {ailment.before}")
