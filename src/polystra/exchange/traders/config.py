"""How many traders of which kind a market of the built-in exchange gets.

What lives here: the crowd's configuration, its limits and its named forms. What must not: how a
trader behaves (its own module), who is sent where (`crowd`).

The default is the quiet crowd: two market makers and one noise taker per market.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final

from polystra.domain.errors import ConfigError

_MOST: Final = 50
_PERCENT: Final = (10, 1_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class CrowdConfig:
    """Counts are traders per market; percentages scale what a trader draws for itself (100: as drawn).

    `pace_percent` is how often all traders act, against how often they would: 25 gives a quiet market with
    about a quarter of the messages. `vanish_every_s` is the mean time between two moments at which all makers
    pull their quotes, for `vanish_for_s` seconds (0: never). `informed_lead_s` is how far an informed taker
    sees ahead.

    Raises:
        ConfigError: a number is out of its range.
    """

    pace_percent: int = 100
    makers: int = 2
    maker_size_percent: int = 100
    maker_spread_percent: int = 100
    maker_pause_percent: int = 100
    noise_takers: int = 1
    noise_pause_percent: int = 100
    informed_takers: int = 0
    informed_lead_s: int = 4
    spoofers: int = 0
    cross_outcome_traders: int = 0
    dust_makers: int = 0
    vanish_every_s: int = 0
    vanish_for_s: int = 8

    def __post_init__(self) -> None:
        for entry in fields(self):
            lowest, highest = _range(entry.name)
            value = getattr(self, entry.name)
            if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
                raise ConfigError(
                    f"crowd: {entry.name} is {value!r}, expected a whole number from {lowest} to {highest}"
                )

    @classmethod
    def from_mapping(cls, values: Mapping[str, object]) -> CrowdConfig:
        """Read a scenario's `crowd` section.

        Raises:
            ConfigError: a name is unknown or a number out of its range.
        """
        names = [entry.name for entry in fields(cls)]
        unknown = [str(name) for name in values if name not in names]
        if unknown:
            raise ConfigError(f"crowd: {', '.join(unknown)} is unknown; the crowd knows {', '.join(names)}")
        return cls(**values)  # type: ignore[arg-type]  # checked field by field in __post_init__

    @classmethod
    def every_kind(cls) -> CrowdConfig:
        """One or more traders of each kind, and a book that vanishes now and then."""
        return cls(informed_takers=1, spoofers=1, cross_outcome_traders=1, dust_makers=1, vanish_every_s=90)

    @classmethod
    def nobody(cls) -> CrowdConfig:
        """No trader at all: an empty book."""
        return cls(makers=0, noise_takers=0)


def _range(name: str) -> tuple[int, int]:
    if name.endswith("_percent"):
        return _PERCENT
    if name == "vanish_every_s":
        return 0, 3_600
    if name.endswith("_s"):
        return 1, 120
    return 0, _MOST
