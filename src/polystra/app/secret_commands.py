"""`polystra secrets init|set|rotate|list`: the keystore by hand.

What lives here: the commands, and how they ask. What must not: the format (`adapters.keystore`). No value and
no passphrase is ever an argument: arguments stand in the list of processes and in the shell's history.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final, TypeVar

import typer

from polystra.adapters.entropy import system_chance
from polystra.adapters.keystore import FORMAT, open_keystore, read_header, write_keystore
from polystra.app.failures import PlainGroup, asker, env_file_here, fail
from polystra.app.setting_files import read_secret_file
from polystra.app.setting_secrets import KEYSTORE, PASSPHRASE_FILE, SECRETS, Ask, passphrase_of, refuse_key_for_path
from polystra.app.settings import check_value, read_values
from polystra.domain.errors import ConfigError

T = TypeVar("T")

SHORTEST_PASSPHRASE: Final = 12
_LONGEST_VALUE: Final = 4_096

secrets_app = typer.Typer(
    cls=PlainGroup, no_args_is_help=True, help="Keep secrets in one encrypted file (KEYSTORE_FILE)."
)


@secrets_app.command()
def init() -> None:
    """Make an empty keystore at KEYSTORE_FILE; its passphrase is asked for, or read from KEYSTORE_PASSPHRASE_FILE."""
    path, given = _keystore()
    if _plainly(path.exists):
        fail(f"{path} is there already: polystra secrets set NAME adds to it, polystra secrets rotate changes it")

    def make() -> None:
        passphrase = given.get(PASSPHRASE_FILE)
        new = read_secret_file(PASSPHRASE_FILE, passphrase) if passphrase else _new_passphrase(path)
        write_keystore(path, _strong(new), {}, system_chance())

    _plainly(make)
    typer.echo(
        f"{path} is made, for its owner only. Keep a copy of it and of the passphrase: neither can be found again."
    )


@secrets_app.command("set")
def set_one(
    name: Annotated[str, typer.Argument(help="a secret setting, for example POLY_PRIVATE_KEY")],
    *,
    remove: Annotated[bool, typer.Option("--remove", help="take it out instead")] = False,
) -> None:
    """Put one secret into the keystore; its value is asked for, or read from standard input."""
    path, given = _keystore()
    if name not in SECRETS:
        fail(f"that is the name of no secret setting (not shown, it may be a secret): one of {', '.join(SECRETS)}")

    def change() -> str:
        ask = asker()
        passphrase = passphrase_of(given, path, ask)
        values = open_keystore(path, passphrase, system_chance())
        if remove:
            if values.pop(name, None) is None:
                raise ConfigError(f"{name} is not in {path}: polystra secrets list shows what is")
        else:
            values[name] = _value_of(name, ask)
        write_keystore(path, passphrase, values, system_chance())
        return f"{name} is {'no longer' if remove else 'now'} in {path}."

    typer.echo(_plainly(change))
    if not remove and given.get(name):
        typer.echo(f"{name} is set elsewhere too: take it out there, both together are refused.", err=True)


@secrets_app.command()
def rotate(
    new_passphrase_file: Annotated[
        Path | None, typer.Option(help="a file that holds the new passphrase; else it is asked for")
    ] = None,
) -> None:
    """Encrypt the keystore anew under another passphrase, at the present cost."""
    path, given = _keystore()

    def change() -> None:
        values = open_keystore(path, passphrase_of(given, path, asker()), system_chance())
        if new_passphrase_file is None:
            new = _new_passphrase(path)
        else:
            new = read_secret_file("--new-passphrase-file", str(new_passphrase_file))
        write_keystore(path, _strong(new), values, system_chance())

    _plainly(change)
    typer.echo(f"{path} has its new passphrase; copies of the old file still open with the old one: delete them.")
    if given.get(PASSPHRASE_FILE):
        typer.echo(f"Put it into {given[PASSPHRASE_FILE]} too, before the next start.", err=True)


@secrets_app.command("list")
def list_all(as_json: Annotated[bool, typer.Option("--json", help="one JSON object")] = False) -> None:
    """List the names that the keystore holds; needs no passphrase and shows no value."""
    path, _ = _keystore()
    header = _plainly(lambda: read_header(path))
    if as_json:
        told = {"file": str(path), "format": header.format, "current": header.is_current, "names": header.names}
        typer.echo(json.dumps(told))
        return
    for name in header.names:
        typer.echo(name)
    if not header.names:
        typer.echo(f"{path} is empty: polystra secrets set NAME adds to it.", err=True)
    if not header.is_current:
        typer.echo(
            f"{path} is of an older kind (format {header.format} of {FORMAT}); its next use renews it.", err=True
        )


def _keystore() -> tuple[Path, dict[str, str]]:
    """Where the keystore is, and the settings as they are given; ends the program when none is named."""
    given = _plainly(lambda: read_values(os.environ, env_file_here()))
    if not given.get(KEYSTORE):
        fail(f"{KEYSTORE} is empty: set it to where the keystore is to be, for example {KEYSTORE}=data/keystore")
    _plainly(lambda: refuse_key_for_path(given[KEYSTORE]))
    return Path(given[KEYSTORE]).expanduser(), given


def _value_of(name: str, ask: Ask | None) -> str:
    """Ask for a value, or take it from standard input; raises ConfigError for one that its setting cannot have."""
    value = ask(name) if ask is not None else sys.stdin.read(_LONGEST_VALUE + 1)
    value = value.strip()
    if not value or len(value) > _LONGEST_VALUE or len(value.splitlines()) != 1:
        raise ConfigError(f"{name} is not one line of text: give it at the prompt, or on standard input")
    check_value(name, value)
    return value


def _new_passphrase(path: Path) -> str:
    ask = asker()
    if ask is None:
        raise ConfigError(
            f"{path} needs a passphrase and there is no terminal to ask at: put it into a file and name that file "
            f"in {PASSPHRASE_FILE} (init) or --new-passphrase-file (rotate)"
        )
    new = ask(f"New passphrase of {path}")
    if ask("The same again") != new:
        raise ConfigError("the two passphrases differ; nothing was written")
    return new


def _strong(passphrase: str) -> str:
    if len(passphrase) < SHORTEST_PASSPHRASE:
        raise ConfigError(
            f"the passphrase has {len(passphrase)} characters, expected at least {SHORTEST_PASSPHRASE}: "
            "five random words are easy to type and hard to guess"
        )
    return passphrase


def _plainly(action: Callable[[], T]) -> T:
    try:
        return action()
    except ConfigError as error:
        fail(str(error))
    except OSError as error:
        fail(f"{KEYSTORE} cannot be used ({error.strerror}): check the path and its permissions")
