"""Records a session while it trades: every input that the engine takes, into a folder of recordings.

What lives here: the tap between daemon and recorder, what is said of it. What must not: the format
(`backtest.recordings`), the replay (`backtest.session`). A disk that is full or gone ends the recording with one
line and never touches trading. Signed orders are not recorded: they are bearer instruments, and a replay makes
them again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from polystra.app.settings import Settings
from polystra.backtest.recordings.blocks import Head
from polystra.backtest.recordings.writer import RecordingWriter
from polystra.domain.errors import RecordingError
from polystra.domain.events import WorldEvent
from polystra.domain.units import Nanos
from polystra.engine.config import EngineConfig
from polystra.ports.input_tap import InputTap
from polystra.ports.logbook import LogEvent
from polystra.runtime.log import Log


class SessionTap:
    """Hands every input to a recorder until that fails."""

    def __init__(self, folder: Path, settings: Settings, log: Log) -> None:
        self._folder = folder
        self._settings = settings
        self._log = log
        self._config: EngineConfig | None = None
        self._writer: RecordingWriter | None = None

    def __call__(self, config: EngineConfig) -> InputTap:
        """Take what the engine is set to; the tap itself is returned."""
        self._config = config
        return self

    def started(self, now_ns: Nanos) -> None:
        """Open the recording."""
        settings = self._settings
        head = Head(
            origin="session",
            mode=settings.mode.value,
            created_ns=now_ns,
            symbols=settings.symbols,
            windows=settings.windows,
            config=self._config,
        )
        self._writer = RecordingWriter(self._folder, head)
        self._log.info(LogEvent.RECORDING_STARTED, folder=self._folder)

    def took(self, event: WorldEvent, now_ns: Nanos) -> None:
        """Record one input."""
        writer = self._writer
        if writer is None:
            return
        try:
            writer.add(event, now_ns)
        except RecordingError as error:
            self._writer = None
            self._log.error(LogEvent.RECORDING_FAILED, error=str(error), inputs=writer.inputs)

    def close(self) -> None:
        """Finish the recording and say what it holds."""
        writer, self._writer = self._writer, None
        if writer is None:
            return
        try:
            writer.close()
        except RecordingError as error:
            self._log.error(LogEvent.RECORDING_FAILED, error=str(error), inputs=writer.inputs)
            return
        self._log.info(
            LogEvent.RECORDING_ENDED, folder=self._folder, files=writer.files, inputs=writer.inputs, bytes=writer.bytes
        )


@contextmanager
def recording_session(
    folder: Path | None, settings: Settings, log: Log
) -> Iterator[Callable[[EngineConfig], InputTap] | None]:
    """Give what makes the tap of a daemon, None where nothing is to be recorded; finish the recording at the end."""
    if folder is None:
        yield None
        return
    tap = SessionTap(folder, settings, log)
    try:
        yield tap
    finally:
        tap.close()
