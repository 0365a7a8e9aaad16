"""Scenario files: YAML that lists faults, read strictly.

What lives here: the file's outer form. What must not: what an entry may say (`plan`).

    name: a bad day
    faults:
      - fault: reply_dropped
        probability: 0.3
        where: {method: POST, path: /order}
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import yaml

from polystra.domain.errors import ConfigError
from polystra.exchange.faults.plan import FaultPlan, read_plan

_KEYS: Final = ("name", "about", "faults")
_LARGEST: Final = 1 << 20


def load_scenario(path: Path) -> tuple[FaultPlan, ...]:
    """Read the faults of a scenario file, in its order.

    Raises:
        ConfigError: one line naming file, entry, key, value and remedy.
    """
    label = f"--scenario {path}"
    try:
        if path.stat().st_size > _LARGEST:
            raise ConfigError(f"{label} is larger than {_LARGEST} bytes; split it")
        told = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{label} cannot be read ({error.strerror or error}); give another file") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{label} is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{label} is not YAML ({_problem(error)}); mend that line") from error
    return read_scenario(told, label)


def read_scenario(told: object, label: str) -> tuple[FaultPlan, ...]:
    """Read the faults from a scenario that is already plain data."""
    if not isinstance(told, dict):
        raise ConfigError(f"{label} holds no mapping; write `faults:` with a list of entries")
    for name in told:
        if name not in _KEYS:
            raise ConfigError(f"{label}: key {name!r} is not known; choose {', '.join(_KEYS)}")
    entries = told.get("faults")
    if not isinstance(entries, list) or not entries:
        raise ConfigError(f"{label}: faults is {entries!r:.60}, expected a list with at least one entry")
    return tuple(read_plan(entry, f"{label}: entry {number}") for number, entry in enumerate(entries, 1))


def _problem(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or type(error).__name__
    return str(problem) if mark is None else f"line {mark.line + 1}: {problem}"
