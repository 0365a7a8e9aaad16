"""Control files: commands as small files in the data folder, and the kill file.

A command is written beside its place and renamed into it, so that it is there whole or not at
all. The daemon takes commands in the order of their names (the time of writing) and deletes each
after its effect is committed. A file that is no command is set aside under `.bad`.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from polystra.domain.controls import (
    LONGEST_PAUSE_S,
    ControlCommand,
    ControlWord,
    ManualAct,
    ManualCommand,
    RepairAnswer,
    RepairCommand,
)
from polystra.domain.errors import ConfigError
from polystra.domain.events import RepairAct, Sighting
from polystra.domain.units import Nanos
from polystra.ports.controls import ControlReading

KILL_FILE: Final = "KILL"
_SUFFIX: Final = ".json"
_LONGEST: Final = 4_096
_REPAIR: Final = "repair"
_WISH: Final = "wish"
_LONGEST_SOURCE: Final = 80
_MOST: Final = 10**15
"""A billion dollars, in millionths: what is more is no wish."""
_ANSWERS_KEPT: Final = 20


class ControlFiles:
    """`ports.controls.Controls` on a folder; also what writes commands there."""

    def __init__(self, data_dir: Path, mode: str) -> None:
        self._kill_file = data_dir / KILL_FILE
        self._folder = data_dir / f"commands-{mode}"
        self._answers = data_dir / f"answers-{mode}"

    @property
    def kill_file(self) -> Path:
        """Where the kill file is looked for."""
        return self._kill_file

    def read(self) -> ControlReading:
        """Look once."""
        commands: list[ControlCommand] = []
        repairs: list[RepairCommand] = []
        wishes: list[ManualCommand] = []
        problems: list[str] = []
        for path in self._waiting(problems):
            try:
                command = _command(path)
                if isinstance(command, RepairCommand):
                    repairs.append(command)
                elif isinstance(command, ManualCommand):
                    wishes.append(command)
                else:
                    commands.append(command)
            except FileNotFoundError:
                continue
            except (OSError, ValueError, RecursionError) as error:
                problems.append(f"{path} is no command ({error}); set aside")
                self._set_aside(path, problems)
        return ControlReading(
            commands=tuple(commands),
            repairs=tuple(repairs),
            wishes=tuple(wishes),
            kill_file=self._killed(problems),
            problems=tuple(problems),
        )

    def done(self, command_id: str) -> bool:
        """Delete a command's file; one that cannot be deleted is carried out again after a restart."""
        try:
            (self._folder / f"{command_id}{_SUFFIX}").unlink()
        except FileNotFoundError:
            return False
        return True

    def leave(self, word: ControlWord, *, seconds: int, now_ns: Nanos, source: str = "command") -> ControlCommand:
        """Write a command for the daemon, whole and durable, and return it.

        Raises:
            ConfigError: the folder cannot be written to.
        """
        command = ControlCommand(command_id=_new_id(now_ns), word=word, seconds=seconds, source=source)
        self._leave(command.command_id, {"word": word.value, "seconds": seconds, "source": source})
        return command

    def leave_wish(self, wish: ManualCommand, *, now_ns: Nanos) -> ManualCommand:
        """Write a wish for the running daemon under an id of its own, and return it.

        Raises:
            ConfigError: the folder cannot be written to.
        """
        command = replace(wish, command_id=_new_id(now_ns))
        body = {name: value for name, value in asdict(command).items() if name != "command_id"}
        self._leave(command.command_id, {"word": _WISH, **body})
        return command

    def leave_repair(
        self,
        act: RepairAct,
        *,
        subject: str,
        seen: Sighting | None,
        price: int,
        confirmed: bool,
        now_ns: Nanos,
    ) -> RepairCommand:
        """Write a repair for the running daemon, and return it.

        Raises:
            ConfigError: the folder cannot be written to.
        """
        command = RepairCommand(
            command_id=_new_id(now_ns), act=act, subject=subject, seen=seen, price=price, confirmed=confirmed
        )
        body = {name: value for name, value in asdict(command).items() if name != "command_id"}
        self._leave(command.command_id, {"word": _REPAIR, **body})
        return command

    def waits(self, command: ControlCommand | RepairCommand | ManualCommand) -> bool:
        """True while the command has not been carried out."""
        return (self._folder / f"{command.command_id}{_SUFFIX}").exists()

    def answer(self, answer: RepairAnswer) -> None:
        """Leave an answer; those that nobody fetched go, the oldest first. Raises OSError."""
        _write(self._answers, answer.command_id, asdict(answer))
        for old in sorted(self._answers.glob(f"*{_SUFFIX}"))[:-_ANSWERS_KEPT]:
            old.unlink(missing_ok=True)

    def fetch(self, command: RepairCommand | ManualCommand) -> RepairAnswer | None:
        """Return the answer to a repair or a wish and delete it, None while there is none.

        Raises:
            ConfigError: it is there and cannot be read.
        """
        path = self._answers / f"{command.command_id}{_SUFFIX}"
        try:
            told = json.loads(path.read_bytes())
            path.unlink()
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise ConfigError(f"DATA_DIR: the daemon's answer {path} cannot be read; check its permissions") from error
        return RepairAnswer(
            command_id=command.command_id,
            ours=tuple(told["ours"]),
            venue=tuple(told["venue"]),
            outcome=told["outcome"],
            refusal=told["refusal"],
        )

    # --- inside -----------------------------------------------------------------------

    def _leave(self, command_id: str, body: dict[str, object]) -> None:
        try:
            _write(self._folder, command_id, body)
        except OSError as error:
            raise ConfigError(
                f"DATA_DIR: the command cannot be written to {self._folder} ({error.strerror}); check its permissions"
            ) from error

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


