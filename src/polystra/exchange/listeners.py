"""Who hears what happens on the exchange, by kind of event.

What lives here: the order of listeners and what each asked for. What must not: events themselves (`model`).

Most of what happens are orders of the exchange's own traders, which no client is ever told: whoever names the
kinds that it wants does not hear those, and then they are not even described (about a tenth of the
exchange's time in a simulation, by samples of the stack).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from polystra.exchange.model import CoreEvent

Listener: TypeAlias = Callable[[CoreEvent], None]


class Listeners:
    """The listeners of one exchange, each called in the order of its registration."""

    def __init__(self) -> None:
        self._entries: list[tuple[Listener, tuple[type[CoreEvent], ...]]] = []
        self._by_kind: dict[type[CoreEvent], tuple[Listener, ...]] = {}
        self.hear_house_orders = False
        """Whether anybody wants the orders of the exchange's own traders."""

    def add(self, callback: Listener, kinds: Sequence[type[CoreEvent]]) -> None:
        """Call `callback` with every event of the kinds; without any, with everything."""
        self._entries.append((callback, tuple(kinds)))
        self._changed()

    def remove(self, callback: Listener) -> None:
        """Stop calling `callback`."""
        self._entries = [entry for entry in self._entries if entry[0] != callback]
        self._changed()

    def of(self, kind: type[CoreEvent]) -> tuple[Listener, ...]:
        """Return who hears events of a kind."""
        found = self._by_kind.get(kind)
        if found is None:
            found = tuple(callback for callback, kinds in self._entries if not kinds or kind in kinds)
            self._by_kind[kind] = found
        return found

    def _changed(self) -> None:
        self._by_kind.clear()
        self.hear_house_orders = any(not kinds for _, kinds in self._entries)
