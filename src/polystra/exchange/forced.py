"""Refusals on request: the texts of the venue that no state of this exchange brings about.

What lives here: which refusal the next calls of a route get. What must not: HTTP (`edge`), who asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from polystra.domain.errors import ConfigError
from polystra.exchange.model import Refusal

PLACEMENT: Final = "placement"
"""The name under which any order, alone or as the leg of a batch, is refused before the book."""


@dataclass(slots=True)
class _Forced:
    refusal: Refusal
    left: int


class ForcedRefusals:
    """Refusals that a test or the operator asked for, by route (`POST /order`) or for any placement."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[_Forced]] = {}

    def add(self, refusal: Refusal, *, count: int = 1, route: str = PLACEMENT) -> None:
        """Refuse the next `count` calls of a route.

        Raises:
            ConfigError: a count below one, or a status that is no refusal.
        """
        if count < 1 or not 400 <= refusal.status <= 599:
            raise ConfigError(f"count is {count} and status {refusal.status}; use 1 or more and 400 to 599")
        self._waiting.setdefault(route, []).append(_Forced(refusal, count))

    def take(self, route: str) -> Refusal | None:
        """Return the refusal that is due on a route, counting it; None when there is none."""
        waiting = self._waiting.get(route)
        if not waiting:
            return None
        first = waiting[0]
        first.left -= 1
        if first.left == 0:
            waiting.pop(0)
        return first.refusal
