"""The command line: words of the user in, one of the sessions out. Exit codes are documented here.

0 done; 1 the program failed; 2 a setting, option or file is wrong (one line says which);
3 `report` found a discrepancy. Every expected error is one line on stderr, without a traceback.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final, NoReturn, TypeVar

import typer

from polystra import __version__
from polystra.app.database_commands import database_app
from polystra.app.exchange_session import ExchangeOptions, run_exchange
from polystra.app.logs import Redaction
from polystra.app.report import show_positions, show_report, show_status
from polystra.app.sessions import DEFAULT_SPEED, RunOptions, run_session
from polystra.app.settings import SECRETS, Settings, load_settings
from polystra.domain.errors import ConfigError, PolystraError

T = TypeVar("T")

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_DISCREPANCY: Final = 3

app = typer.Typer(
    name="polystra",
    help="Polystra trades Polymarket's crypto up/down markets; without settings it trades on a built-in exchange.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(database_app, name="db")

Prices = Annotated[
    Path | None, typer.Option(help="a recorded price series, .csv or .csv.gz; default: a seeded generator")
]
Seed = Annotated[int | None, typer.Option(help="seed of the simulated world; given, the run begins in an empty one")]
Speed = Annotated[str, typer.Option(help="simulated seconds per second, or max (deterministic)")]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON object instead of a table")]


@app.command()
def run(
    seed: Seed = None,
    markets: Annotated[int, typer.Option(min=0, help="end after this many settled markets; 0: run on")] = 0,
    prices: Prices = None,
    speed: Speed = f"{DEFAULT_SPEED:g}",
) -> None:
    """Trade: in sim mode (the default) against the built-in exchange."""
    settings = settings_from_here()
    options = RunOptions(seed=seed, markets=markets, prices=prices, speed=parse_speed(speed))
    guarded(lambda: run_session(settings, options), settings)


@app.command()
def exchange(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 picks a free one")] = 8700,
    seed: Seed = None,
    speed: Speed = f"{DEFAULT_SPEED:g}",
    prices: Prices = None,
) -> None:
    """Run the built-in exchange alone; the first line on stdout is one JSON object with its URLs."""
    settings = settings_from_here()
    pace = parse_speed(speed)
    if pace is None:
        fail("--speed is max, but an exchange that others connect to runs at a pace: give a number")
    options = ExchangeOptions(port=port, seed=seed, speed=pace, prices=prices)
    guarded(lambda: run_exchange(settings, options), settings)


@app.command()
def status(as_json: AsJson = False) -> None:
    """Show how the last or running daemon stands, from its database."""
    settings = settings_from_here()
    guarded(lambda: show_status(settings, as_json=as_json), settings)


@app.command()
def positions(as_json: AsJson = False) -> None:
    """Show positions with their exits."""
    settings = settings_from_here()
    guarded(lambda: show_positions(settings, as_json=as_json), settings)


@app.command()
def report(as_json: AsJson = False) -> None:
    """Account for every market, share and dollar, and compare with the exchange's own books."""
    settings = settings_from_here()
    if guarded(lambda: show_report(settings, as_json=as_json), settings):
        raise typer.Exit(EXIT_DISCREPANCY)


@app.command()
def version() -> None:
    """Show the version."""
    typer.echo(f"polystra {__version__}")


def parse_speed(text: str) -> float | None:
    """Return the pace, None for `max`; a wrong one ends the program with one line."""
    if text.strip().lower() == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed <= 1000:
        fail(f"--speed is {text[:40]!r}, expected a number above 0 and up to 1000, or max")
    return speed


def settings_from_here() -> Settings:
    """The settings of `.env` in this folder and of the environment."""
    env_file = Path(os.environ.get("POLYSTRA_ENV_FILE", ".env"))
    try:
        return load_settings(os.environ, env_file if env_file.exists() else None)
    except ConfigError as error:
        fail(str(error))


def guarded(action: Callable[[], T], settings: Settings) -> T:
    """Carry out an action; every error of ours becomes one line and an exit code."""
    redaction = Redaction(getattr(settings, name.lower()).get_secret_value() for name in SECRETS)
    try:
        return action()
    except ConfigError as error:
        fail(redaction.text(str(error)))
    except PolystraError as error:
        fail(redaction.text(f"{type(error).__name__}: {error}"), EXIT_FAILED)
    except KeyboardInterrupt:
        fail("interrupted before the daemon could stop in order; the next start reconciles", EXIT_FAILED)


def fail(message: str, code: int = EXIT_USAGE) -> NoReturn:
    """Say one line on stderr and end."""
    typer.echo(f"polystra: {' '.join(message.split())}", err=True)
    raise typer.Exit(code)


def main() -> None:
    """The console script."""
    try:
        app()
    except BrokenPipeError:
        sys.stderr.close()
