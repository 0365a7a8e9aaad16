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
from polystra.app.control_road import answered, refuse_without_daemon
from polystra.app.failures import EXIT_FAILED, fail, guarded, settings_from_here
from polystra.domain.controls import RepairAnswer
from polystra.domain.events import RepairAct, Sighting
from polystra.domain.units import MICRO, parse_micros

_THROUGH: Final = (
    "works through the running one: start it with polystra run, which reads the account and settles doubts at its start"
)
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
    guarded(lambda: refuse_without_daemon(settings, f"polystra {act} {_THROUGH}"), settings)
    if not yes and not sys.stdin.isatty():
        fail(f"polystra {act} asks before it changes anything, and there is no terminal to ask at: add --yes")
    files = ControlFiles(settings.data_dir, settings.mode.value)

    def ask(*, confirmed: bool) -> RepairAnswer:
        command = files.leave_repair(
            act, subject=subject, seen=seen, price=price, confirmed=confirmed, now_ns=SystemClock().now_ns()
        )
        return asyncio.run(answered(files, command))

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


def _show(evidence: RepairAnswer) -> None:
    for title, lines in (("Our books", evidence.ours), ("The venue", evidence.venue)):
        if lines:
            typer.echo(f"{title}:")
        for line in lines:
            typer.echo(f"  {line}")
