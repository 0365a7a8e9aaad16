"""The last line of a simulated session: the file that its picture was drawn into.

What lives here: when and how the drawing program runs. What must not: the drawing (`session_picture`).

It runs when everything is committed and the daemon is over, in a process of its own with a bounded time, and whatever
goes wrong there is one warning: the session's end and exit code do not depend on it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import msgspec

from polystra.app.settings import Settings
from polystra.ports.logbook import LogEvent
from polystra.runtime.log import Log

MOST_S: Final = 60.0
"""So long the drawing may take: two seconds are usual, more where its library looks for fonts the first time."""
_NOTHING: Final = 3
_PROGRAM: Final = "polystra.app.session_picture"


def picture_file(settings: Settings) -> Path:
    """Where the picture of a session goes."""
    return settings.data_dir / f"session-{settings.mode.value}.png"


def draw_session(settings: Settings, log: Log, *, most_s: float = MOST_S) -> None:
    """Draw the session's picture and say where it is; a session without a settled market has none."""
    file = picture_file(settings)
    wish = {"database": settings.resolved_database_url.get_secret_value(), "file": str(file)}
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", _PROGRAM],
            input=msgspec.json.encode(wish),
            capture_output=True,
            timeout=most_s,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        log.warning(LogEvent.SESSION_NOT_DRAWN, error=type(error).__name__)
        return
    if done.returncode == 0:
        log.info(LogEvent.SESSION_DRAWN, file=file, note="simulated: it means nothing about real markets")
    elif done.returncode != _NOTHING:
        told = done.stderr.decode(errors="replace").strip().splitlines()
        log.warning(LogEvent.SESSION_NOT_DRAWN, error=told[-1][:200] if told else f"exit code {done.returncode}")
