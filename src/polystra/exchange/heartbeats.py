"""The dead man's switch: an API key whose heart stops beating loses its open orders.

What lives here: who is armed, which id is expected next, when a heart counts as stopped. What must
not: cancelling (`core`), HTTP.

Rules: Polymarket CLOB docs, heartbeats. The first successful beat arms; the look comes every
CHECK_EVERY_S and finds a heart stopped that was silent for SILENCE_S; there is no disarming. Ours,
because it is not documented: after it has fired, the switch rests until the next valid beat, the
expected id stays the same, and an armed switch survives a restart.
"""

from __future__ import annotations

from typing import Final

import msgspec

from polystra.exchange.chain import Agenda, CheckHeartbeat
from polystra.exchange.model import NS_PER_S
from polystra.exchange.state import State

SILENCE_S: Final = 10
CHECK_EVERY_S: Final = 5
_KIND: Final = "heartbeat"


class Heart(msgspec.Struct, frozen=True, kw_only=True):
    """One key's switch: the id that the next beat must carry, and the last beat's instant."""

    expected: str
    beat_ns: int
    armed: bool = True


class Heartbeats:
    """All switches, by API key id."""

    def __init__(self, state: State, agenda: Agenda) -> None:
        self._state = state
        self._agenda = agenda
        self._hearts = {name: msgspec.json.decode(body, type=Heart) for name, body in state.records_of(_KIND)}

    def resume(self, now_ns: int) -> None:
        """Look again after the armed ones of an earlier run."""
        for key, heart in self._hearts.items():
            if heart.armed:
                self._agenda.add(now_ns + CHECK_EVERY_S * NS_PER_S, CheckHeartbeat(key))

    def heart(self, key: str) -> Heart | None:
        """Return a key's switch, None before its first beat."""
        return self._hearts.get(key)

    def beat(self, key: str, heartbeat_id: str, now_ns: int) -> tuple[bool, str]:
        """Take a beat; returns whether it was valid, and the id that the next one must carry."""
        heart = self._hearts.get(key)
        expected = "" if heart is None else heart.expected
        if heartbeat_id != expected:
            return False, expected
        following = self._state.next_uuid()
        self._put(key, Heart(expected=following, beat_ns=now_ns))
        if heart is None or not heart.armed:
            self._agenda.add(now_ns + CHECK_EVERY_S * NS_PER_S, CheckHeartbeat(key))
        return True, following

    def beat_without_id(self, key: str, now_ns: int) -> None:
        """Take a beat of the older form, which carries no id."""
        heart = self._hearts.get(key)
        self.beat(key, "" if heart is None else heart.expected, now_ns)

    def stopped(self, key: str, at_ns: int) -> bool:
        """Look after a key; True when its heart has stopped, else it is looked after again."""
        heart = self._hearts[key]
        if at_ns - heart.beat_ns < SILENCE_S * NS_PER_S:
            self._agenda.add(at_ns + CHECK_EVERY_S * NS_PER_S, CheckHeartbeat(key))
            return False
        self._put(key, msgspec.structs.replace(heart, armed=False))
        return True

    def _put(self, key: str, heart: Heart) -> None:
        self._hearts[key] = heart
        self._state.put_record(_KIND, key, msgspec.json.encode(heart))
