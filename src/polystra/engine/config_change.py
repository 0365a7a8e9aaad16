"""New settings while trading goes on: which parts of the engine's configuration may change, and the change itself.

What lives here: the one table of what may change, the difference of two configurations, its application. What must
not: names of the user's settings, files. A change is an input like any other, so a recorded session that holds it
comes to the same facts when it is replayed.

A path names a value: `risk.max_exposure`. Values travel as JSON. Nothing is half done: one path that may not change,
or one value that does not fit, and the configuration stays as it was.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from polystra.domain.events import ConfigChanged
from polystra.domain.facts import NoticeKind, RequestAnswered
from polystra.engine.config import EngineConfig
from polystra.engine.positions.exits import Exits
from polystra.engine.state import EngineState, Turn

CHANGEABLE: Final = (
    "strategy",
    "exits",
    "risk",
    "balance",
    "sell_winners_at",
    "check_every_s",
    "cancel_timeout_s",
    "unfilled",
    "scale_in",
    "reversal",
)
"""Parts that every decision reads anew; all others are read once, when the run begins."""


class ConfigChange:
    """Owns `ConfigChanged`."""

    def __init__(self, state: EngineState, exits: Exits) -> None:
        self._state = state
        self._exits = exits

    def requested(self, event: ConfigChanged, turn: Turn) -> None:
        """Take the new values at once, or say in one sentence why not; answered by one `RequestAnswered`."""
        refusal = ""
        try:
            self._state.config = changed(self._state.config, event.changes)
        except ValueError as error:
            refusal = str(error)
        else:
            self._exits.reconfigured(turn)
            words = f"{'; '.join(event.words) or 'nothing differs'} (asked for by {event.source})"
            turn.notice(NoticeKind.CONFIG_CHANGED, event.request_id, words)
        turn.facts.append(
            RequestAnswered(
                request_id=event.request_id, orders=(), refusal=refusal, source=event.source, at_ns=turn.now_ns
            )
        )


def differences(old: EngineConfig, new: EngineConfig) -> tuple[tuple[str, str], ...]:
    """Return the paths whose values differ with the new values as JSON, in the order of their names."""
    before, after = _flat(old), _flat(new)
    return tuple((path, json.dumps(value)) for path, value in sorted(after.items()) if before[path] != value)


def unchangeable(changes: Iterable[tuple[str, str]]) -> list[str]:
    """Return the paths among changes that may not change while trading goes on."""
    return [path for path, _ in changes if path.split(".", 1)[0] not in CHANGEABLE]


def changed(config: EngineConfig, changes: Iterable[tuple[str, str]]) -> EngineConfig:
    """Return the configuration with changes applied.

    Raises:
        ValueError: a path may not change or is not there, or a value does not fit.
    """
    changes = tuple(changes)
    if fixed := unchangeable(changes):
        raise ValueError(f"{', '.join(fixed)} may not change while trading goes on: restart the daemon")
    tree = msgspec.to_builtins(config)
    for path, value in changes:
        *parents, name = path.split(".")
        node = tree
        for parent in parents:
            node = node.get(parent) if isinstance(node, dict) else None
        if not isinstance(node, dict) or name not in node:
            raise ValueError(f"{path} is no part of the configuration")
        try:
            node[name] = json.loads(value)
        except ValueError:
            raise ValueError(f"the new value of {path} is not JSON") from None
    try:
        return msgspec.convert(tree, EngineConfig)
    except msgspec.ValidationError as error:
        raise ValueError(f"a new value does not fit: {error}") from None


def _flat(config: EngineConfig) -> dict[str, object]:
    found: dict[str, object] = {}

    def walk(prefix: str, node: Mapping[str, object]) -> None:
        for name, value in node.items():
            if isinstance(value, dict):
                walk(f"{prefix}{name}.", value)
            else:
                found[f"{prefix}{name}"] = value

    walk("", msgspec.to_builtins(config))
    return found
