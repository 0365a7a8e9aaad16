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

from polystra.adapters.clock import SystemClock
from polystra.adapters.control_files import ControlFiles
from polystra.adapters.store.account_reading import is_in_use, owner_of, read_account
from polystra.adapters.store.writer import SqlStore
from polystra.app.book_reading import database_url
from polystra.app.failures import fail, guarded, settings_from_here
from polystra.app.settings import Mode, Settings
from polystra.app.worlds import database_path
from polystra.domain.controls import LONGEST_PAUSE_S, ControlCommand, ControlWord, changes, wishes
from polystra.domain.errors import StoreBusy
from polystra.domain.units import Nanos

WAIT_S: Final = 10.0
_LOOK_EVERY_S: Final = 0.1
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
    found = re.fullmatch(r"([1-9][0-9]{0,5})([smhd])", length.strip().lower())
    if found is None:
        fail(
            f"the length is {length[:40]!r}, expected a number with s, m, h or d: write for example polystra pause 30m"
        )
    seconds = int(found[1]) * _UNITS[found[2]]
    if seconds > LONGEST_PAUSE_S:
        fail(
            f"the length is {length[:40]!r}, expected at most {LONGEST_PAUSE_S // 86_400}d: "
            "polystra stopentry holds until polystra start"
        )
    _carry_out(ControlWord.PAUSE, seconds)


def register(app: typer.Typer) -> None:
    """Add the commands to the program's."""
    commands: tuple[Callable[..., None], ...] = (stop, start, stopentry, pause)
    for command in commands:
        app.command()(command)


def _carry_out(word: ControlWord, seconds: int = 0) -> None:
    settings = settings_from_here(local=True)
    files = ControlFiles(settings.data_dir, settings.mode.value)
    if word is ControlWord.START and files.kill_file.exists():
        fail(f"{files.kill_file} is there, which keeps the kill switch on: remove the file, then polystra start")
    outcome = guarded(lambda: asyncio.run(_apply(settings, files, word, seconds)), settings)
    meaning = _MEANINGS.get(word, f"Entries paused for {seconds} s: what rests stays, exits go on.")
    typer.echo(f"{meaning} ({outcome})")


async def _apply(settings: Settings, files: ControlFiles, word: ControlWord, seconds: int) -> str:
    """Have the command carried out; return by whom, in words.

    Raises:
        StoreError: the database cannot be read or written.
        ConfigError: the command cannot be written.
    """
    url = database_url(settings)
    path = database_path(settings)
    known = path is None or path.exists()
    if known and not is_in_use(url) and owner_of(url) is not None:
        try:
            return await _write(settings, url, word, seconds)
        except StoreBusy:  # a daemon took the database this very moment: it takes the command file
            pass
    clock = SystemClock()
    command = files.leave(word, seconds=seconds, now_ns=clock.now_ns())
    if not known or not is_in_use(url):
        return "no daemon has run yet: the first one takes it up before it trades"
    give_up_ns = clock.monotonic_ns() + int(WAIT_S * 1_000_000_000)
    while files.waits(command):
        if clock.monotonic_ns() >= give_up_ns:
            return f"the daemon has not taken it up within {WAIT_S:g} s; the command waits in {settings.data_dir}"
        await clock.sleep(_LOOK_EVERY_S)
    return "the running daemon has it"


async def _write(settings: Settings, url: str, word: ControlWord, seconds: int) -> str:
    """No daemon runs: write the switches themselves."""
    account = read_account(url)
    now_ns: Nanos = SystemClock().now_ns() if settings.mode is Mode.LIVE else account.last_entry_ns
    store = await SqlStore.open(url, mode=account.mode, account=account.account)
    try:
        stored = await store.load()
        known = {(switch.name, switch.subject): switch for switch in stored.switches}
        command = ControlCommand(command_id="", word=word, seconds=seconds)
        await store.commit(changes(wishes(command, now_ns), known, now_ns))
    finally:
        await store.close()
    return "no daemon runs; it is stored for the next one"
