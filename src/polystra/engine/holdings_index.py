"""The fills and positions that the engine knows, kept so that an event finds its own at once.

What lives here: fills by trade and by position, with the shares that have arrived; positions by id, with
those that hold shares. What must not: booking (bookkeeper), the ledger, decisions.

What has arrived of a position is asked for at every change of its book; it is summed when a fill
changes. A position that holds nothing costs no sum over the account anything.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, MutableMapping, ValuesView
from types import MappingProxyType
from typing import Final

from polystra.domain.fills import Fill, FillStatus
from polystra.domain.ids import PositionId
from polystra.domain.ledger import Posting
from polystra.domain.orders import Side
from polystra.domain.positions import Position
from polystra.domain.units import MicroShares

_ON_CHAIN: Final = (FillStatus.MINED, FillStatus.CONFIRMED)
_NONE: Final[Mapping[str, Fill]] = MappingProxyType({})


class Fills(MutableMapping[str, Fill]):
    """Fills by their key, the oldest first."""

    def __init__(self) -> None:
        self._all: dict[str, Fill] = {}
        self._of_position: dict[PositionId, dict[str, Fill]] = {}
        self._arrived: dict[PositionId, MicroShares] = {}
        self.changes = 0
        """Grows with every change: what was reckoned from fills holds until then."""

    def of_position(self, position_id: PositionId) -> Collection[Fill]:
        """Fills of one position, the oldest first."""
        return self._of_position.get(position_id, _NONE).values()

    def arrived(self, position_id: PositionId) -> MicroShares:
        """Shares that its fills left at the venue: bought ones seen on chain, less every sale not failed."""
        return self._arrived.get(position_id, 0)

    def values(self) -> ValuesView[Fill]:
        """Every fill, the oldest first."""
        return self._all.values()

    def __getitem__(self, key: str) -> Fill:
        return self._all[key]

    def __setitem__(self, key: str, fill: Fill) -> None:
        known = self._all.get(key)
        if known is not None and known.position_id != fill.position_id:
            del self[key]
            known = None
        position_id = fill.position_id
        self._all[key] = fill
        self._of_position.setdefault(position_id, {})[key] = fill
        gain = _arrived(fill) - (0 if known is None else _arrived(known))
        self._arrived[position_id] = self._arrived.get(position_id, 0) + gain
        self.changes += 1

    def __delitem__(self, key: str) -> None:
        fill = self._all.pop(key)
        position_id = fill.position_id
        del self._of_position[position_id][key]
        self._arrived[position_id] -= _arrived(fill)
        if not self._of_position[position_id]:
            del self._of_position[position_id], self._arrived[position_id]
        self.changes += 1

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)


class Positions(MutableMapping[PositionId, Position]):
    """Positions by their id, the oldest first; postings reach a position through `book` only."""

    def __init__(self) -> None:
        self._all: dict[PositionId, Position] = {}
        self._held: dict[PositionId, Position] = {}
        self.changes = 0
        """Grows with every change: what was reckoned from positions holds until then."""

    def held(self) -> Collection[Position]:
        """Positions with shares, in no particular order."""
        return self._held.values()

    def book(self, position_id: PositionId, posting: Posting) -> None:
        """Add a posting to its position, if that is known."""
        position = self._all.get(position_id)
        if position is not None:
            position.add(posting)
            self._note(position)

    def values(self) -> ValuesView[Position]:
        """Every position, the oldest first."""
        return self._all.values()

    def __getitem__(self, position_id: PositionId) -> Position:
        return self._all[position_id]

    def __setitem__(self, position_id: PositionId, position: Position) -> None:
        self._all[position_id] = position
        self._note(position)

    def __delitem__(self, position_id: PositionId) -> None:
        del self._all[position_id]
        self._held.pop(position_id, None)
        self.changes += 1

    def __iter__(self) -> Iterator[PositionId]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def _note(self, position: Position) -> None:
        self.changes += 1
        if position.shares > 0:
            self._held[position.position_id] = position
        else:
            self._held.pop(position.position_id, None)


def _arrived(fill: Fill) -> MicroShares:
    """What one fill adds to the shares that the venue lets us sell."""
    if fill.status is FillStatus.FAILED:
        return 0
    if fill.side is Side.SELL:
        return -fill.quantity
    return fill.quantity if fill.status in _ON_CHAIN else 0
