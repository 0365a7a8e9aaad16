"""What state the venue is in, as its refusals and answers show it.

What lives here: the modes and what each allows. What must not: how a mode is recognised (adapters)
or left (engine). Source: Polymarket docs, matching engine and error codes.
"""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import Final

from polystra.domain.units import NS_PER_S, Nanos

HEARTBEAT_GAP_NS: Final[Nanos] = 8 * NS_PER_S
"""After so long without an accepted heartbeat resting orders may be gone: the venue looks every 5 s for 10 s of it."""


class VenueMode(StrEnum):
    """A state of the venue's matching engine, or of our account there."""

    NORMAL = "NORMAL"
    RESTARTING = "RESTARTING"
    """HTTP 425: no order and no cancel is taken, for a minute or two; the post-only minutes follow."""
    POST_ONLY = "POST_ONLY"
    """Two minutes after a restart: only post-only orders and cancels."""
    CANCEL_ONLY = "CANCEL_ONLY"
    """Cancels are taken, orders are not."""
    DISABLED = "DISABLED"
    """Nothing is taken, cancels neither."""
    CLOSED_ONLY = "CLOSED_ONLY"
    """This account may only reduce what it holds."""

    @property
    def words(self) -> str:
        """What the venue does in this mode, to follow "the venue"."""
        return _WORDS[self]

    @property
    def takes_entries(self) -> bool:
        """True when a new position may be opened."""
        return self is VenueMode.NORMAL

    @property
    def takes_cancels(self) -> bool:
        """True when a cancel is carried out."""
        return self not in (VenueMode.RESTARTING, VenueMode.DISABLED)

    @property
    def takes_taker_exits(self) -> bool:
        """True when a marketable sell is taken."""
        return self in (VenueMode.NORMAL, VenueMode.CLOSED_ONLY)

    @property
    def takes_post_only(self) -> bool:
        """True when an order that rests is taken (in CLOSED_ONLY only one that reduces)."""
        return self in (VenueMode.NORMAL, VenueMode.POST_ONLY, VenueMode.CLOSED_ONLY)


_WORDS: Final = MappingProxyType(
    {
        VenueMode.NORMAL: "takes orders",
        VenueMode.RESTARTING: "restarts and takes neither orders nor cancels",
        VenueMode.POST_ONLY: "takes only post-only orders after a restart",
        VenueMode.CANCEL_ONLY: "takes only cancels",
        VenueMode.DISABLED: "has trading disabled",
        VenueMode.CLOSED_ONLY: "lets this account only reduce what it holds",
    }
)
