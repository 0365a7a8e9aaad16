"""The settings: every name, its default, its rule, and the one reader of the environment.

What lives here: the class `Settings`, the rules between settings, and `load_settings`.
What must not: what the settings do, concrete adapters, and settings of features that are not
built. `.env.example` is generated from this class (`env_example`), so the text of each
setting stands here and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote, urlsplit

from pydantic import SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from polystra.app.hook_file import read_hooks
from polystra.app.setting_files import read_env_file, resolve_secret_files
from polystra.app.setting_secrets import SECRETS, Ask, held_names, unlocked
from polystra.app.setting_values import (
    ADDRESS,
    SECRET_RUN,
    Mode,
    Note,
    Window,
    note_of,
)
from polystra.app.settings_api import ApiSettings
from polystra.domain.errors import ConfigError

UNPRINTED: Final = frozenset(SECRETS)
"""Settings whose value no message shows."""

FOREIGN_PREFIXES: Final = ("COMPOSE_", "POSTGRES_")
"""Names in `.env` that belong to docker compose and its database."""

VENUE_URLS: Final[Mapping[str, str]] = {
    "clob_url": "https://clob.polymarket.com",
    "gamma_url": "https://gamma-api.polymarket.com",
    "data_api_url": "https://data-api.polymarket.com",
    "market_ws_url": "wss://ws-subscriptions-clob.polymarket.com/ws/market",
    "user_ws_url": "wss://ws-subscriptions-clob.polymarket.com/ws/user",
    "price_ws_url": "wss://ws-live-v2.polymarket.com/ws",
    "spot_ws_url": "wss://stream.binance.com:9443/ws",
}
"""What an empty URL means in live and paper mode (Polymarket CLOB docs, endpoints; Binance spot streams)."""

VENUE_DOMAIN: Final = "polymarket.com"
VENUE_RTDS_URL: Final = "wss://ws-live-data.polymarket.com"
"""The older price socket, asked only while the current one stays away (being retired; Polymarket docs)."""


class Settings(ApiSettings):
    """All settings, typed and checked; frozen. Made by `load_settings`; reads nothing by itself."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", alias_generator=str.upper, hide_input_in_errors=True, case_sensitive=True
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take values from `load_settings` only, which is given the environment."""
        return (init_settings,)

    @model_validator(mode="after")
    def _agree(self) -> Self:
        _check_world(self)
        _check_wallet(self)
        _check_sizes(self)
        _check_exits(self)
        _check_chats(self)
        return self

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """Show URLs as scheme and host: a path or query may hold a token."""
        for name, value in super().__repr_args__():
            shown = re.sub(r"^(\w+://[^/?#]+).*$", r"\1", value) if isinstance(value, str) else value
            yield name, shown

    @property
    def signature_type(self) -> int:
        """How orders are signed: 0 EOA, 1 proxy, 2 Safe, 3 deposit wallet."""
        if self.poly_signature_type is not None:
            return self.poly_signature_type
        return 3 if self.poly_funder_address else 0

    @property
    def resolved_exit_mode(self) -> str:
        """The exit mode: EXIT_MODE, or what its old name says."""
        if self.use_concurrent_orders is None:
            return self.exit_mode
        return "limit_orders" if self.use_concurrent_orders else "monitor"

    @property
    def resolved_database_url(self) -> SecretStr:
        """The database URL with its placeholders filled in."""
        text = self.database_url.get_secret_value()
        return SecretStr(text.replace("{data_dir}", quote(str(self.data_dir))).replace("{mode}", self.mode.value))

    def url(self, name: str) -> str:
        """Return a URL by its field name: as set, else the venue's in live mode, else empty (the built-in exchange).

        In paper mode an empty one is the venue's, unless CLOB_URL names another server: then that server's own.
        """
        value = getattr(self, name)
        if not isinstance(value, str):
            raise TypeError(f"{name} is not a URL setting")
        return value or (VENUE_URLS[name] if self.listens_to_venue else "")

    @property
    def listens_to_venue(self) -> bool:
        """True when what is not set means the venue itself."""
        return self.mode is Mode.LIVE or (
            self.mode is Mode.PAPER and (not self.clob_url or _is_venue(urlsplit(self.clob_url).hostname or ""))
        )


class _Disagreement(ValueError):
    """Two settings contradict each other; the text names both and no value."""


def _check_world(settings: Settings) -> None:
    """Orders of a simulation never have the venue's address; a paper account has nothing that could send one."""
    host = urlsplit(settings.clob_url).hostname or ""
    if settings.mode is Mode.SIM and _is_venue(host):
        raise _Disagreement(
            f"CLOB_URL names the venue's host {host} while MODE is {settings.mode.value}: empty CLOB_URL, or set "
            "MODE=paper or MODE=live"
        )


def _is_venue(host: str) -> bool:
    return host == VENUE_DOMAIN or host.endswith(f".{VENUE_DOMAIN}")


