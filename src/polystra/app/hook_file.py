"""The file of inbound hooks: who may send signals, with which secrets, for what and how much.

What lives here: reading and checking the file that HOOKS_FILE names. What must not: HTTP, what a signal does. The file
holds secrets, so it may be readable for its owner alone. What is wrong with it is one sentence that names the hook, the
field and the remedy, and never a value that may be a secret.
"""

from __future__ import annotations

import os
import stat
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import yaml

from polystra.domain.errors import ConfigError
from polystra.domain.units import MICRO, MicroDollars, parse_micros
from polystra.domain.wishes import SignalAct

_MOST: Final[MicroDollars] = 1_000_000 * MICRO
_NAME: Final = r"^[a-z0-9][a-z0-9_-]{0,31}\Z"
_SECRET: Final = r"^[A-Za-z0-9_.~-]{16,128}\Z"  # noqa: S105 - how a secret looks
_WORDS: Final = {
    "secret": "16 to 128 letters, digits or - _ . ~, as `python -c 'import secrets; print(secrets.token_urlsafe(24))'`",
    "path_secret": "16 to 128 letters, digits or - _ . ~, other than secret",
    "live": "yes or no",
    "actions": "some of open, add, close",
    "markets": "slugs or symbol/window like BTC/15m",
    "allow": "addresses or networks like 203.0.113.0/24",
    "max_dollars": "a number of dollars up to 1000000",
    "per_minute": "a whole number from 1 to 600",
    "max_age_seconds": "a whole number from 1 to 3600",
}

Network = IPv4Network | IPv6Network


class _Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    path_secret: Annotated[str, msgspec.Meta(pattern=_SECRET)]
    secret: Annotated[str, msgspec.Meta(pattern=_SECRET)]
    live: bool = False
    actions: tuple[SignalAct, ...] = tuple(SignalAct)
    markets: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    max_dollars: str = "5"
    per_minute: Annotated[int, msgspec.Meta(ge=1, le=600)] = 6
    max_age_seconds: Annotated[int, msgspec.Meta(ge=1, le=3_600)] = 60


class Hook(msgspec.Struct, frozen=True, kw_only=True):
    """One sender. `max_budget` is per signal, in micro-dollars; an empty `markets` or `allow` means any."""

    name: str
    path_secret: str
    secret: str
    live: bool
    acts: tuple[SignalAct, ...]
    markets: tuple[str, ...]
    allow: tuple[Network, ...]
    max_budget: MicroDollars
    per_minute: int
    max_age_s: int

    def __repr__(self) -> str:
        """Without its secrets."""
        return f"Hook({self.name})"


def read_hooks(path: Path) -> tuple[Hook, ...]:
    """Read the hooks of a file.

    Raises:
        ConfigError: the file cannot be read, others may read it, or an entry is not what it should be.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            told: Any = yaml.safe_load(file)
    except OSError as error:
        raise ConfigError(
            f"HOOKS_FILE {path} cannot be read ({error.strerror}): name a file, or leave it empty"
        ) from None
    except yaml.YAMLError as error:
        line = getattr(getattr(error, "problem_mark", None), "line", None)
        where = "" if line is None else f", line {line + 1},"
        raise ConfigError(f"HOOKS_FILE {path}{where} is not YAML: mend it there") from None
    except (ValueError, RecursionError):  # a date that is none, brackets without end
        raise ConfigError(f"HOOKS_FILE {path} holds what cannot be read: write it as docs/hooks.md shows") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(f"HOOKS_FILE {path} holds secrets and others may read it: chmod 600 {path}")
    if not isinstance(told, dict) or not told:
        raise ConfigError(f"HOOKS_FILE {path} names no hook: write `name:` with secret and path_secret below it")
    hooks = tuple(_hook(path, str(name), entry) for name, entry in told.items())
    secrets = [secret for hook in hooks for secret in (hook.secret, hook.path_secret)]
    if len(set(secrets)) < len(secrets):
        raise ConfigError(f"HOOKS_FILE {path} uses one secret twice: each secret and path_secret is its own")
    return hooks


def _hook(path: Path, name: str, entry: object) -> Hook:
    where = f"HOOKS_FILE {path}, hook {name[:40]!r}"
    try:
        msgspec.convert(name, Annotated[str, msgspec.Meta(pattern=_NAME)])
    except msgspec.ValidationError:
        raise ConfigError(f"{where}: a name is up to 32 small letters, digits, - or _") from None
    try:
        read = msgspec.convert(_plain(entry), _Entry, strict=False)
    except msgspec.ValidationError as error:
        field = _field_of(error)
        if field in _WORDS:
            raise ConfigError(f"{where}: {field} does not fit, expected {_WORDS[field]}") from None
        raise ConfigError(f"{where} does not fit: it takes {', '.join(_WORDS)}; the first two are needed") from None
    try:
        most = parse_micros(read.max_dollars, field="max_dollars")
    except (ValueError, ArithmeticError):
        most = 0
    if not 0 < most <= _MOST:
        raise ConfigError(f"{where}: max_dollars does not fit, expected {_WORDS['max_dollars']}")
    try:
        networks = tuple(ip_network(each, strict=False) for each in read.allow)
    except ValueError:
        raise ConfigError(f"{where}: allow does not fit, expected {_WORDS['allow']}") from None
    return Hook(
        name=name,
        path_secret=read.path_secret,
        secret=read.secret,
        live=read.live,
        acts=read.actions,
        markets=read.markets,
        allow=networks,
        max_budget=most,
        per_minute=read.per_minute,
        max_age_s=read.max_age_seconds,
    )


def _plain(entry: object) -> object:
    """Numbers of dollars as text: YAML reads 0.1 as a binary float."""
    if not isinstance(entry, dict):
        return entry
    return {key: str(value) if key == "max_dollars" else value for key, value in entry.items()}


def _field_of(error: msgspec.ValidationError) -> str:
    """The field that an error is about; empty for one that is unknown or missing."""
    _, _, place = str(error).partition(" - at `$.")
    return place.rstrip("`").partition("[")[0]
