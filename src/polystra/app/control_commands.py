"""`polystra stop`, `start`, `stopentry`, `pause`: entries off and on, with or without a running daemon.

A running daemon gets a command file and is waited for; without one the switches are written into
the database, so that the next run has them from its first moment. Exits are never touched.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Annotated, Final

import typer

from polystra.app.api_client import FROM_API, find
from polystra.app.control_road import switch
from polystra.app.failures import fail, guarded, settings_from_here
from polystra.app.settings import Settings
from polystra.domain.controls import LONGEST_PAUSE_S, ControlWord
from polystra.domain.errors import ConfigError

_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_MEANINGS: Final = {
    ControlWord.STOP: "Kill switch on: no entry leaves, resting entries are cancelled, exits go on; "
    "polystra start ends it.",
    ControlWord.STOPENTRY: "Entries stopped: what rests stays, exits go on; polystra start ends it.",
    ControlWord.START: "Entries resumed: kill switch, stop, pause, losses in a row, drawdown, refusals, crash loop and "
    "the sight of a second daemon are cleared; the loss limit of the day and blacklists end by their time.",
}


def stop() -> None:
    """Throw the kill switch: no entry leaves, resting entries are cancelled; exits go on."""
    _carry_out(ControlWord.STOP)


def start() -> None:
    """Resume entries after stop, stopentry, pause or a limit."""
    _carry_out(ControlWord.START)


def stopentry() -> None:
    """Make no new entries; what rests stays, exits go on."""
    _carry_out(ControlWord.STOPENTRY)


def pause(length: Annotated[str, typer.Argument(help="how long: 90s, 30m, 2h or 1d")]) -> None:
    """Make no new entries for a while."""
    _carry_out(ControlWord.PAUSE, seconds_of(length))


def register(app: typer.Typer) -> None:
    """Add the commands to the program's."""
    commands: tuple[Callable[..., None], ...] = (stop, start, stopentry, pause)
    for command in commands:
        app.command()(command)


def seconds_of(length: str) -> int:
    """Return a length such as 30m in seconds; a wrong one ends the program with one line."""
    try:
        return pause_seconds(length)
    except ValueError as error:
        fail(str(error))


def pause_seconds(length: str) -> int:
    """Return a length such as 90s, 30m, 2h or 1d in seconds; raises ValueError with a sentence."""
    found = re.fullmatch(r"([1-9][0-9]{0,5})([smhd])", length.strip().lower())
    if found is None:
        raise ValueError(
            f"the length is {length[:40]!r}, expected a number with s, m, h or d: write for example polystra pause 30m"
        )
    seconds = int(found[1]) * _UNITS[found[2]]
    if seconds > LONGEST_PAUSE_S:
        raise ValueError(
            f"the length is {length[:40]!r}, expected at most {LONGEST_PAUSE_S // 86_400}d: "
            "polystra stopentry holds until polystra start"
        )
    return seconds


def meaning_of(word: ControlWord, seconds: int = 0) -> str:
    """What a switch does, in one sentence."""
    return _MEANINGS.get(word, f"Entries paused for {seconds} s: what rests stays, exits go on.")


def _carry_out(word: ControlWord, seconds: int = 0) -> None:
    settings = settings_from_here(local=True)
    typer.echo(guarded(lambda: _carried_out(settings, word, seconds), settings))


def _carried_out(settings: Settings, word: ControlWord, seconds: int) -> str:
    """By the daemon's API where it is there and its token is known here, else by a file or the database.

    Raises:
        ConfigError: it was refused, or cannot be asked for.
        StoreError: the database cannot be read or written.
    """
    api = find(settings)
    if api is not None and api.may_act:
        body: dict[str, object] = {"for": f"{seconds}s"} if word is ControlWord.PAUSE else {}
        answer = api.act(f"/{word}", body)
        if answer is not None:
            if answer.refusal:
                raise ConfigError(answer.refusal)
            return f"{answer.body['done']} (by {FROM_API})"
    return f"{meaning_of(word, seconds)} ({asyncio.run(switch(settings, word, seconds))})"
