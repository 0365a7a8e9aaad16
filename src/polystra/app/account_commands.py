"""`polystra profit`, `daily`, `trades`, `balance`, `show_config`: the account in the words that bots of the kind share.

What lives here: commands and their options. What must not: figures and tables (each command's own module).
"""

from __future__ import annotations

import os
from typing import Annotated

import typer

from polystra.app.balance import show_balance
from polystra.app.config_view import show_config as print_config
from polystra.app.failures import env_file_here, fail, guarded, settings_from_here
from polystra.app.profit import GROUPS, show_daily, show_profit
from polystra.app.trade_list import SHOWN, show_trades

AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of a table")]


def profit(
    *,
    by: Annotated[str, typer.Option(help=f"group ended trades by one of {', '.join(GROUPS)}")] = "symbol",
    as_json: AsJson = False,
) -> None:
    """Show what was won and lost after fees: today, 7 and 30 days, in all, and by groups of trades."""
    if by not in GROUPS:
        fail(f"--by is {by[:40]!r}, expected one of {', '.join(GROUPS)}")
    settings = settings_from_here(local=True)
    guarded(lambda: show_profit(settings, by=by, as_json=as_json), settings)


def daily(
    days: Annotated[int, typer.Argument(min=1, max=3_660, help="how many days, today among them")] = 7,
    *,
    as_json: AsJson = False,
) -> None:
    """Show the result of each of the last UTC days, after fees."""
    settings = settings_from_here(local=True)
    guarded(lambda: show_daily(settings, days=days, as_json=as_json), settings)


def trades(
    limit: Annotated[int, typer.Argument(min=0, max=1_000_000, help="how many; 0: all")] = SHOWN,
    *,
    as_json: AsJson = False,
) -> None:
    """List the positions that have ended, newest first: what they cost, brought and left."""
    settings = settings_from_here(local=True)
    guarded(lambda: show_trades(settings, limit=limit, as_json=as_json), settings)


def balance(as_json: AsJson = False) -> None:
    """Show the account's dollars and shares, what is promised to orders, and what the venue last said."""
    settings = settings_from_here(local=True)
    guarded(lambda: show_balance(settings, as_json=as_json), settings)


def show_config(as_json: AsJson = False) -> None:
    """Show every setting as it holds, where it comes from, and what a change of it needs; no secret."""
    settings = settings_from_here(local=True)
    guarded(lambda: print_config(settings, os.environ, env_file_here(), as_json=as_json), settings)


def register(app: typer.Typer) -> None:
    """Add the commands to the program's."""
    app.command()(profit)
    app.command()(daily)
    app.command()(trades)
    app.command()(balance)
    app.command("show_config")(show_config)
