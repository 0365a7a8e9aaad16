"""The source of settings: what a running daemon may take of its settings while it trades.

Contract: 1. `read` looks at the files anew and changes nothing; 2. a reading that cannot be taken as a whole says
why in `refusal` and holds no changes; 3. `taken` makes the last reading the one that holds; 4. no text holds a secret.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from polystra.engine.config import EngineConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsReading:
    """What differs from the settings that hold: in words for people, and as paths of the engine's configuration."""

    words: tuple[str, ...] = ()
    changes: tuple[tuple[str, str], ...] = ()
    refusal: str = ""


class SettingsSource(Protocol):
    """See the module docstring."""

    @property
    def allows_entries_by_hand(self) -> bool:
        """True when a person may ask for an entry."""
        ...

    def read(self, config: EngineConfig) -> SettingsReading:
        """Read the settings anew and compare them with those that hold; `config` is the engine's. Never raises."""
        ...

    def taken(self) -> None:
        """The last reading holds from now on."""
        ...
