"""Keeping the account: a term that is renewed on the clock, and looked at before an order leaves.

What lives here: when the hold is renewed, and the wait for it. What must not: the lease itself (an adapter).

Commits prove the hold by themselves. Between a commit and the departure of its orders the process may have
stood still (a suspended machine, a stopped container) for longer than the term: somebody else may hold the
account then, so that nothing leaves before a new term is durable. A take-over ends the process.
"""

from __future__ import annotations

from typing import Final

from polystra.domain.errors import StoreBusy
from polystra.domain.units import NS_PER_S, Nanos
from polystra.ports.clock import Clock
from polystra.ports.logbook import LogEvent
from polystra.ports.tenure import RENEW_S, TERM_S, Tenure
from polystra.runtime.log import Log

_BUSY_PAUSE_S: Final = 0.5


class TenureKeeper:
    """See the module docstring."""

    def __init__(self, tenure: Tenure, *, clock: Clock, log: Log) -> None:
        self._tenure = tenure
        self._clock = clock
        self._log = log

    @property
    def is_current(self) -> bool:
        """True while nobody else can have taken the account over."""
        return 0 < self._left_ns() <= TERM_S * NS_PER_S

    async def run(self) -> None:
        """Renew for ever, when no commit did.

        Raises:
            StoreFenced: somebody else took the account over.
        """
        while True:
            await self._clock.sleep(RENEW_S)
            if (TERM_S - RENEW_S) * NS_PER_S < self._left_ns() <= TERM_S * NS_PER_S:
                continue
            try:
                await self._tenure.renew()
            except StoreBusy as error:
                self._log.warning(LogEvent.STORE_BUSY, error=str(error), held_effects=0)

    async def confirm(self) -> None:
        """Return while the term runs; a term that is over is renewed first, for as long as that takes.

        Raises:
            StoreFenced: somebody else took the account over.
        """
        is_told = False
        while not self.is_current:
            try:
                await self._tenure.renew()
            except StoreBusy as error:
                if not is_told:
                    self._log.error(LogEvent.STORE_BUSY, error=str(error), held_effects=1)
                is_told = True
                await self._clock.sleep(_BUSY_PAUSE_S)

    def _left_ns(self) -> Nanos:
        """What is left of the term; more than a whole one tells that the clock was set back, and nothing else."""
        return self._tenure.held_until_ns - self._clock.now_ns()
