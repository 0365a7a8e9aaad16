"""The command line: words of the user in, one of the sessions out.

What lives here: commands and their options. What must not: how they end when something is
wrong (`failures`, where the exit codes are).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from polystra import __version__
from polystra.app import (
    account_commands,
    backtest_commands,
    calibrate_commands,
    compare_command,
    control_commands,
    import_command,
    log_command,
    manual_commands,
    outcomes_command,
    record_command,
    repair_commands,
    sweep_commands,
)
from polystra.app.alert_test import send_test
from polystra.app.audit import show_calls
from polystra.app.database_commands import database_app
from polystra.app.exchange_session import ExchangeOptions, run_exchange
from polystra.app.exit_modes import show_exit_modes
from polystra.app.export import Table, export
from polystra.app.failures import (
    EXIT_DISCREPANCY,
    EXIT_FAILED,
    PlainGroup,
    fail,
    guarded,
    leave_no_core,
    redact_tracebacks,
    settings_from_here,
)
from polystra.app.health import LOOP_LIMIT_S, STREAM_LIMIT_S, show_health
from polystra.app.livetest import show_livetest
from polystra.app.logs import Redaction
from polystra.app.order_life import show_order
from polystra.app.order_list import show_orders
from polystra.app.position_list import show_positions
from polystra.app.position_view import show_position
from polystra.app.redeemable import show_redeemable
from polystra.app.report import show_report
from polystra.app.secret_commands import secrets_app
from polystra.app.sessions import DEFAULT_SPEED, RunOptions, run_session
from polystra.app.status import show_status
from polystra.app.visits import show_doctor

app = typer.Typer(
    name="polystra",
    cls=PlainGroup,
    help="Polystra trades Polymarket's crypto up/down markets; without settings it trades on a built-in exchange.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(database_app, name="db")
app.add_typer(secrets_app, name="secrets")
account_commands.register(app)
backtest_commands.register(app)
sweep_commands.register(app)
compare_command.register(app)
calibrate_commands.register(app)
record_command.register(app)
control_commands.register(app)
import_command.register(app)
outcomes_command.register(app)
log_command.register(app)
manual_commands.register(app)
repair_commands.register(app)

Prices = Annotated[
    Path | None, typer.Option(help="a recorded price series, .csv or .csv.gz; default: a seeded generator")
]
Replay = Annotated[
    Path | None, typer.Option(help="a recorded window to trade inside, .jsonl or .jsonl.gz, windows.csv beside it")
]
Scenario = Annotated[Path | None, typer.Option(help="a file of faults that the built-in exchange is to have, .yaml")]
Seed = Annotated[int | None, typer.Option(help="seed of the simulated world; given, the run begins in an empty one")]
Speed = Annotated[str, typer.Option(help="simulated seconds per second, or max (deterministic)")]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON object instead of a table")]


@app.command()
def run(
    *,
    seed: Seed = None,
    markets: Annotated[int, typer.Option(min=0, help="end after this many settled markets; 0: run on")] = 0,
    prices: Prices = None,
    replay: Replay = None,
    scenario: Scenario = None,
    record: Annotated[Path | None, typer.Option(help="a folder to record every input of the session into")] = None,
    speed: Speed = f"{DEFAULT_SPEED:g}",
    plot: Annotated[
        bool | None,
        typer.Option("--plot/--no-plot", help="draw a simulated session at its end; default: unless --speed is max"),
    ] = None,
) -> None:
    """Trade: in sim mode (the default) against the built-in exchange."""
    settings = settings_from_here()
    refuse_both(prices, replay)
    options = RunOptions(
        seed=seed,
        markets=markets,
        prices=prices,
        replay=replay,
        scenario=scenario,
        record=record,
        speed=parse_speed(speed),
        plot=plot,
    )
    guarded(lambda: run_session(settings, options), settings)


@app.command()
def exchange(
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 picks a free one")] = 8700,
    seed: Seed = None,
    speed: Speed = f"{DEFAULT_SPEED:g}",
    real_time: Annotated[
        bool, typer.Option("--real-time", help="today's windows on this machine's clock, for clients in live mode")
    ] = False,
    prices: Prices = None,
    replay: Replay = None,
    scenario: Scenario = None,
) -> None:
    """Run the built-in exchange alone; the first line on stdout is one JSON object with its URLs."""
    settings = settings_from_here()
    pace = 1.0 if real_time else parse_speed(speed)
    if pace is None:
        fail("--speed is max, but an exchange that others connect to runs at a pace: give a number")
    refuse_both(prices, replay)
    options = ExchangeOptions(
        port=port, seed=seed, speed=pace, prices=prices, replay=replay, scenario=scenario, real_time=real_time
    )
    guarded(lambda: run_exchange(settings, options), settings)


@app.command()
def doctor(
    *,
    notify: Annotated[bool, typer.Option("--notify", help="send a test to every alert channel, too")] = False,
    as_json: AsJson = False,
) -> None:
    """Check everything that is to be right before money moves; exit code 1 when a hard check fails."""
    settings = settings_from_here()
    if guarded(lambda: show_doctor(settings, as_json=as_json, notify=notify), settings):
        raise typer.Exit(EXIT_FAILED)


@app.command()
def livetest(
    *,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask before the order is sent")] = False,
    as_json: AsJson = False,
) -> None:
    """Place and cancel one real post-only order of the minimum size, far from the touch; tell each latency."""
    settings = settings_from_here()
    if guarded(lambda: show_livetest(settings, yes=yes, as_json=as_json), settings):
        raise typer.Exit(EXIT_FAILED)


@app.command()
def status(as_json: AsJson = False) -> None:
    """Show how the last or running daemon stands, from its database."""
    settings = settings_from_here(local=True)
    guarded(lambda: show_status(settings, as_json=as_json), settings)


@app.command()
def health(
    *,
    loop_limit: Annotated[float, typer.Option(min=1, help="seconds the loop may stand still")] = LOOP_LIMIT_S,
    stream_limit: Annotated[float, typer.Option(min=1, help="seconds a stream may be away")] = STREAM_LIMIT_S,
    as_json: AsJson = False,
) -> None:
    """Say whether a daemon runs here, its loop works and it sees the market; exit code 1 if not."""
    settings = settings_from_here(local=True)
    if not show_health(settings, loop_limit_s=loop_limit, stream_limit_s=stream_limit, as_json=as_json):
        raise typer.Exit(EXIT_FAILED)


@app.command()
def positions(as_json: AsJson = False) -> None:
    """Show positions: size, price, mark, PnL, exits armed and resting, ages."""
    settings = settings_from_here(local=True)
    guarded(lambda: show_positions(settings, as_json=as_json), settings)


@app.command()
def position(
    position_id: Annotated[str, typer.Argument(metavar="ID", help="a position's id, or how it begins")],
    *,
    ledger: Annotated[bool, typer.Option("--ledger", help="explain every share: the postings in order")] = False,
    as_json: AsJson = False,
) -> None:
    """Tell one position: its exits, orders and fills, or with --ledger every posting."""
    settings = settings_from_here(local=True)
    guarded(lambda: show_position(settings, position_id, ledger=ledger, as_json=as_json), settings)


@app.command()
def orders(
    *,
    only_open: Annotated[bool, typer.Option("--open", help="only those that may still trade")] = False,
    as_json: AsJson = False,
) -> None:
    """List the orders, newest first."""
    settings = settings_from_here(local=True)
    guarded(lambda: show_orders(settings, only_open=only_open, as_json=as_json), settings)


@app.command()
def audit(
    *,
    order: Annotated[
        str | None, typer.Option(help="tell the life of this order: our id, the venue's, or how it begins")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="how many requests to list")] = 30,
    failed: Annotated[bool, typer.Option("--failed", help="only requests of which something went wrong")] = False,
    routine: Annotated[bool, typer.Option("--routine", help="routine that went well too (heartbeats)")] = False,
    as_json: AsJson = False,
) -> None:
    """List the latest requests that may have changed something at the venue, or tell the life of one order."""
    settings = settings_from_here(local=True)
    if order is None:
        guarded(lambda: show_calls(settings, limit=limit, failed=failed, routine=routine, as_json=as_json), settings)
    else:
        guarded(lambda: show_order(settings, order, as_json=as_json), settings)


@app.command()
def redeemable(as_json: AsJson = False) -> None:
    """Show winnings that wait to be redeemed; nothing is redeemed by this program."""
    settings = settings_from_here(local=True)
    guarded(lambda: show_redeemable(settings, as_json=as_json), settings)


@app.command()
def report(
    *,
    by: Annotated[
        str | None, typer.Option(help="exit_mode: compare exits that rest with exits that are watched")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Account for every market, share and dollar, and compare with the exchange's own books."""
    settings = settings_from_here(local=True)
    if by not in (None, "exit_mode"):
        fail(f"--by is {by[:40]!r}, expected exit_mode")
    show = show_report if by is None else show_exit_modes
    if guarded(lambda: show(settings, as_json=as_json), settings):
        raise typer.Exit(EXIT_DISCREPANCY)


