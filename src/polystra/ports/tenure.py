"""The daemon's hold on its account: that it is the only one that trades there.

Contract:
1. Every commit of the store proves the hold in its own transaction; after a take-over it raises `StoreFenced`.
2. `held_until_ns` is the end of the last durable term by the daemon's clock: before it nobody else can have
   taken the account over. Any thread may read it.
3. `renew` begins a new term; it raises `StoreFenced` after a take-over and `StoreBusy` when nothing was written.
"""

from __future__ import annotations

from typing import Final, Protocol

from polystra.domain.units import Nanos

TERM_S: Final = 30
"""How long a hold lasts that is not renewed, in seconds."""
RENEW_S: Final = 10
"""A term older than this is renewed, by the next commit or for its own sake."""


class Tenure(Protocol):
    """See the module docstring."""

    @property
    def held_until_ns(self) -> Nanos:
        """The end of the term, UTC nanoseconds of the daemon's clock."""
        ...

    async def renew(self) -> None:
        """Begin a new term."""
        ...
