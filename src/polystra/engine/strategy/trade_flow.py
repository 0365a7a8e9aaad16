"""What others traded in a market lately: shares bought and sold by takers, over a few spans.

What lives here: a ring of five-second slots that forgets what is older than five minutes. What must not: prices,
books, what a signal makes of it.

Both outcomes are counted in the Up token's terms: a taker who sells Down buys Up, because the two share one book.
Sizes in micro-shares, pure integers. A print costs the same however many came before; reading sums at most 60 slots.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from polystra.domain.units import NS_PER_S, MicroShares, Nanos

SLOT_S: Final = 5
LONGEST_S: Final = 300
_SLOTS: Final = LONGEST_S // SLOT_S
_SLOT_NS: Final = SLOT_S * NS_PER_S


class Flow(NamedTuple):
    """Sums over a span: shares that takers bought and sold, and how many prints that were."""

    bought: MicroShares
    sold: MicroShares
    prints: int


class TradeFlow:
    """Of one market. Times must not run backwards by more than is forgotten."""

    __slots__ = ("_bought", "_newest", "_prints", "_sold")

    def __init__(self) -> None:
        self._bought: list[MicroShares] = []
        self._sold: list[MicroShares] = []
        self._prints: list[int] = []
        self._newest = 0
        """Number of the newest slot since 1970."""

    def add(self, size: MicroShares, *, bought: bool, now_ns: Nanos) -> None:
        """Count one print; `bought`: the taker bought Up or sold Down."""
        slot = now_ns // _SLOT_NS
        if slot > self._newest:
            self._advance(slot)
        elif slot <= self._newest - _SLOTS:
            return
        place = slot % _SLOTS
        sums = self._bought if bought else self._sold
        sums[place] += size
        self._prints[place] += 1

    def over(self, seconds: int, now_ns: Nanos) -> Flow:
        """The last `seconds`, in whole slots, the one under way included.

        Raises:
            ValueError: no slots, or more than are kept.
        """
        slots = seconds // SLOT_S
        if not 0 < slots <= _SLOTS:
            raise ValueError(f"a span of {seconds} s is not between {SLOT_S} and {LONGEST_S} s")
        now_slot = now_ns // _SLOT_NS
        first, last = now_slot - slots + 1, min(now_slot, self._newest)
        first = max(first, self._newest - _SLOTS + 1)
        bought = sold = prints = 0
        if self._prints:
            for slot in range(first, last + 1):
                place = slot % _SLOTS
                bought += self._bought[place]
                sold += self._sold[place]
                prints += self._prints[place]
        return Flow(bought, sold, prints)

    def _advance(self, slot: int) -> None:
        """Forget what the new slot and those passed over held a ring ago; a market nobody trades in keeps nothing."""
        if not self._prints or slot - self._newest >= _SLOTS:
            self._bought, self._sold, self._prints = [0] * _SLOTS, [0] * _SLOTS, [0] * _SLOTS
        else:
            for passed in range(self._newest + 1, slot + 1):
                place = passed % _SLOTS
                self._bought[place] = self._sold[place] = self._prints[place] = 0
        self._newest = slot
