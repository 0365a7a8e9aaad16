"""How a command ends when something is wrong: one line on stderr and an exit code, no traceback.

What lives here: the exit codes, the reading of settings for a command, and the one place that
turns errors into words. What must not: commands.
"""

from __future__ import annotations

import os
import re
import resource
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NoReturn, TypeVar

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from polystra.app.logs import REDACTED, Redaction
from polystra.app.setting_secrets import Ask, secret_values
from polystra.app.settings import Settings, load_settings
from polystra.domain.errors import ConfigError, PolystraError

T = TypeVar("T")

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_DISCREPANCY: Final = 3
EXIT_CODES: Final = {
    0: "done",
    EXIT_FAILED: "it failed, was refused, or is not well (`doctor`, `livetest`, `health`, `alert-test`)",
    EXIT_USAGE: "a setting, option, id or file is wrong, or nothing is there to be asked; one line says what to do",
    EXIT_DISCREPANCY: "`report` found a discrepancy",
}
"""What the exit code of a command means."""

_UNEXPECTED: Final = re.compile(r"(unexpected extra arguments?)(?:\(s\))? \(.*\)", re.IGNORECASE | re.DOTALL)
_LONG_HEX: Final = re.compile(r"(?:0x)?[0-9a-fA-F]{32,}")
"""What a person may type in a wrong place: a key. Ids of orders are as long, and are not missed in such a line."""


class PlainGroup(TyperGroup):
    """Commands whose wrong words (an unknown option, a number that is none) end in one line, too."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,  # noqa: ANN401
    ) -> object:
        """Run a command and end the program; with `standalone_mode` off as its base class does."""

        def run() -> object:
            return super(PlainGroup, self).main(
                args,
                prog_name,
                complete_var,
                False,
                windows_expand_args,
                **extra,
            )

        if not standalone_mode:
            return run()
        try:
            code = run()
        except TyperException as error:
            words = " ".join(error.format_message().split())
            words = _UNEXPECTED.sub(r"\1 (not shown, it may be a secret)", words)
            words = _LONG_HEX.sub(REDACTED, words)
            if words:  # without words the help was shown instead
                sys.stderr.write(f"polystra: {words.rstrip('.')}; polystra --help lists what there is\n")
            sys.exit(EXIT_USAGE)
        except typer.Abort:
            sys.stderr.write("polystra: interrupted\n")
            sys.exit(EXIT_FAILED)
        sys.exit(code if isinstance(code, int) else 0)


def env_file_here() -> Path | None:
    """The `.env` that settings are read from, None when there is none."""
    env_file = Path(os.environ.get("POLYSTRA_ENV_FILE", ".env"))
    return env_file if env_file.exists() else None


def settings_from_here(*, local: bool = False) -> Settings:
    """The settings of `.env` in this folder, of the environment and of the keystore.

    With `local` the keystore stays closed: for commands that look at nothing but this machine.
    """
    try:
        settings = load_settings(os.environ, env_file_here(), ask=asker(), local=local)
    except ConfigError as error:
        fail(str(error))
    redact_tracebacks(Redaction(secret_values(settings)))
    leave_no_core()
    return settings


def leave_no_core() -> None:
    """A process that dies leaves no image of its memory on the disk: keys are in it."""
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def asker() -> Ask | None:
    """Asks for something that nobody may see; None where there is no terminal."""
    if not sys.stdin.isatty():
        return None
    return lambda words: str(typer.prompt(words, hide_input=True, err=True))


def redact_tracebacks(redaction: Redaction) -> None:
    """From now on no traceback of a bug, in whichever thread, shows a secret."""

    def said(error: BaseException) -> None:
        sys.stderr.write(redaction.text("".join(traceback.format_exception(error))))

    def ended(_kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        said(error.with_traceback(trace))

    def thread_ended(arguments: threading.ExceptHookArgs) -> None:
        if arguments.exc_value is not None and not isinstance(arguments.exc_value, SystemExit):
            said(arguments.exc_value)

    sys.excepthook = ended
    threading.excepthook = thread_ended


def guarded(action: Callable[[], T], settings: Settings) -> T:
    """Carry out an action; every error of ours, also one in a group of tasks, becomes one line and an exit code."""
    redaction = Redaction(secret_values(settings))
    try:
        return action()
    except ConfigError as error:
        fail(redaction.text(str(error)))
    except PolystraError as error:
        fail(redaction.text(f"{type(error).__name__}: {error}"), EXIT_FAILED)
    except BaseExceptionGroup as group:
        first = next(_ours(group), None)
        if first is None:
            raise
        fail(redaction.text(f"{type(first).__name__}: {first}"), EXIT_FAILED)
    except KeyboardInterrupt:
        fail(
            "interrupted before the daemon could stop in order: what an earlier run left at the venue is still there, "
            "and no stop guards it until the next start, which reconciles",
            EXIT_FAILED,
        )


def fail(message: str, code: int = EXIT_USAGE) -> NoReturn:
    """Say one line on stderr and end."""
    typer.echo(f"polystra: {' '.join(message.split())}", err=True)
    raise typer.Exit(code)


def _ours(group: BaseExceptionGroup[BaseException]) -> Iterator[PolystraError]:
    """Our errors inside a group; none when a bug is among them, which must be seen."""
    ours: list[PolystraError] = []
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            ours += _ours(error)
        elif isinstance(error, PolystraError):
            ours.append(error)
        else:
            return
    yield from ours
