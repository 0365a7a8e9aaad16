"""Our orders and what is known of their fate, kept so that an event finds its own at once.

What lives here: one order with what the venue has told of it, and all of them by id, by position, by
market and by whether anything of them is still open. What must not: what happens to an order (gateway,
order_life, doubt), sums that need anything but orders.

`is_live` and `is_settled` follow from five fields and are asked for far more often than those are
written: every write works them out anew and moves the order between the indexes, so that they cannot be
wrong. A settled order costs no event of another order or of a book anything.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping, MutableMapping, ValuesView
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, TypeVar

from polystra.domain.errors import InvariantViolation
from polystra.domain.events import RefusalClass
from polystra.domain.ids import ClientOrderId, ConditionId, OrderId, PositionId
from polystra.domain.market import SIZE_STEP
from polystra.domain.orders import Order, SignedOrder
from polystra.domain.units import MicroShares, Nanos

_FATE: Final = frozenset({"order", "matched", "failed", "fate_known"})
"""Fields that `is_live` and `is_settled` follow from."""
_K = TypeVar("_K", bound=Hashable)
_NONE: Final[Mapping[ClientOrderId, OrderTrack]] = MappingProxyType({})


@dataclass(slots=True)
class OrderTrack:
    """One order and what is known of its fate at the venue."""

    order: Order
    signed: SignedOrder | None = None
    decision_id: int | None = None
    deadline_ns: Nanos = 0
    """It must not be sent after this time; 0: no deadline."""
    rank: int = 0
    matched: MicroShares = 0
    """The largest cumulative matched quantity that the venue has told (shares)."""
    failed: MicroShares = 0
    """Matched shares whose trades failed on chain: accounted for, though not filled."""
    acknowledged_ns: Nanos = 0
    """When the venue first showed that it knows the order; absence from then on means that it ended."""
    delayed: bool = False
    """True while all that the venue has said of it is that it will match it later: it may not be on the book yet."""
    fate_known: bool = False
    """True when the venue said that the order is no longer open and how much of it was matched."""
    cancel_asked_ns: Nanos = 0
    """Time of the last cancel sent; from the first one on the order is wanted gone."""
    cancels: int = 0
    cancel_held: bool = False
    """True while its cancel waits for the venue to take cancels."""
    missing: bool = False
    """True while the last look-up did not show it open."""
    sent_again: int = 0
    """How often the same signed bytes were sent once more because nothing was known of them."""
    sent_again_ns: Nanos = 0
    unknown_ns: Nanos = 0
    """When an unknown outcome was last told: whatever was sent for it had left by then."""
    was_duplicate: bool = False
    """True when the venue said that it has had these bytes: they arrived, whatever became of them."""
    lookups: int = 0
    absences: int = 0
    doubt_since_ns: Nanos = 0
    """When its fate became unknown; 0: it never was."""
    alerts: int = 0
    """How many times it was told that the doubt lasts."""
    refused: RefusalClass | None = None
    """What the venue's definite no asked of us."""
    is_live: bool = field(init=False, repr=False, compare=False)
    """True while it may still trade; follows from the fields above."""
    is_settled: bool = field(init=False, repr=False, compare=False)
    """True when it can no longer trade and every share that it traded is booked; follows from the fields above."""
    kept_in: Orders | None = field(init=False, repr=False, compare=False, default=None)
    """The orders that it is one of. The last field: an order that has it is wholly made."""

    def __post_init__(self) -> None:
        self._judge()

    def __setattr__(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)
        if not hasattr(self, "kept_in"):
            return
        if name in _FATE:
            self._judge()
        if self.kept_in is not None:
            self.kept_in.note(self)

    def _judge(self) -> None:
        live = self.order.is_live
        object.__setattr__(self, "is_live", live)
        settled = not live and self.fate_known and self.accounted + SIZE_STEP > self.matched
        object.__setattr__(self, "is_settled", settled)

    @property
    def order_id(self) -> OrderId:
        """The venue's id; raises InvariantViolation before signing."""
        if self.order.order_id is None:
            raise InvariantViolation(f"order {self.order.terms.client_order_id} has no venue id yet")
        return self.order.order_id

    @property
    def sent_ns(self) -> Nanos:
        """When its bytes were last sent, at the earliest."""
        return max(self.order.created_at_ns, self.sent_again_ns)

    @property
    def left_ns(self) -> Nanos:
        """When its bytes may last have left, re-sends within one request included."""
        return max(self.sent_ns, self.unknown_ns)

    @property
    def accounted(self) -> MicroShares:
        """Matched shares whose trades we know, the failed ones included."""
        return self.order.filled + self.failed

    @property
    def left(self) -> MicroShares:
        """Shares that it may still trade: a match whose trade failed does not come back to the book."""
        return max(0, self.order.terms.quantity - self.accounted)

    @property
    def unaccounted(self) -> MicroShares:
        """Shares that it may still trade, or may have traded without our books knowing: an end alone frees nothing."""
        if self.order.is_live or not self.fate_known:
            return self.left
        return max(0, self.matched - self.accounted)


