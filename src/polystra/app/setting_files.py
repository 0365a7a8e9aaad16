"""Reading `.env` and the files that hold a secret each.

What lives here: from files to name and text. What must not: what the names mean.
No value ever enters an error text: a secret may stand in any line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Final

from dotenv.parser import parse_stream

from polystra.domain.errors import ConfigError

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,47}")
_LONG_HEX: Final = re.compile(r"[0-9a-fA-F]{16,}")
"""A key, in the place of a name or a path."""
_LARGEST_SECRET: Final = 4096


@dataclass(frozen=True, slots=True)
class EnvLine:
    """One setting of a `.env` file and where it stands."""

    name: str
    value: str
    line: int


def _looks_like_a_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None and _LONG_HEX.search(text) is None


def _read_text(path: Path, *, what: str) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigError(f"{what} cannot be read ({reason}): check the path and its permissions") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{what} is not UTF-8 text: save it as UTF-8") from error


def read_env_file(path: Path) -> list[EnvLine]:
    """Return the settings of a `.env` file in their order, without interpolation.

    Raises:
        ConfigError: the file cannot be read, a line is not NAME=value, or a name stands twice.
    """
    lines: list[EnvLine] = []
    seen: dict[str, int] = {}
    for binding in parse_stream(StringIO(_read_text(path, what=str(path)))):
        number = binding.original.line
        leading = binding.original.string[: len(binding.original.string) - len(binding.original.string.lstrip())]
        number += leading.count("\n")
        if binding.error or (
            binding.key is not None and (binding.value is None or not _looks_like_a_name(binding.key))
        ):
            raise ConfigError(
                f"{path}, line {number} is not a setting (not shown, it may be a secret): write NAME=value"
            )
        if binding.key is None or binding.value is None:
            continue
        if binding.key in seen:
            raise ConfigError(
                f"{binding.key} stands twice in {path}, in lines {seen[binding.key]} and {number}: remove one of them"
            )
        seen[binding.key] = number
        lines.append(EnvLine(binding.key, binding.value.strip(), number))
    return lines


def shown_path(text: str) -> str:
    """The path for people, unless it may be the secret itself, put where the path of its file belongs."""
    is_path = not _LONG_HEX.search(text) and ("/" in text or Path(text).exists())
    return text if is_path else "the file that it names (not shown, it may be a secret)"


def read_secret_file(name: str, path_text: str) -> str:
    """Return the content of the file that the setting `name` points at, without surrounding blanks.

    Raises:
        ConfigError: the file cannot be read, is empty, or holds more than one line.
    """
    shown = shown_path(path_text)
    text = _read_text(Path(path_text).expanduser(), what=f"{name}: {shown}").strip()
    if not text:
        raise ConfigError(f"{name}: {shown} is empty: put the secret into it as its only line")
    if len(text) > _LARGEST_SECRET or "\n" in text:
        raise ConfigError(f"{name}: {shown} holds more than one line: put the secret into it as its only line")
    return text


def resolve_secret_files(values: Mapping[str, str], names: tuple[str, ...]) -> dict[str, str]:
    """Return `values` with each NAME_FILE of `names` replaced by NAME and the file's content.

    Raises:
        ConfigError: both NAME and NAME_FILE are set, or the file is unusable.
    """
    resolved = dict(values)
    for name in names:
        path_text = resolved.pop(f"{name}_FILE", "")
        if not path_text:
            continue
        if resolved.get(name):
            raise ConfigError(f"{name} and {name}_FILE are both set: keep one of them")
        resolved[name] = read_secret_file(f"{name}_FILE", path_text)
    return resolved
