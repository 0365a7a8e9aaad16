"""`polystra reconcile`, `unfreeze`, `adopt`, `resolve-doubt`: mending by hand, through the running daemon.

What lives here: the commands, the showing of evidence, the question. What must not: what is true and what is
changed: the daemon gathers the evidence, carries the repair out as one of its inputs, and answers by a file.

A daemon must run: it alone may change its books, and its start reconciles by itself.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated, Final

import typer

from polystra.adapters.clock import SystemClock
from polystra.adapters.control_files import ControlFiles
from polystra.adapters.store.account_reading import is_in_use
from polystra.app.book_reading import database_url
from polystra.app.failures import EXIT_FAILED, fail, guarded, settings_from_here
from polystra.app.settings import Settings
from polystra.app.worlds import database_path
from polystra.domain.controls import RepairAnswer, RepairCommand
from polystra.domain.errors import ConfigError
from polystra.domain.events import RepairAct, Sighting
from polystra.domain.units import MICRO, parse_micros

TAKEN_UP_S: Final = 15.0
"""How long a repair waits to be taken up; a daemon looks once a second."""
ANSWERED_S: Final = 60.0
"""How long its answer is waited for: the venue may have to be asked again."""
_LOOK_EVERY_S: Final = 0.1

Yes = Annotated[bool, typer.Option("--yes", help="do not ask, for scripts; the evidence is shown all the same")]
_PLANS: Final = {
    RepairAct.RECONCILE: "read the account anew; differences are booked by the usual rules only",
    RepairAct.UNFREEZE: "trade on as our books stand; a contradiction that is still there freezes it again",
    RepairAct.ADOPT: "take it as ours: it is guarded, counted and ended like everything else",
    RepairAct.RESOLVE_DOUBT: "ask the venue once more; only if it shows the order nowhere, believe what you saw",
}


def reconcile(*, yes: Yes = False) -> None:
    """Read the account at the venue anew and compare it with the books."""
    _mend(RepairAct.RECONCILE, yes=yes)


def unfreeze(
    subject: Annotated[str, typer.Argument(metavar="[MARKET|POSITION]", help="slug or id; without: all")] = "",
    *,
    yes: Yes = False,
) -> None:
    """Trade on in a frozen market, or let a frozen exit rest again."""
    _mend(RepairAct.UNFREEZE, subject, yes=yes)


def adopt(
    subject: Annotated[str, typer.Argument(metavar="ORDER|POSITION", help="the venue's order id, or external:...")],
    *,
    price: Annotated[str | None, typer.Option(help="what each share cost in dollars, where no source knows it")] = None,
    yes: Yes = False,
) -> None:
    """Take an open order or a position that was made elsewhere as the daemon's own."""
    micros = 0
    if price is not None:
        try:
            micros = parse_micros(price, field="--price")
        except ValueError as error:
            fail(str(error))
        if not 0 < micros < MICRO:
            fail(f"--price is {price[:40]!r}, expected dollars a share between 0 and 1")
    _mend(RepairAct.ADOPT, subject, price=micros, yes=yes)


def resolve_doubt(
    order: Annotated[str, typer.Argument(metavar="ID", help="our order id or the venue's")],
    seen: Annotated[str, typer.Argument(metavar="accepted|rejected", help="what you saw, e.g. on the website")],
    *,
    yes: Yes = False,
) -> None:
    """Say what became of an order in doubt; the venue is asked once more before it counts."""
    try:
        sighting = Sighting(seen.strip().lower())
    except ValueError:
        fail(f"what was seen is {seen[:40]!r}, expected accepted or rejected")
    _mend(RepairAct.RESOLVE_DOUBT, order, seen=sighting, yes=yes)


def register(app: typer.Typer) -> None:
    """Add the commands to the program's."""
    app.command()(reconcile)
    app.command()(unfreeze)
    app.command()(adopt)
    app.command("resolve-doubt")(resolve_doubt)


def _mend(act: RepairAct, subject: str = "", *, seen: Sighting | None = None, price: int = 0, yes: bool) -> None:
    settings = settings_from_here(local=True)
    guarded(lambda: _refuse_without_daemon(settings, act), settings)
    if not yes and not sys.stdin.isatty():
        fail(f"polystra {act} asks before it changes anything, and there is no terminal to ask at: add --yes")
    files = ControlFiles(settings.data_dir, settings.mode.value)

    def ask(*, confirmed: bool) -> RepairAnswer:
        command = files.leave_repair(
            act, subject=subject, seen=seen, price=price, confirmed=confirmed, now_ns=SystemClock().now_ns()
        )
        return asyncio.run(_answered(files, command))

    evidence = guarded(lambda: ask(confirmed=False), settings)
    _show(evidence)
    if evidence.refusal:
        fail(evidence.refusal, EXIT_FAILED)
    typer.echo(f"polystra {act} will: {_PLANS[act]}.")
    if not yes and not typer.confirm("Do it?"):
        fail("nothing was changed", EXIT_FAILED)
    answer = guarded(lambda: ask(confirmed=True), settings)
    if answer.refusal:
        fail(f"not done: {answer.refusal}", EXIT_FAILED)
    typer.echo(answer.outcome)


def _refuse_without_daemon(settings: Settings, act: RepairAct) -> None:
    """Raises ConfigError when no daemon works with this database."""
    path = database_path(settings)
    if (path is not None and not path.exists()) or not is_in_use(database_url(settings)):
        raise ConfigError(
            f"no daemon runs here, and polystra {act} works through the running one: start it with polystra run, "
            "which reads the account and settles doubts at its start"
        )


def _show(evidence: RepairAnswer) -> None:
    for title, lines in (("Our books", evidence.ours), ("The venue", evidence.venue)):
        if lines:
            typer.echo(f"{title}:")
        for line in lines:
            typer.echo(f"  {line}")


async def _answered(files: ControlFiles, command: RepairCommand) -> RepairAnswer:
    """Wait for the daemon; raises ConfigError when it does not take the repair up or does not answer."""
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