def _check_wallet(settings: Settings) -> None:
    if settings.poly_signature_type == 0 and settings.poly_funder_address:
        raise _Disagreement(
            "POLY_SIGNATURE_TYPE is 0, an account that holds its own funds, but POLY_FUNDER_ADDRESS is set: "
            "empty POLY_FUNDER_ADDRESS, or set the wallet's type (3 for a deposit wallet)"
        )
    if settings.poly_signature_type in {1, 2, 3} and not settings.poly_funder_address:
        raise _Disagreement(
            f"POLY_SIGNATURE_TYPE is {settings.poly_signature_type}, which needs the wallet that holds the funds: "
            "set POLY_FUNDER_ADDRESS"
        )


def _check_sizes(settings: Settings) -> None:
    if settings.trade_size_dollars > settings.max_trade_size:
        raise _Disagreement(
            f"TRADE_SIZE_DOLLARS is {settings.trade_size_dollars}, above MAX_TRADE_SIZE {settings.max_trade_size}: "
            "lower the first or raise the second"
        )


def _check_exits(settings: Settings) -> None:
    if "exit_mode" in settings.model_fields_set and settings.resolved_exit_mode != settings.exit_mode:
        raise _Disagreement(
            f"USE_CONCURRENT_ORDERS means EXIT_MODE={settings.resolved_exit_mode}, but EXIT_MODE is "
            f"{settings.exit_mode}: empty USE_CONCURRENT_ORDERS, the old name"
        )
    if settings.take_profit_ladder and settings.take_profit_kind != "percent":
        raise _Disagreement(
            f"TAKE_PROFIT_LADDER holds gains in percent, but TAKE_PROFIT_KIND is {settings.take_profit_kind}: "
            "empty the ladder or set TAKE_PROFIT_KIND=percent"
        )
    if settings.take_profit_kind == "risk" and not settings.enable_stop_loss:
        raise _Disagreement(
            "TAKE_PROFIT_KIND is risk, the price paid less the stop, but ENABLE_STOP_LOSS is NO: "
            "enable the stop or choose another kind"
        )


def _check_chats(settings: Settings) -> None:
    if settings.telegram_token.get_secret_value() and not settings.telegram_chat_ids:
        raise _Disagreement(
            "TELEGRAM_TOKEN is set, but TELEGRAM_CHAT_IDS is empty: name the chats that may read and write, or empty "
            "TELEGRAM_TOKEN"
        )


def _check_secrets(settings: Settings, locked: Sequence[str]) -> None:
    """Which secrets there must be; `locked` are those of a keystore that stays closed."""
    names = ("POLY_API_KEY", "POLY_API_SECRET", "POLY_API_PASSPHRASE")
    held = [name in locked or bool(getattr(settings, name.lower()).get_secret_value()) for name in names]
    if any(held) and not all(held):
        raise _Disagreement(
            "POLY_API_KEY, POLY_API_SECRET and POLY_API_PASSPHRASE go together: set all three, "
            "or none to have them derived from the key"
        )


def _check_live(settings: Settings, locked: Sequence[str]) -> None:
    if not settings.poly_private_key.get_secret_value() and "POLY_PRIVATE_KEY" not in locked:
        raise _Disagreement(
            "POLY_PRIVATE_KEY is empty, but MODE is live: set it, or POLY_PRIVATE_KEY_FILE, "
            "or put it into a keystore (polystra secrets)"
        )
    if not settings.live_armed:
        raise _Disagreement(
            "LIVE_ARMED is empty, but MODE is live: set it to the account's address to trade real money"
        )
    if settings.poly_funder_address:
        check_armed(settings, settings.poly_funder_address)


def check_armed(settings: Settings, account: str) -> None:
    """Refuse live mode unless LIVE_ARMED is the account's address; upper and lower case are the same.

    Without a funder the account is the signer's own address, which the wiring knows.

    Raises:
        ConfigError: mode is live and LIVE_ARMED is another address.
    """
    if settings.mode is Mode.LIVE and settings.live_armed.lower() != account.lower():
        raise ConfigError(
            f"LIVE_ARMED is {settings.live_armed}, but the account is {account}: "
            "set LIVE_ARMED to the account's address if that is the one to trade with"
        )


def known_names() -> tuple[str, ...]:
    """Every name that `.env` may hold, in the order of the class; a NAME_FILE follows its NAME."""
    names: list[str] = []
    for field in Settings.model_fields:
        name = field.upper()
        names.append(name)
        if name in SECRETS:
            names.append(f"{name}_FILE")
    return tuple(names)


def note(name: str) -> Note:
    """Return the section, explanation and rule of a setting by its name in `.env`."""
    return note_of(Settings.model_fields[name.lower()].json_schema_extra)


def default_text(name: str) -> str:
    """Return a setting's default as it would be typed in `.env`."""
    return str(Settings.model_fields[name.lower()].default)