class Orders(MutableMapping[ClientOrderId, OrderTrack]):
    """Orders by our id, the oldest first. What is changed through it or through an order keeps its indexes right."""

    def __init__(self) -> None:
        self._all: dict[ClientOrderId, OrderTrack] = {}
        self._of_position: dict[PositionId, dict[ClientOrderId, OrderTrack]] = {}
        self._of_market: dict[ConditionId, dict[ClientOrderId, OrderTrack]] = {}
        self._unsettled: dict[ClientOrderId, OrderTrack] = {}
        self.changes = 0
        """Grows whenever anything about any order changes: what was reckoned from orders holds until then."""

    def of_position(self, position_id: PositionId) -> Collection[OrderTrack]:
        """Orders of one position, the oldest first."""
        return self._of_position.get(position_id, _NONE).values()

    def of_market(self, condition_id: ConditionId) -> Collection[OrderTrack]:
        """Orders of one market, the oldest first."""
        return self._of_market.get(condition_id, _NONE).values()

    def unsettled(self) -> list[OrderTrack]:
        """Orders that may still trade or whose trades are not all booked, the oldest first."""
        return list(self._unsettled.values())

    def note(self, track: OrderTrack) -> None:
        """An order changed: called by the order itself."""
        self.changes += 1
        client_order_id = track.order.terms.client_order_id
        if track.is_settled:
            self._unsettled.pop(client_order_id, None)
        elif client_order_id not in self._unsettled:
            if track is next(reversed(self._all.values())):
                self._unsettled[client_order_id] = track
            else:  # the venue revived an order that was over: rare, and it goes back to its place
                self._unsettled = {key: each for key, each in self._all.items() if not each.is_settled}

    # --- a mapping --------------------------------------------------------------------

    def values(self) -> ValuesView[OrderTrack]:
        """Every order, the oldest first."""
        return self._all.values()

    def __getitem__(self, client_order_id: ClientOrderId) -> OrderTrack:
        return self._all[client_order_id]

    def __setitem__(self, client_order_id: ClientOrderId, track: OrderTrack) -> None:
        if client_order_id in self._all:
            del self[client_order_id]
        terms = track.order.terms
        self._all[client_order_id] = track
        self._of_position.setdefault(terms.position_id, {})[client_order_id] = track
        self._of_market.setdefault(terms.condition_id, {})[client_order_id] = track
        track.kept_in = self

    def __delitem__(self, client_order_id: ClientOrderId) -> None:
        track = self._all.pop(client_order_id)
        track.kept_in = None
        self._unsettled.pop(client_order_id, None)
        terms = track.order.terms
        _drop(self._of_position, terms.position_id, client_order_id)
        _drop(self._of_market, terms.condition_id, client_order_id)
        self.changes += 1

    def __iter__(self) -> Iterator[ClientOrderId]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)


def _drop(index: dict[_K, dict[ClientOrderId, OrderTrack]], key: _K, client_order_id: ClientOrderId) -> None:
    del index[key][client_order_id]
    if not index[key]:
        del index[key]