@app.command("export")
def export_table(
    what: Annotated[Table, typer.Argument(help="trades: one line a position")],
    *,
    csv: Annotated[bool, typer.Option("--csv", help="as CSV (RFC 4180); there is no other form yet")] = True,  # noqa: ARG001
    out: Annotated[Path | None, typer.Option(help="the file to write; without it: standard output")] = None,
    since: Annotated[str | None, typer.Option(help="leave out what is older: a date or time, UTC")] = None,
) -> None:
    """Write trades, fills or the whole ledger as a table, exact to the micro-dollar."""
    settings = settings_from_here(local=True)
    guarded(lambda: export(settings, what, out, since), settings)


@app.command("alert-test")
def alert_test() -> None:
    """Send a test message to every alert channel, and ping the monitor."""
    settings = settings_from_here()
    verdicts = guarded(lambda: send_test(settings), settings)
    if not verdicts:
        fail("no alert channel is set: set ALERT_WEBHOOK_URL, ALERT_DISCORD_URL, TELEGRAM_TOKEN or DEAD_MAN_URL")
    for verdict in verdicts:
        typer.echo(f"{verdict.channel}: {verdict.error or 'taken'}")
    if any(verdict.error for verdict in verdicts):
        raise typer.Exit(EXIT_FAILED)


@app.command()
def version() -> None:
    """Show the version."""
    typer.echo(f"polystra {__version__}")


def refuse_both(prices: Path | None, replay: Path | None) -> None:
    """End the program when two recordings would drive one world."""
    if prices is not None and replay is not None:
        fail("--prices and --replay are both given, but a replayed window brings its own prices: give one of them")


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


def main() -> None:
    """The console script."""
    leave_no_core()
    redact_tracebacks(Redaction())
    try:
        app()
    except BrokenPipeError:
        sys.stderr.close()
