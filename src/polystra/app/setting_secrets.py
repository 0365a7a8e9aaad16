"""Which settings are secrets, where they may stand besides `.env`, and what of them no text may show.

What lives here: the list, the keystore's part in the reading of settings, the texts to be redacted. What must
not: the keystore's format (`adapters.keystore`), the settings class, prompts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr
from pydantic_settings import BaseSettings

from polystra.adapters.entropy import system_chance
from polystra.adapters.keystore import open_keystore, read_header
from polystra.app.hook_file import read_hooks
from polystra.app.setting_files import read_secret_file
from polystra.domain.errors import ConfigError

SECRETS: Final = (
    "POLY_PRIVATE_KEY",
    "POLY_API_KEY",
    "POLY_API_SECRET",
    "POLY_API_PASSPHRASE",
    "RPC_URL",
    "DATABASE_URL",
    "ALERT_WEBHOOK_URL",
    "ALERT_DISCORD_URL",
    "DEAD_MAN_URL",
    "TELEGRAM_TOKEN",
    "API_TOKEN",
)
"""Settings whose value may stand in a file of its own, named by NAME_FILE, or in the keystore."""

KEYSTORE: Final = "KEYSTORE_FILE"
PASSPHRASE_FILE: Final = "KEYSTORE_PASSPHRASE_FILE"  # noqa: S105 -- the name of a setting

Ask: TypeAlias = Callable[[str], str]
"""Shows a person some words and returns what is typed, unseen."""

_SHORTEST_PART: Final = 8
_BARE_KEY: Final = re.compile(r"(?:0x)?[0-9a-fA-F]{32,}")


def held_names(given: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of the secrets that the keystore of the settings holds; empty without one.

    Raises:
        ConfigError: the keystore cannot be read, or holds a secret that is set elsewhere too.
    """
    path = given.get(KEYSTORE, "")
    if not path:
        return ()
    refuse_key_for_path(path)
    names = tuple(name for name in read_header(Path(path).expanduser()).names if name in SECRETS)
    for name in names:
        if given.get(name):
            raise ConfigError(f"{name} stands in the keystore {path} and is set elsewhere too: keep one of them")
    return names


def refuse_key_for_path(text: str) -> None:
    """Refuse a key where the keystore's path belongs, before an error names it; raises ConfigError."""
    if _BARE_KEY.fullmatch(text.strip()):
        raise ConfigError(f"{KEYSTORE} holds what looks like a key (not shown), expected the path of a file")


def unlocked(given: Mapping[str, str], ask: Ask | None) -> dict[str, str]:
    """Open the keystore of the settings and return its secrets by name.

    Raises:
        ConfigError: it does not open, or nobody can be asked for its passphrase.
    """
    path = Path(given[KEYSTORE]).expanduser()
    values = open_keystore(path, passphrase_of(given, path, ask), system_chance())
    return {name: value for name, value in values.items() if name in SECRETS}


def passphrase_of(given: Mapping[str, str], path: Path, ask: Ask | None) -> str:
    """Return the keystore's passphrase: from its file, else asked for.

    Raises:
        ConfigError: the file is unusable, or nobody can be asked.
    """
    if given.get(PASSPHRASE_FILE):
        return read_secret_file(PASSPHRASE_FILE, given[PASSPHRASE_FILE])
    if ask is None:
        raise ConfigError(
            f"the keystore {path} needs its passphrase and there is no terminal to ask at: "
            f"set {PASSPHRASE_FILE} to a file that holds it"
        )
    return ask(f"Passphrase of {path}")


def secret_values(settings: BaseSettings) -> list[str]:
    """Return every text that no log, error or message may hold, whole and in its telling parts."""
    found: list[str] = []
    for name in SECRETS:
        secret = getattr(settings, name.lower())
        value = secret.get_secret_value() if isinstance(secret, SecretStr) else str(secret)
        if value and name == "DATABASE_URL":
            found += _of_database(value)
        elif value:
            found.append(value)
            if name == "TELEGRAM_TOKEN":
                found.append(value.partition(":")[2])
            if "://" in value:
                found += _of_address(value)
    hooks_file = getattr(settings, "hooks_file", None)
    if hooks_file is not None:
        found += [secret for hook in read_hooks(hooks_file) for secret in (hook.secret, hook.path_secret)]
    return found


def _of_database(url: str) -> list[str]:
    """The password of a database's URL, as it is written and as it is meant."""
    try:
        password = urlsplit(url).password or ""
    except ValueError:
        return [url]
    return [text for text in (password, unquote(password)) if len(text) >= _SHORTEST_PART]


def _of_address(url: str) -> list[str]:
    """The path of an address, and its parts that are long enough to be a token."""
    parts = urlsplit(url)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    pieces = [path, parts.query, *parts.path.split("/")]
    return [piece for piece in pieces if len(piece) >= 2 * _SHORTEST_PART]
