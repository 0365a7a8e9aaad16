"""Control files: commands as small files in the data folder, and the kill file.

A command is written beside its place and renamed into it, so that it is there whole or not at
all. The daemon takes commands in the order of their names (the time of writing) and deletes each
after its effect is committed. A file that is no command is set aside under `.bad`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

from polystra.domain.controls import LONGEST_PAUSE_S, ControlCommand, ControlWord
from polystra.domain.errors import ConfigError
from polystra.domain.units import Nanos
from polystra.ports.controls import ControlReading

KILL_FILE: Final = "KILL"
_SUFFIX: Final = ".json"
_LONGEST: Final = 4_096


class ControlFiles:
    """`ports.controls.Controls` on a folder; also what writes commands there."""

    def __init__(self, data_dir: Path, mode: str) -> None:
        self._kill_file = data_dir / KILL_FILE
        self._folder = data_dir / f"commands-{mode}"

    @property
    def kill_file(self) -> Path:
        """Where the kill file is looked for."""
        return self._kill_file

    def read(self) -> ControlReading:
        """Look once."""
        commands: list[ControlCommand] = []
        problems: list[str] = []
        for path in self._waiting(problems):
            try:
                commands.append(_command(path))
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as error:
                problems.append(f"{path} is no command ({error}); set aside")
                self._set_aside(path, problems)
        return ControlReading(commands=tuple(commands), kill_file=self._killed(problems), problems=tuple(problems))

    def done(self, command_id: str) -> None:
        """Delete a command's file; one that cannot be deleted is carried out again after a restart."""
        (self._folder / f"{command_id}{_SUFFIX}").unlink(missing_ok=True)

    def leave(self, word: ControlWord, *, seconds: int, now_ns: Nanos) -> ControlCommand:
        """Write a command for the daemon, whole and durable, and return it.

        Raises:
            ConfigError: the folder cannot be written to.
        """
        command = ControlCommand(command_id=f"{now_ns:020d}-{os.getpid()}", word=word, seconds=seconds)
        body = json.dumps({"word": word.value, "seconds": seconds}).encode()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            unfinished = self._folder / f"{command.command_id}.tmp"
            with unfinished.open("wb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            unfinished.rename(self._folder / f"{command.command_id}{_SUFFIX}")
        except OSError as error:
            raise ConfigError(
                f"DATA_DIR: the command cannot be written to {self._folder} ({error.strerror}); check its permissions"
            ) from error
        return command

    def waits(self, command: ControlCommand) -> bool:
        """True while the command has not been carried out."""
        return (self._folder / f"{command.command_id}{_SUFFIX}").exists()

    # --- inside -----------------------------------------------------------------------

    def _killed(self, problems: list[str]) -> str:
        try:
            return str(self._kill_file) if self._kill_file.exists() else ""
        except OSError as error:
            problems.append(f"{self._kill_file} cannot be looked for: {error.strerror}")
            return ""

    def _waiting(self, problems: list[str]) -> list[Path]:
        try:
            return sorted(path for path in self._folder.iterdir() if path.suffix == _SUFFIX)
        except FileNotFoundError:
            return []
        except OSError as error:
            problems.append(f"{self._folder} cannot be read: {error.strerror}")
            return []

    @staticmethod
    def _set_aside(path: Path, problems: list[str]) -> None:
        try:
            path.rename(path.with_suffix(".bad"))
        except OSError as error:
            problems.append(f"{path} cannot be renamed: {error.strerror}")


def _command(path: Path) -> ControlCommand:
    """Read one file; raises ValueError with what is wrong."""
    with path.open("rb") as file:
        body = json.loads(file.read(_LONGEST))
    seconds = body.get("seconds") if isinstance(body, dict) else None
    if type(seconds) is not int or not 0 <= seconds <= LONGEST_PAUSE_S:
        raise ValueError(f"expected an object with word and seconds (0 to {LONGEST_PAUSE_S})")
    return ControlCommand(command_id=path.stem, word=ControlWord(str(body.get("word"))), seconds=seconds)
