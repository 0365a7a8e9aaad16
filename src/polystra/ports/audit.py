"""The audit port: every request that may change something at the venue, with what came of it.

Contract:
1. `record` is synchronous, never blocks and never raises; it may be called from any thread. It keeps a
   bounded number of calls that wait to be written; when more come, the oldest are dropped and counted.
2. A call holds no secret: its maker removes headers, signatures and credentials before it is recorded.
3. What becomes of the audit never stops or delays trading.
4. `write_calls` makes calls durable in a transaction of their own, apart from facts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from polystra.domain.ids import OrderId
from polystra.domain.units import Nanos

GOOD_OUTCOMES: Final = frozenset({"ok", "live", "matched", "delayed", "canceled", "found", "absent"})
"""The words of requests that did what was asked; every other word says what went wrong."""

ROUTINE_PATHS: Final = ("/v1/heartbeats", "/notifications", "/balance-allowance/update")
"""What is sent all day long and says little when it went well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiCall:
    """One attempt at one request. `status` is the HTTP status, None when no answer was read.

    `request` and `reply` are the bodies as text, bounded and without secrets; without an answer `reply`
    says why there is none. `outcome` is the word for the whole request, `orders` names each order that it
    was about with the word for that one.
    """

    at_ns: Nanos
    method: str
    path: str
    latency_ns: Nanos
    status: int | None
    request: str
    reply: str
    outcome: str
    orders: tuple[tuple[OrderId, str], ...] = ()


class ApiAudit(Protocol):
    """Where the adapter tells its calls."""

    def record(self, call: ApiCall) -> None:
        """Take a call to be written later."""
        ...


class AuditStore(Protocol):
    """Where calls are kept."""

    async def write_calls(self, calls: Sequence[ApiCall]) -> None:
        """Make calls durable, all or none. A caller that is cancelled stops waiting; they are written all the same.

        Raises:
            StoreBusy: nothing was written; try again.
            StoreError: they cannot be written.
            InvariantViolation: a call breaks a rule of the schema, or the store is closed.
        """
        ...

    async def prune_calls(self, before_ns: Nanos, routine_before_ns: Nanos) -> int:
        """Delete calls made before `before_ns`, in small transactions; returns how many went.

        Routine that went well (`ROUTINE_PATHS`) goes when it was made before `routine_before_ns`.

        Raises:
            StoreError: the database failed.
        """
        ...
