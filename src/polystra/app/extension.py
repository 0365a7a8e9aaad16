"""Loading a user's strategy from the file that STRATEGY names.

What lives here: `path:Class` to an instance, with every way in which that fails said in one sentence. What must not:
the interface (`engine/strategy/advisor`), what a strategy says. The file is imported under a name of its own; it is
code and may do what any program of this user may do, so STRATEGY is a setting of the daemon's owner alone.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from polystra.app.settings import Settings
from polystra.domain.errors import ConfigError
from polystra.engine.strategy.advisor import Advisor

_MODULE: Final = "polystra_user_strategy"


def advisor_maker(settings: Settings) -> Callable[[], Advisor] | None:
    """Return what makes a fresh instance for each run, None without STRATEGY. It is tried once here.

    Raises:
        ConfigError: as `load_advisor`.
    """
    if not settings.strategy:
        return None
    load_advisor(settings.strategy)
    return partial(load_advisor, settings.strategy)


def load_advisor(named: str) -> Advisor:
    """Return an instance of the class that `path/to/file.py:Class` names.

    Raises:
        ConfigError: there is no such file or class, the file fails, or the class has no `decide`.
    """
    place, _, name = named.rpartition(":")
    if not place or not name.isidentifier():
        raise ConfigError(f"STRATEGY is {named[:120]!r}, expected path/to/file.py:Class")
    path = Path(place).expanduser()
    if not path.is_file() or path.suffix != ".py":
        raise ConfigError(f"STRATEGY names {place[:120]!r}, which is no Python file: give its path, a colon, its class")
    spec = importlib.util.spec_from_file_location(_MODULE, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"STRATEGY names {place[:120]!r}, which cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[_MODULE] = module
    try:
        spec.loader.exec_module(module)
        found = getattr(module, name, None)
        if found is None:
            raise ConfigError(f"STRATEGY names the class {name}, which {path.name} does not have")
        advisor = found()
    except ConfigError:
        raise
    except Exception as error:
        words = " ".join(str(error).split())[:200]
        raise ConfigError(f"STRATEGY {path.name}:{name} cannot be made: {type(error).__name__}: {words}") from error
    if not callable(getattr(advisor, "decide", None)):
        raise ConfigError(f"STRATEGY {path.name}:{name} has no decide(view, fused, signals): see docs/strategy.md")
    loaded: Advisor = advisor
    return loaded
