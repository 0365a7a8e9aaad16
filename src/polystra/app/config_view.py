"""`polystra show_config`: every setting as it holds, where its value comes from, and whether a reload takes it.

What lives here: the lines and their words. What must not: the settings themselves, the reading of files. No value
of a secret is ever shown, nor the path and query of a URL, which may hold one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

import typer

from polystra.app.screen import grid, screen
from polystra.app.setting_secrets import SECRETS, held_names
from polystra.app.settings import Mode, Settings, default_text, note, read_values
from polystra.app.settings_reload import is_reloaded

SET = "set (not shown)"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigLine:
    """One setting. `source` is default, .env, environment, or keystore; `reload` says what a change needs."""

    name: str
    value: str
    source: str
    reload: str
    section: str


def show_config(settings: Settings, environ: Mapping[str, str], env_file: Path | None, *, as_json: bool) -> None:
    """Print the settings that a daemon started now would have, mode first."""
    lines = config_lines(settings, sources(environ, env_file))
    if as_json:
        typer.echo(json.dumps([asdict(line) for line in lines], indent=2))
        return
    words = "LIVE: real money" if settings.mode is Mode.LIVE else f"{settings.mode.value}: no real money"
    typer.echo(f"Mode {words}. Settings as a daemon started now would have them:")
    rows = [(line.name, line.value or "(empty)", line.source, line.reload) for line in lines]
    screen().print(grid("Settings", words=("name", "value", "from", "a change needs"), figures=(), rows=rows))


def config_lines(settings: Settings, found: Mapping[str, str]) -> tuple[ConfigLine, ...]:
    """Every setting in the order of the class; `found` maps names to where their value was found."""
    return tuple(
        ConfigLine(
            name=name.upper(),
            value=shown_value(settings, name),
            source=found.get(name.upper(), "default"),
            reload="reload_config" if is_reloaded(name) else "restart",
            section=note(name.upper()).section,
        )
        for name in type(settings).model_fields
    )


def shown_value(settings: Settings, field: str) -> str:
    """A setting's value as it would be typed, without any secret."""
    value = getattr(settings, field)
    if field.upper() in SECRETS:
        text = value.get_secret_value()
        return SET if text and text != default_text(field.upper()) else str(default_text(field.upper()))
    if value is None:
        return ""
    if isinstance(value, bool):
        return "YES" if value else "NO"
    if isinstance(value, tuple):
        return ",".join(f"{part[0]}@{part[1]}" if isinstance(part, tuple) else str(part) for part in value)
    text = str(value)
    if field.endswith("_url") and text:
        parts = urlsplit(text)
        return f"{parts.scheme}://{parts.netloc}" + ("/..." if parts.path or parts.query else "")
    return text


def sources(environ: Mapping[str, str], env_file: Path | None) -> dict[str, str]:
    """Where each setting that is not a default was found.

    Raises:
        ConfigError: a file cannot be read, or a name is not known.
    """
    given = read_values(environ, env_file)
    found = {}
    for name in given:
        told = environ.get(name, "").strip() or environ.get(f"{name}_FILE", "").strip()
        found[name] = "environment" if told else ".env"
    return found | dict.fromkeys(held_names(given), "keystore")
