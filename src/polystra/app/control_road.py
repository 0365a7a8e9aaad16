"""The way of a wish to the running daemon by files in DATA_DIR, and back; and what to do where none runs.

What lives here: switches (`start`, `stop`, ...) and wishes with an answer (`forceexit`, ...), for commands and for
whoever serves people inside the daemon's process. What must not: words for people, questions, prompts.

A running daemon gets a command file and is waited for. Without one a switch is written into the database, so that
the next run has it from its first moment; a wish needs a running daemon. Nothing here runs on the trading loop.
"""

from __future__ import annotations

from typing import Final

from polystra.adapters.clock import SystemClock
from polystra.adapters.control_files import ControlFiles
from polystra.adapters.store.account_reading import is_in_use, owner_of, read_account
from polystra.adapters.store.writer import SqlStore
from polystra.app.book_reading import database_url
from polystra.app.settings import Settings
from polystra.app.worlds import database_path
from polystra.domain.controls import (
    ControlCommand,
    ControlWord,
    ManualCommand,
    RepairAnswer,
    RepairCommand,
    changes,
    wishes,
)
from polystra.domain.errors import ConfigError, StoreBusy
from polystra.domain.units import Nanos

WAIT_S: Final = 10.0
TAKEN_UP_S: Final = 15.0
"""How long a wish or a repair waits to be taken up; a daemon looks once a second."""
ANSWERED_S: Final = 60.0
"""How long its answer is waited for: the venue may have to be asked again."""
_LOOK_EVERY_S: Final = 0.1


async def switch(settings: Settings, word: ControlWord, seconds: int = 0, *, source: str = "command") -> str:
    """Have a switch set or cleared; return by whom, in words.

    Raises:
        StoreError: the database cannot be read or written.
        ConfigError: the command cannot be written, or the kill file keeps the kill switch on.
    """
    files = ControlFiles(settings.data_dir, settings.mode.value)
    if word is ControlWord.START and files.kill_file.exists():
        raise ConfigError(
            f"{files.kill_file} is there, which keeps the kill switch on: remove the file, then polystra start"
        )
    url = database_url(settings)
    path = database_path(settings)
    known = path is None or path.exists()
    if known and not is_in_use(url) and owner_of(url) is not None:
        try:
            return await _write(settings, url, word, seconds, source)
        except StoreBusy:  # a daemon took the database this very moment: it takes the command file
            pass
    clock = SystemClock()
    command = files.leave(word, seconds=seconds, now_ns=clock.now_ns(), source=source)
    if not known or not is_in_use(url):
        return "no daemon has run yet: the first one takes it up before it trades"
    give_up_ns = clock.monotonic_ns() + int(WAIT_S * 1_000_000_000)
    while files.waits(command):
        if clock.monotonic_ns() >= give_up_ns:
            return f"the daemon has not taken it up within {WAIT_S:g} s; the command waits in {settings.data_dir}"
        await clock.sleep(_LOOK_EVERY_S)
    return "the running daemon has it"


async def wish(settings: Settings, wanted: ManualCommand) -> RepairAnswer:
    """Ask the running daemon and return its answer.

    Raises:
        ConfigError: no daemon runs, or it does not take the wish up or does not answer.
        StoreError: the database cannot be read.
    """
    refuse_without_daemon(settings, f"polystra {wanted.act} works through the running one: start it with polystra run")
    files = ControlFiles(settings.data_dir, settings.mode.value)
    return await answered(files, files.leave_wish(wanted, now_ns=SystemClock().now_ns()))


def refuse_without_daemon(settings: Settings, remedy: str) -> None:
    """Raises ConfigError when no daemon works with this database."""
    path = database_path(settings)
    if (path is not None and not path.exists()) or not is_in_use(database_url(settings)):
        raise ConfigError(f"no daemon runs here, and {remedy}")


async def answered(files: ControlFiles, command: RepairCommand | ManualCommand) -> RepairAnswer:
    """Wait for the daemon's answer; raises ConfigError when it does not take the command up or does not answer."""
    clock = SystemClock()
    begun_ns = clock.monotonic_ns()
    while (answer := files.fetch(command)) is None:
        waited_s = (clock.monotonic_ns() - begun_ns) / 1e9
        if files.waits(command) and waited_s >= TAKEN_UP_S:
            if not files.done(command.command_id):
                continue  # the daemon takes it up this very moment
            raise ConfigError(f"the daemon has not taken it up within {TAKEN_UP_S:g} s; it is withdrawn: ask again")
        if waited_s >= ANSWERED_S:
            words = "it may still be carried out" if command.confirmed else "nothing was changed"
            raise ConfigError(f"the daemon has not answered within {ANSWERED_S:g} s ({words}); see its log")
        await clock.sleep(_LOOK_EVERY_S)
    return answer


async def _write(settings: Settings, url: str, word: ControlWord, seconds: int, source: str) -> str:
    """No daemon runs: write the switches themselves."""
    account = read_account(url)
    now_ns: Nanos = SystemClock().now_ns() if settings.listens_to_venue else account.last_entry_ns
    store = await SqlStore.open(url, mode=account.mode, account=account.account)
    try:
        stored = await store.load()
        known = {(each.name, each.subject): each for each in stored.switches}
        command = ControlCommand(command_id="", word=word, seconds=seconds, source=source)
        await store.commit(changes(wishes(command, now_ns), known, now_ns))
    finally:
        await store.close()
    return "no daemon runs; it is stored for the next one"
