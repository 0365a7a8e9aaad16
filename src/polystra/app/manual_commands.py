"""`polystra forceexit`, `forceenter`, `reload_config`: wishes that the running daemon carries out and answers.

What lives here: the commands, what they show, the question. What must not: what a wish would cost and what becomes
of it (the daemon says both), the way there (`control_road`).
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict, replace
from typing import Annotated

import typer

from polystra.app.api_client import FROM_API, find
from polystra.app.control_road import wish
from polystra.app.failures import EXIT_FAILED, fail, guarded, settings_from_here
from polystra.app.settings import Settings
from polystra.domain.controls import ManualAct, ManualCommand, RepairAnswer
from polystra.domain.market import Outcome
from polystra.domain.units import MICRO, format_micros, parse_micros

Yes = Annotated[bool, typer.Option("--yes", help="do not ask, for scripts; what it would do is shown all the same")]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON object instead of lines")]


def forceexit(
    position: Annotated[str, typer.Argument(metavar="ID|all", help="a position's id, or how it begins; all")],
    *,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Sell a position, or all, at the market now; shows the price, the worst price and the fee, and asks."""
    command = ManualCommand(command_id="", act=ManualAct.FORCE_EXIT, subject=position.strip())
    if not command.subject:
        fail("no position is named: write its id (polystra positions lists them) or all")
    _ask_and_do(command, "Sell?", yes=yes, as_json=as_json)


def forceenter(
    market: Annotated[str, typer.Argument(metavar="MARKET", help="a watched market's slug or condition id")],
    outcome: Annotated[str, typer.Argument(metavar="up|down", help="the outcome to buy")],
    dollars: Annotated[str, typer.Argument(metavar="DOLLARS", help="how much to spend, fees not counted")],
    *,
    price: Annotated[str, typer.Option(help="the worst price, dollars a share; without: what the size needs now")] = "",
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Buy an outcome at the market now; needs FORCE_ENTRY_ENABLE=YES, and every limit holds for it."""
    try:
        command = entry_of(market, outcome, dollars, price)
    except ValueError as error:
        fail(str(error))
    _ask_and_do(command, "Buy?", yes=yes, as_json=as_json)


def entry_of(market: str, outcome: str, dollars: str, price: str = "") -> ManualCommand:
    """The wish for an entry in the words of a person; raises ValueError with a sentence."""
    side = outcome.strip().upper()
    if side not in tuple(Outcome):
        raise ValueError(f"the outcome is {outcome[:40]!r}, expected up or down")
    budget = parse_micros(dollars, field="DOLLARS")
    if budget < MICRO:
        raise ValueError(f"DOLLARS is {dollars[:40]}, expected at least 1: the venue refuses less")
    worst = parse_micros(price, field="the price") if price else 0
    if price and not 0 < worst < MICRO:
        raise ValueError(f"the price is {price[:40]}, expected dollars a share between 0 and 1")
    return ManualCommand(
        command_id="",
        act=ManualAct.FORCE_ENTER,
        subject=market.strip(),
        outcome=side,
        budget=budget,
        price=worst,
    )


def reload_config(
    *,
    check: Annotated[bool, typer.Option("--check", help="show what would change, and change nothing")] = False,
    as_json: AsJson = False,
) -> None:
    """Have the running daemon read its settings anew; shows the difference, takes all of it or nothing."""
    settings = settings_from_here(local=True)
    command = ManualCommand(command_id="", act=ManualAct.RELOAD, confirmed=not check)
    answer = guarded(lambda: _done(settings, command), settings)
    if as_json:
        typer.echo(json.dumps(as_object(answer), indent=2))
    else:
        for line in answer.ours:
            typer.echo(f"  {line}")
        if not answer.refusal:
            typer.echo(answer.outcome or "Nothing was changed: --check only looks.")
    if answer.refusal:
        fail(answer.refusal, EXIT_FAILED)


def register(app: typer.Typer) -> None:
    """Add the commands to the program's."""
    app.command()(forceexit)
    app.command()(forceenter)
    app.command("reload_config")(reload_config)


def as_object(answer: RepairAnswer) -> dict[str, object]:
    """An answer for machines."""
    told = asdict(answer)
    return {"lines": list(told["ours"]), "outcome": told["outcome"], "refusal": told["refusal"]}


def _done(settings: Settings, command: ManualCommand) -> RepairAnswer:
    """Carried out by the daemon's API where it is there and its token is known here, else by a file.

    Raises:
        ConfigError: no daemon runs, or it does not answer.
        StoreError: the database cannot be read.
    """
    api = find(settings)
    if api is not None and api.may_act:
        answer = api.act(f"/{command.act}", _body_of(command))
        if answer is not None and answer.refusal:
            return RepairAnswer(command_id="", refusal=answer.refusal)
        if answer is not None:
            lines = tuple(str(line) for line in answer.body.get("lines", ()))
            return RepairAnswer(command_id="", ours=lines, outcome=f"{answer.body['done']} (by {FROM_API})")
    return asyncio.run(wish(settings, command))


def _body_of(command: ManualCommand) -> dict[str, object]:
    match command.act:
        case ManualAct.FORCE_EXIT:
            return {"all": True} if command.subject == "all" else {"id": command.subject}
        case ManualAct.FORCE_ENTER:
            price = format_micros(command.price) if command.price else ""
            return {
                "market": command.subject,
                "outcome": command.outcome,
                "dollars": format_micros(command.budget),
                "price": price,
            }
        case ManualAct.RELOAD:
            return {"check": not command.confirmed}


def _ask_and_do(command: ManualCommand, question: str, *, yes: bool, as_json: bool) -> None:
    settings = settings_from_here(local=True)
    if not yes and not sys.stdin.isatty():
        fail(f"polystra {command.act} asks before it trades, and there is no terminal to ask at: add --yes")
    shown = guarded(lambda: asyncio.run(wish(settings, command)), settings)
    if not as_json:
        for line in shown.ours:
            typer.echo(line)
    if shown.refusal:
        fail(shown.refusal, EXIT_FAILED)
    if not yes and not typer.confirm(question):
        fail("nothing was sent", EXIT_FAILED)
    answer = guarded(lambda: _done(settings, replace(command, confirmed=True)), settings)
    if as_json:
        typer.echo(json.dumps(as_object(answer), indent=2))
    if answer.refusal:
        fail(f"not done: {answer.refusal}", EXIT_FAILED)
    if not as_json:
        typer.echo(answer.outcome)