def _new_id(now_ns: Nanos) -> str:
    return f"{now_ns:020d}-{os.getpid()}"


def _write(folder: Path, name: str, body: dict[str, object]) -> None:
    """Write a file, whole and durable; raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f"{name}.tmp"
    with unfinished.open("wb") as file:
        file.write(json.dumps(body).encode())
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(folder / f"{name}{_SUFFIX}")


def _command(path: Path) -> ControlCommand | RepairCommand | ManualCommand:
    """Read one file; raises ValueError with what is wrong."""
    with path.open("rb") as file:
        body = json.loads(file.read(_LONGEST))
    if isinstance(body, dict) and body.get("word") == _REPAIR:
        return _repair(path.stem, body)
    if isinstance(body, dict) and body.get("word") == _WISH:
        return _wish(path.stem, body)
    seconds = body.get("seconds") if isinstance(body, dict) else None
    if type(seconds) is not int or not 0 <= seconds <= LONGEST_PAUSE_S:
        raise ValueError(f"expected an object with word and seconds (0 to {LONGEST_PAUSE_S})")
    word = ControlWord(str(body.get("word")))
    return ControlCommand(command_id=path.stem, word=word, seconds=seconds, source=_source(body))


def _source(body: dict[str, Any]) -> str:
    """By which way a command came: text that can be stored and shown."""
    source = str(body.get("source") or "command")
    if len(source) > _LONGEST_SOURCE or not source.isprintable():
        raise ValueError(f"expected a source of at most {_LONGEST_SOURCE} printable characters")
    return source


def _wish(command_id: str, body: dict[str, Any]) -> ManualCommand:
    amounts = [body.get("budget"), body.get("price")]
    if any(type(amount) is not int or not 0 <= amount <= _MOST for amount in amounts):
        raise ValueError("expected a wish with budget and price in millionths")
    if type(body.get("confirmed")) is not bool:
        raise ValueError("expected a wish with act, subject and confirmed")
    return ManualCommand(
        command_id=command_id,
        act=ManualAct(str(body.get("act"))),
        subject=str(body.get("subject") or ""),
        outcome=str(body.get("outcome") or ""),
        budget=int(body["budget"]),
        price=int(body["price"]),
        confirmed=body["confirmed"],
        source=_source(body),
    )


def _repair(command_id: str, body: dict[str, Any]) -> RepairCommand:
    seen, price = body.get("seen"), body.get("price")
    if type(price) is not int or type(body.get("confirmed")) is not bool:
        raise ValueError("expected a repair with act, subject, seen, price and confirmed")
    return RepairCommand(
        command_id=command_id,
        act=RepairAct(str(body.get("act"))),
        subject=str(body.get("subject") or ""),
        seen=None if seen is None else Sighting(str(seen)),
        price=price,
        confirmed=body["confirmed"],
    )
