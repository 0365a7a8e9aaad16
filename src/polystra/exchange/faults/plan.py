"""One fault as somebody asked for it: kind, trigger, place, parameters; read strictly from plain data.

What lives here: the value and its validation, for scenario files and the control endpoint alike. What
must not: YAML (`scenario`), counting and chance (`injector`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from polystra.domain.errors import ConfigError
from polystra.domain.units import NS_PER_S
from polystra.exchange.faults.catalogue import CATALOGUE, STREAMS, Choice, Kind, Number, Parameter

MILLION: Final = 1_000_000
KEYS: Final = ("fault", "note", "probability", "count", "nth", "from", "until", "where", "with")
METHODS: Final = ("GET", "POST", "DELETE", "PUT", "PATCH")
_WORDS: Final[Mapping[str, tuple[str, ...]]] = {"stream": STREAMS, "method": METHODS, "side": ("BUY", "SELL")}

Value: TypeAlias = float | int | str


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultPlan:
    """A fault that is to happen. All conditions must hold; `from_ns` and `until_ns` count from the start.

    `probability_ppm` is per occasion, `nth` picks one occasion, `count` bounds how often it fires.
    """

    kind: str
    parameters: Mapping[str, Value] = field(default_factory=dict)
    where: Mapping[str, str] = field(default_factory=dict)
    probability_ppm: int = MILLION
    count: int | None = None
    nth: int | None = None
    from_ns: int = 0
    until_ns: int | None = None
    note: str = ""

    @property
    def spec(self) -> Kind:
        """The catalogue's entry."""
        return CATALOGUE[self.kind]

    @property
    def family(self) -> str:
        """What it strikes, with `when` taken into account."""
        family = self.spec.family
        return str(self.parameters["when"]) if family == "either" else family

    def number(self, name: str) -> float:
        """Return a parameter that is a number."""
        return float(self.parameters[name])

    def nanos(self, name: str) -> int:
        """Return a parameter given in seconds as nanoseconds."""
        return round(self.number(name) * NS_PER_S)


def read_plan(entry: object, label: str) -> FaultPlan:
    """Read one fault from plain data; `label` names file and entry in errors.

    Raises:
        ConfigError: an unknown kind, key, place or parameter, or a value out of bounds.
    """
    if not isinstance(entry, Mapping):
        raise ConfigError(f"{label} is {_shown(entry)}, expected a mapping that begins with `fault:`")
    _known(entry, KEYS, label)
    kind = entry.get("fault")
    if not isinstance(kind, str) or kind not in CATALOGUE:
        raise ConfigError(f"{label}: fault is {_shown(kind)}; choose one of {', '.join(CATALOGUE)}")
    spec = CATALOGUE[kind]
    label = f"{label} ({kind})"
    from_s = _number(entry, "from", label, Number(0.0, 0.0, 1e9))
    until_s = _number(entry, "until", label, Number(0.0, 0.0, 1e9)) if "until" in entry else None
    if until_s is not None and until_s <= from_s:
        raise ConfigError(f"{label}: until is {until_s:g}, expected more than from ({from_s:g})")
    return FaultPlan(
        kind=kind,
        parameters=_parameters(entry.get("with", {}), spec, label),
        where=_places(entry.get("where", {}), spec, label),
        probability_ppm=round(_number(entry, "probability", label, Number(1.0, 0.000_001, 1.0)) * MILLION),
        count=_whole(entry, "count", label),
        nth=_whole(entry, "nth", label),
        from_ns=round(from_s * NS_PER_S),
        until_ns=None if until_s is None else round(until_s * NS_PER_S),
        note=str(entry.get("note", "")),
    )


def _parameters(given: object, spec: Kind, label: str) -> dict[str, Value]:
    entry = _mapping(given, f"{label}: with")
    _known(entry, spec.parameters, f"{label}: with")
    return {name: _parameter(entry, name, known, f"{label}: with") for name, known in spec.parameters.items()}


def _parameter(entry: Mapping[str, object], name: str, known: Parameter, label: str) -> Value:
    if isinstance(known, Number):
        return _number(entry, name, label, known)
    if isinstance(known, Choice):
        value = entry.get(name, known.words[0])
        if value not in known.words:
            raise ConfigError(f"{label}: {name} is {_shown(value)}; choose one of {', '.join(known.words)}")
        return str(value)
    value = entry.get(name, known.default)
    if not isinstance(value, str):
        raise ConfigError(f"{label}: {name} is {_shown(value)}, expected text; put it in quotes")
    return value


def _places(given: object, spec: Kind, label: str) -> dict[str, str]:
    entry = _mapping(given, f"{label}: where")
    _known(entry, spec.places, f"{label}: where")
    for name, value in entry.items():
        words = _WORDS.get(name)
        if not isinstance(value, str) or not value:
            raise ConfigError(f"{label}: where: {name} is {_shown(value)}, expected text; put it in quotes")
        if words is not None and value not in words:
            raise ConfigError(f"{label}: where: {name} is {_shown(value)}; choose one of {', '.join(words)}")
    return {name: str(value) for name, value in entry.items()}


def _mapping(given: object, label: str) -> Mapping[str, object]:
    if not isinstance(given, Mapping):
        raise ConfigError(f"{label} is {_shown(given)}, expected keys with values")
    return given


def _known(entry: Mapping[str, object], known: Iterable[str], label: str) -> None:
    for name, value in entry.items():
        if name not in known:
            choice = ", ".join(known) or "nothing: leave it out"
            raise ConfigError(f"{label}: {_shown(name)} (value {_shown(value)}) is not known; choose {choice}")


def _number(entry: Mapping[str, object], name: str, label: str, known: Number) -> float:
    value = entry.get(name, known.default)
    if isinstance(value, int | float) and not isinstance(value, bool) and known.low <= value <= known.high:
        if not known.whole:
            return float(value)
        if value == int(value):
            return int(value)
    what = "a whole number" if known.whole else "a number"
    raise ConfigError(f"{label}: {name} is {_shown(value)}, expected {what} from {known.low:g} to {known.high:g}")


def _whole(entry: Mapping[str, object], name: str, label: str) -> int | None:
    if name not in entry:
        return None
    return int(_number(entry, name, label, Number(1, 1, 1_000_000_000, whole=True)))


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
