"""The clock port: the only way the program learns or waits for time.

Contract:
1. `now_ns` is UTC in nanoseconds since 1970; it may be simulated, scaled or real.
2. `monotonic_ns` never goes backwards and runs at the same pace as `now_ns`.
3. `sleep(seconds)` returns no earlier than `seconds` of this clock later; zero yields once.
4. `timeout(seconds)` is an async context manager that raises `TimeoutError` in its body
   when `seconds` of this clock have passed.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from polystra.domain.units import Nanos


class Clock(Protocol):
    """Time as a service; see the module docstring for the numbered contract."""

    def now_ns(self) -> Nanos:
        """Return UTC nanoseconds since 1970."""
        ...

    def monotonic_ns(self) -> Nanos:
        """Return nanoseconds that never go backwards."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds` of this clock."""
        ...

    def timeout(self, seconds: float) -> AbstractAsyncContextManager[object]:
        """Bound the body of an `async with` to `seconds` of this clock."""
        ...
