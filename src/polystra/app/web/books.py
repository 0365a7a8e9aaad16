"""The whole account read from the database, for results: profit, days, balance, trades, equity.

What lives here: how often it is read. What must not: the figures. A reading of a large account takes processor time
that the trading loop shares, so that one that took a second is used for twenty: watchers cost a twentieth at most,
however often they ask.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection

from polystra.adapters.store.account_reading import AccountReading, account_on
from polystra.domain.units import NS_PER_S, Nanos
from polystra.ports.clock import Clock

_FRESH_NS: Final = 2 * NS_PER_S
_SHARE: Final = 20


class Books:
    """See the module docstring. Used by one reader at a time; `real` is the system's clock."""

    def __init__(self, real: Clock) -> None:
        self._real = real
        self._account: AccountReading | None = None
        self._good_until_ns: Nanos = 0

    def account(self, connection: Connection) -> AccountReading:
        """The account as it was lately: two seconds ago at most, longer where a reading takes longer than a tenth."""
        began_ns = self._real.monotonic_ns()
        if self._account is None or began_ns >= self._good_until_ns:
            self._account = account_on(connection)
            ended_ns = self._real.monotonic_ns()
            self._good_until_ns = ended_ns + max(_FRESH_NS, _SHARE * (ended_ns - began_ns))
        return self._account
