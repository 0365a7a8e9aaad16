"""New settings for a running daemon: what differs, whether it may be taken, what the engine is told.

What lives here: the comparison of the settings that hold with those that would be read now. What must not: which
settings are safe (`settings_reload`), the way to the engine (`runtime.manual_desk`).

Nothing is half done: a file that cannot be read, a value that is impossible, or one changed setting that needs a
restart, and nothing changes at all.
"""

from __future__ import annotations

from collections.abc import Callable

from polystra.app.config_view import shown_value
from polystra.app.engine_settings import engine_config
from polystra.app.setting_secrets import SECRETS
from polystra.app.settings import Settings
from polystra.app.settings_reload import is_reloaded
from polystra.domain.errors import ConfigError
from polystra.engine.config import EngineConfig
from polystra.engine.config_change import differences
from polystra.runtime.settings_source import SettingsReading

_UNCHANGED = "nothing was changed"


class ReloadedSettings:
    """Fulfils `SettingsSource`. `reread` reads the settings anew and raises ConfigError."""

    def __init__(self, settings: Settings, reread: Callable[[], Settings]) -> None:
        self._held = settings
        self._read = settings
        self._reread = reread

    @property
    def current(self) -> Settings:
        """The settings that hold."""
        return self._held

    @property
    def allows_entries_by_hand(self) -> bool:
        """True when a person may ask for an entry."""
        return self._held.force_entry_enable

    def read(self, config: EngineConfig) -> SettingsReading:
        """Read anew and compare; never raises."""
        try:
            new = self._reread()
        except ConfigError as error:
            return SettingsReading(refusal=f"{_UNCHANGED}: {error}")
        fields = [field for field in type(new).model_fields if self._differs(field, new)]
        words = tuple(self._words(field, new) for field in fields)
        fixed = [field.upper() for field in fields if not is_reloaded(field)]
        if fixed:
            needs = "needs a restart" if len(fixed) == 1 else "need a restart"
            remedy = "restart the daemon, or set it back and reload again"
            return SettingsReading(words=words, refusal=f"{_UNCHANGED}: {', '.join(fixed)} {needs}; {remedy}")
        try:
            wanted = engine_config(
                new, symbols=config.symbols, salt_seed=config.salt_seed, markets_limit=config.markets_limit
            )
        except ConfigError as error:
            return SettingsReading(words=words, refusal=f"{_UNCHANGED}: {error}")
        if wanted.strategy.calibration != config.strategy.calibration:
            why = "what CALIBRATION_FILE holds is another calibration now, which needs a restart"
            return SettingsReading(words=words, refusal=f"{_UNCHANGED}: {why}")
        self._read = new
        return SettingsReading(words=words, changes=differences(config, wanted))

    def taken(self) -> None:
        """The last reading holds from now on."""
        self._held = self._read

    def _differs(self, field: str, new: Settings) -> bool:
        before, after = getattr(self._held, field), getattr(new, field)
        if field.upper() in SECRETS and new.keystore_file is not None and not after.get_secret_value():
            return False  # it stands in the keystore, which stays closed
        return bool(before != after)

    def _words(self, field: str, new: Settings) -> str:
        before, after = shown_value(self._held, field), shown_value(new, field)
        if before == after:
            return f"{field.upper()} changed (not shown)"
        return f"{field.upper()} {before or '(empty)'} -> {after or '(empty)'}"
