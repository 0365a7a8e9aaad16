"""`polystra logs`: the last lines of the running daemon's log, by its API.

What lives here: the command and how a line is shown. What must not: keeping lines (`log_ring`). Without a daemon
there are none: the log is its standard output, which docker, systemd or a file keeps.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Final

import typer

from polystra.app.api_client import find
from polystra.app.failures import EXIT_FAILED, fail, settings_from_here

LEVELS: Final = ("debug", "info", "warning", "error")
_FIRST: Final = ("number", "timestamp", "level", "event")


def logs(
    lines: Annotated[int, typer.Argument(min=1, max=2_000, help="how many")] = 50,
    *,
    level: Annotated[str, typer.Option(help=f"the least level: {', '.join(LEVELS)}")] = "info",
    event: Annotated[str, typer.Option(help="only events whose name begins so, such as order")] = "",
    text: Annotated[str, typer.Option(help="only lines that hold this")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object a line")] = False,
) -> None:
    """Show the last lines of the running daemon's log, oldest first."""
    if level not in LEVELS:
        fail(f"--level is {level[:40]!r}, expected one of {', '.join(LEVELS)}")
    settings = settings_from_here(local=True)
    api = find(settings)
    query = {"limit": lines, "level": level, "event": event[:60], "text": text[:200]}
    told = None if api is None else api.read("/logs", **query)
    if not isinstance(told, dict):
        fail(
            "no daemon answers here by its API, and the log is its standard output: see docker compose logs polystra, "
            "journalctl, or the file it was sent to",
            EXIT_FAILED,
        )
    for line in told.get("items", ()):
        typer.echo(json.dumps(line) if as_json else words_of(line))


def words_of(line: Mapping[str, object]) -> str:
    """One line for people: when, how grave, what, and its fields."""
    fields = " ".join(f"{name}={value}" for name, value in line.items() if name not in _FIRST and value is not None)
    return f"{line.get('timestamp', '')} [{line.get('level', '')!s:<7}] {line.get('event', '')!s:<22} {fields}"


def register(app: typer.Typer) -> None:
    """Add the command to the program's."""
    app.command()(logs)