def load_settings(
    environ: Mapping[str, str], env_file: Path | None, *, ask: Ask | None = None, local: bool = False
) -> Settings:
    """Read the settings: defaults, then `.env`, then the environment, the last one winning; then the keystore.

    An empty value means the default. Names that `.env` has and the program does not know are
    errors, because a misspelt limit would otherwise silently not hold; the environment is
    full of other programs' names, so there they are ignored.

    Args:
        environ: the environment.
        env_file: the `.env` file, None when there is none.
        ask: asks a person for the keystore's passphrase when no file holds it; None: nobody can be asked.
        local: only what is on this machine is looked at: the keystore stays closed unless it holds the
            database's URL, and its secrets are empty.

    Raises:
        ConfigError: one line that names the setting, what is wrong with it and the remedy.
    """
    given = read_values(environ, env_file)
    held = held_names(given)
    locked: tuple[str, ...] = ()
    if held and local and "DATABASE_URL" not in held:
        locked = held
    elif held:
        given |= unlocked(given, ask)
    try:
        settings = Settings.model_validate(given)
    except ValidationError as error:
        raise ConfigError(_explain(error, given)) from None
    try:
        _check_secrets(settings, locked)
        if settings.mode is Mode.LIVE:
            _check_live(settings, locked)
        if settings.hooks_file is not None:
            if not settings.enable_api:
                raise _Disagreement(
                    "HOOKS_FILE is set and ENABLE_API is NO: signals come in by that server; set it YES"
                )
            read_hooks(settings.hooks_file)
    except _Disagreement as error:
        raise ConfigError(str(error)) from None
    return settings


def read_values(environ: Mapping[str, str], env_file: Path | None) -> dict[str, str]:
    """Return the texts of all settings that `.env`, the environment and secret files give; see `load_settings`.

    Raises:
        ConfigError: a file cannot be read, a name is not known, or a secret is set twice.
    """
    known = known_names()
    values: dict[str, str] = {}
    if env_file is not None:
        for line in read_env_file(env_file):
            if line.name.startswith(FOREIGN_PREFIXES):
                continue
            if line.name not in known:
                raise ConfigError(_unknown(line.name, line.line, env_file, known))
            values[line.name] = line.value
    _override(values, environ)
    values = {name: value for name, value in values.items() if name not in SECRETS or value != default_text(name)}
    return {name: value for name, value in resolve_secret_files(values, SECRETS).items() if value}


def check_value(name: str, value: str) -> None:
    """Refuse a value that its setting could not have.

    Raises:
        ConfigError: one line that names the setting and its rule, never the value of a secret.
    """
    try:
        Settings.model_validate({name: value})
    except ValidationError as error:
        if any(each["loc"] for each in error.errors(include_url=False)):
            raise ConfigError(_explain(error, {name: value})) from None


def _override(values: dict[str, str], environ: Mapping[str, str]) -> None:
    """Let the environment win over `.env`, also when one says NAME and the other NAME_FILE."""
    for name in known_names():
        value = environ.get(name, "").strip()
        if not value:
            continue
        other = name.removesuffix("_FILE") if name.endswith("_FILE") else f"{name}_FILE"
        if not environ.get(other, "").strip():
            values.pop(other, None)
        values[name] = value


def _unknown(name: str, line: int, env_file: Path, known: tuple[str, ...]) -> str:
    near = get_close_matches(name.upper(), known, n=1, cutoff=0.6)
    remedy = f"did you mean {near[0]}?" if near else ".env.example lists the names that exist"
    return f"{name} in {env_file}, line {line}, is not a setting: {remedy}"


def _explain(error: ValidationError, given: Mapping[str, str]) -> str:
    """Turn pydantic's first complaint into one line without a secret."""
    first = error.errors(include_url=False)[0]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, _Disagreement) or not first["loc"]:
        return str(cause)
    name = str(first["loc"][0]).upper()
    reason = f" ({cause})" if isinstance(cause, ValueError) and " is not a valid " not in str(cause) else ""
    default = default_text(name)
    remedy = f"write for example {name}={default}" if default else f"correct it or leave {name} empty"
    return f"{name} is {_shown(name, given.get(name, ''))}{reason}, expected {note(name).rule}: {remedy}"


def _shown(name: str, value: str) -> str:
    if name in UNPRINTED:
        return "not valid (value not shown)"
    if name.endswith("_URL"):
        return "not valid (value not shown, a URL may hold a token)"
    if len(value) > 80 or (SECRET_RUN.search(value) and not ADDRESS.fullmatch(value)):
        return "not valid (value not shown, it may be a secret)"
    return repr(value)


__all__ = [
    "FOREIGN_PREFIXES",
    "SECRETS",
    "UNPRINTED",
    "VENUE_URLS",
    "Mode",
    "Settings",
    "Window",
    "check_armed",
    "check_value",
    "default_text",
    "known_names",
    "load_settings",
    "note",
    "read_values",
]
