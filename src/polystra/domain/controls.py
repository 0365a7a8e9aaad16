"""Controls: the words with which a person stops and resumes entries or mends something, and what they mean.

What lives here: commands and their translation. What must not: files, the database, the engine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from polystra.domain.events import RepairAct, Sighting, SwitchName, SwitchRequested
from polystra.domain.facts import SwitchChanged
from polystra.domain.units import NS_PER_S, MicroDollars, MicroPrice, Nanos


class ManualAct(StrEnum):
    """What a person asks the running daemon for, and is answered."""

    FORCE_EXIT = "forceexit"
    FORCE_ENTER = "forceenter"
    RELOAD = "reload_config"


class ControlWord(StrEnum):
    """What a person may ask for."""

    STOP = "stop"
    """The kill switch: no entry leaves, resting entries are cancelled, exits go on."""
    STOPENTRY = "stopentry"
    PAUSE = "pause"
    START = "start"
    """Clear everything that a person may clear."""


CLEARED_BY_START: Final = (
    SwitchName.KILL,
    SwitchName.STOP_ENTRY,
    SwitchName.PAUSE,
    SwitchName.CONSECUTIVE_LOSSES,
    SwitchName.DRAWDOWN,
    SwitchName.REJECTIONS,
    SwitchName.FEES,
    SwitchName.VENUE_REFUSED,
    SwitchName.SECOND_DAEMON,
    SwitchName.CRASH_LOOP,
)
"""The loss limit of the day and the blacklist end by their time only."""


_EVERY_SUBJECT: Final = (SwitchName.FEES, SwitchName.VENUE_REFUSED, SwitchName.SECOND_DAEMON)
"""A wish to clear one of these without naming a subject means all of them."""

LONGEST_PAUSE_S: Final = 366 * 86_400
"""A pause is told in nanoseconds of 64 bits; whoever wants more wants `stopentry`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlCommand:
    """One command; `seconds` is the length of a pause. Commands are carried out in the order of their ids.

    `source` says by which way it came, and by whom where that is known.
    """

    command_id: str
    word: ControlWord
    seconds: int = 0
    source: str = "command"


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairCommand:
    """One repair that a person asks of the running daemon; first for its evidence, then, `confirmed`, to be done."""

    command_id: str
    act: RepairAct
    subject: str = ""
    seen: Sighting | None = None
    price: MicroPrice = 0
    confirmed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualCommand:
    """One wish of a person: first for what it would do, then, `confirmed`, to be done.

    `subject` is a position (its id, how it begins, or `all`) or a market (slug or condition id); `outcome`, `budget`
    and `price` (the worst one; 0: as the book stands) belong to an entry.
    """

    command_id: str
    act: ManualAct
    subject: str = ""
    outcome: str = ""
    budget: MicroDollars = 0
    price: MicroPrice = 0
    confirmed: bool = False
    source: str = "command"


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairAnswer:
    """What the daemon says to a repair or a wish: the evidence, or what was done; `refusal` says why not."""

    command_id: str
    ours: tuple[str, ...] = ()
    venue: tuple[str, ...] = ()
    outcome: str = ""
    refusal: str = ""


def wishes(command: ControlCommand, now_ns: Nanos) -> tuple[SwitchRequested, ...]:
    """Return the switches that a command asks for, a pause reckoned from `now_ns`."""
    if command.word is ControlWord.START:
        return tuple(_wish(command, name, on=False) for name in CLEARED_BY_START)
    if command.word is ControlWord.PAUSE:
        return (_wish(command, SwitchName.PAUSE, on=True, until_ns=now_ns + command.seconds * NS_PER_S),)
    name = SwitchName.KILL if command.word is ControlWord.STOP else SwitchName.STOP_ENTRY
    return (_wish(command, name, on=True),)


def changes(
    wanted: Iterable[SwitchRequested], known: Mapping[tuple[SwitchName, str], SwitchChanged], now_ns: Nanos
) -> tuple[SwitchChanged, ...]:
    """Return what wishes change among switches that nobody else is changing (no daemon runs)."""
    made = []
    for wish in wanted:
        if not wish.on:
            meant = [subject for (name, subject), each in known.items() if each.on and is_meant(wish, (name, subject))]
            made += [_changed(wish, subject, now_ns) for subject in meant]
            continue
        before = known.get((wish.name, wish.subject))
        if before is None or not before.on or before.until_ns != wish.until_ns:
            made.append(_changed(wish, wish.subject, now_ns))
    return tuple(made)


def _changed(wish: SwitchRequested, subject: str, now_ns: Nanos) -> SwitchChanged:
    return SwitchChanged(
        name=wish.name,
        subject=subject,
        on=wish.on,
        reason=wish.reason,
        source=wish.source,
        until_ns=wish.until_ns,
        at_ns=now_ns,
    )


def is_meant(wish: SwitchRequested, key: tuple[SwitchName, str]) -> bool:
    """True for a switch that a wish to clear is about; some are cleared for every subject at once."""
    name, subject = key
    return name is wish.name and (subject == wish.subject or (name in _EVERY_SUBJECT and not wish.subject))


def _wish(command: ControlCommand, name: SwitchName, *, on: bool, until_ns: Nanos = 0) -> SwitchRequested:
    return SwitchRequested(
        name=name,
        on=on,
        reason=f"polystra {command.word}",
        source=command.source,
        until_ns=until_ns,
        request_id=command.command_id,
    )
