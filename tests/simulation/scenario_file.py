"""Scenario files of the position manager: a market's path, what happens, and what must come of it.

What lives here: the form of a file and its strict reading. What must not: running one (`scenario_runner`).

    title: The stop sells when the best bid reaches it
    settings: {ENABLE_TAKE_PROFIT: "NO", STOP_LOSS_PERCENT: "20"}
    verdict: down                       # up, down or half; or payouts by hand
    quotes:                             # seconds after the opening: bid x shares | ask x shares, in cents of Up
      0: 49 x 500 | 51 x 500
      60: 40 x 500 | 42 x 500
    markets: [BTC 5m]                   # the default; all of them have the book of the file
    modes: [[restarting, 60, 90]]       # the venue's mode, from which second, for how many
    restart: {at: 60, down: 30}         # the daemon is killed and comes back
    store: [[busy, 60, 30]]             # its database: busy, or slow (a commit begun then is done at the end)
    network: [[partition, 60, 20]]      # its network: partition, cut or slow
    terms: {neg_risk: true}             # of the markets, as the exchange's MarketTerms names them
    clock: [[60, 30]]                   # its clock: from which second on it is how many seconds ahead
    when:
      10: enter 20 up at 52             # or: enter $10 up at 52
      120: other buys 10 up at 60       # `... in ETH 5m` says which market; without it the first
      150: tick 0.1                     # the grid becomes finer, in cents
    then:
      orders: [entry BUY 20 @ 52 FILLED, stop-loss SELL 20 FILLED]
      shares: 0                         # bought less sold, before the resolution
      said: [stop.fired]
      unsaid: [take_profit.fired]

Every word that is not known is an error that names the file and the word.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import yaml

from polystra.domain.units import MICRO

CENT: Final = 10_000
_KEYS: Final = frozenset(
    {
        *("title", "settings", "markets", "verdict", "quotes", "prices", "when", "then", "faults", "cash", "rules"),
        *("modes", "restart", "slow", "known", "store", "network", "clock", "terms"),
    }
)
_THEN: Final = frozenset(
    {"orders", "shares", "said", "unsaid", "postings", "adjustments", "switches", "pnl", "refused", "differences"}
)
_PAYOUT: Final = {"up": MICRO, "down": 0, "half": MICRO // 2}
_AMOUNT = r"(\d+(?:\.\d+)?)"
_QUOTE = re.compile(rf"{_AMOUNT} x {_AMOUNT}")
_ENTER = re.compile(rf"(enter|add) (\$?){_AMOUNT} (up|down) at {_AMOUNT}")
_EXIT = re.compile(r"exit(?: (up|down))?")
_ALLOWANCE = re.compile(r"(revoke|approve) (dollars|shares)")
_TAKES = re.compile(rf"takes {_AMOUNT} (up|down)")
_TICK = re.compile(rf"tick {_AMOUNT}")
_IN = re.compile(r"(.*) in ([A-Z]+ (?:5m|15m))")
_OTHER = re.compile(rf"(other|elsewhere) (buys|sells) {_AMOUNT} (up|down) at {_AMOUNT}")
_ORDER = re.compile(rf"([\w-]+) (BUY|SELL) (\*|{_AMOUNT})(?: @ {_AMOUNT})? ([A-Z_]+)(?: {_AMOUNT})?")


class ScenarioError(ValueError):
    """A file that cannot be read; one sentence."""


@dataclass(frozen=True, slots=True)
class Quotes:
    """The book of Up from a moment on: (price, size) of each side in millionths, best first."""

    at_s: float
    bids: tuple[tuple[int, int], ...]
    asks: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Step:
    """Something that is done at a moment.

    `verb` is enter, add, exit, other buys, other sells, elsewhere buys (our account without this daemon), takes,
    tick, revoke or approve (`outcome` says of what), or a switch's word; `market` is like BTC 5m.
    """

    at_s: float
    verb: str
    outcome: str = "up"
    quantity: int = 0
    budget: int = 0
    price: int = 0
    market: str = ""
    mode: str = "keep_exits"
    """The policy of a stop."""


@dataclass(frozen=True, slots=True)
class ExpectedOrder:
    """An order as the file has it; None: any."""

    rule: str
    side: str
    quantity: int | None
    price: int | None
    status: str
    filled: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What must come of it; None or empty: not looked at."""

    orders: tuple[ExpectedOrder, ...] | None = None
    shares: int | None = None
    said: tuple[str, ...] = ()
    unsaid: tuple[str, ...] = ()
    postings: Mapping[str, int] = field(default_factory=dict)
    adjustments: int = 0
    switches: tuple[str, ...] | None = None
    pnl: int | None = None
    refused: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()
    """Words of what may differ between the books: trades of the account that the daemon did not make."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One file."""

    title: str
    settings: Mapping[str, str]
    payout: int
    quotes: tuple[Quotes, ...]
    prices: tuple[tuple[int, float], ...]
    steps: tuple[Step, ...]
    then: Expected
    faults: tuple[object, ...]
    rules: Mapping[str, object]
    cash: int
    markets: tuple[str, ...] = ("BTC 5m",)
    modes: tuple[tuple[str, int, int], ...] = ()
    restart: tuple[float, float] | None = None
    store: tuple[tuple[str, int, int], ...] = ()
    network: tuple[tuple[str, int, int], ...] = ()
    clock: tuple[tuple[int, int], ...] = ()
    terms: Mapping[str, object] = field(default_factory=dict)
    slow: bool = False
    known: str = ""
    """Why the daemon does not do this yet; empty: it does."""


def load(path: Path) -> Scenario:
    """Read a file; raises ScenarioError."""
    try:
        told = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ScenarioError(f"{path.name} is no YAML: {error}") from error
    if not isinstance(told, dict):
        raise ScenarioError(f"{path.name} holds no mapping")
    _known(path, "", told, _KEYS)
    try:
        return Scenario(
            title=str(told["title"]),
            settings={str(name): str(value) for name, value in (told.get("settings") or {}).items()},
            payout=_PAYOUT[str(told.get("verdict", "up"))],
            quotes=tuple(_quotes(at, text) for at, text in told["quotes"].items()),
            prices=tuple((int(at), float(price)) for at, price in (told.get("prices") or {}).items()),
            steps=tuple(_step(at, text) for at, texts in (told.get("when") or {}).items() for text in _listed(texts)),
            then=_then(path, told["then"]),
            faults=tuple(told.get("faults") or ()),
            rules=told.get("rules") or {},
            cash=_micros(told.get("cash", 1_000)),
            markets=tuple(_listed(told.get("markets") or ["BTC 5m"])),
            modes=_spells(told.get("modes")),
            restart=_restart(told.get("restart")),
            store=_spells(told.get("store"), ("busy", "slow")),
            network=_spells(told.get("network"), ("partition", "cut", "slow")),
            terms=told.get("terms") or {},
            clock=tuple((int(at), int(seconds)) for at, seconds in told.get("clock") or ()),
            slow=bool(told.get("slow", False)),
            known=str(told.get("known", "")),
        )
    except KeyError as error:
        raise ScenarioError(f"{path.name}: {error.args[0]!r} is missing or not a word that is known") from error
    except ScenarioError as error:
        raise ScenarioError(f"{path.name}: {error}") from error


def _known(path: Path, where: str, told: Mapping[str, object], keys: frozenset[str]) -> None:
    unknown = sorted(set(told) - keys)
    if unknown:
        raise ScenarioError(f"{path.name}{where}: {', '.join(unknown)} is unknown; write {', '.join(sorted(keys))}")


def _listed(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else [str(value)]


def _micros(text: object) -> int:
    return round(float(str(text)) * MICRO)


def _cents(text: str) -> int:
    return round(float(text) * CENT)


def _quotes(at: object, text: object) -> Quotes:
    sides = str(text).split("|")
    if len(sides) != 2:
        raise ScenarioError(f"quotes at {at} are {text!r}, expected `bids | asks`")
    bids, asks = (tuple((_cents(p), _micros(size)) for p, size in _QUOTE.findall(side)) for side in sides)
    empty = [side for side, found in zip(sides, (bids, asks), strict=True) if not found and side.strip() != "none"]
    if empty:
        raise ScenarioError(f"quotes at {at} are {text!r}, expected like `49 x 500 | 51 x 500` or `none`")
    return Quotes(float(str(at)), bids, asks)


def _restart(told: object) -> tuple[float, float] | None:
    if told is None:
        return None
    if not isinstance(told, dict) or set(told) != {"at", "down"}:
        raise ScenarioError(f"restart is {told!r}, expected like {{at: 60, down: 30}}")
    return float(told["at"]), float(told["down"])


def _spells(told: object, kinds: tuple[str, ...] = ()) -> tuple[tuple[str, int, int], ...]:
    rows = told if isinstance(told, list) else []
    spells = tuple((str(kind), int(at), int(seconds)) for kind, at, seconds in rows)
    unknown = [kind for kind, _, _ in spells if kinds and kind not in kinds]
    if unknown:
        raise ScenarioError(f"{unknown[0]!r} is no kind of trouble; write {', '.join(kinds)}")
    return spells


def _step(at: object, text: str) -> Step:
    inside = _IN.fullmatch(text)
    return replace(_action(at, inside[1]), market=inside[2]) if inside else _action(at, text)


def _action(at: object, text: str) -> Step:
    at_s = float(str(at))
    entered = _ENTER.fullmatch(text)
    if entered:
        verb, dollars, amount, outcome, price = entered.groups()
        size = _micros(amount)
        budget, quantity = (size, 0) if dollars else (0, size)
        return Step(at_s, verb, outcome, quantity, budget, _cents(price))
    other = _OTHER.fullmatch(text)
    if other:
        who, verb, amount, outcome, price = other.groups()
        return Step(at_s, f"{who} {verb}", outcome, _micros(amount), 0, _cents(price))
    left = _EXIT.fullmatch(text)
    if left:
        return Step(at_s, "exit", left[1] or "up")
    allowance = _ALLOWANCE.fullmatch(text)
    if allowance:
        return Step(at_s, allowance[1], allowance[2])
    taken = _TAKES.fullmatch(text)
    if taken:
        return Step(at_s, "takes", taken[2], _micros(taken[1]))
    ticks = _TICK.fullmatch(text)
    if ticks:
        return Step(at_s, "tick", price=_cents(ticks[1]))
    if text in ("kill", "start", "stopentry", "stop the daemon"):
        return Step(at_s, text)
    if text.startswith("stop by "):
        return Step(at_s, "stop the daemon", mode=text.removeprefix("stop by "))
    raise ScenarioError(
        f"at {at}: {text!r} is not known; write `enter 20 up at 52`, `enter $10 up at 52`, `add 10 up at 60`, "
        "`exit`, `exit down`, `tick 0.1`, `revoke shares`, `takes 0.01 up`, `other buys 10 up at 60`, "
        "`other sells 10 up at 40`, `elsewhere buys 10 up at 52`, `kill`, `start`, `stopentry`, `stop the daemon`, "
        "`stop by cancel_all`"
    )


def _then(path: Path, told: Mapping[str, object]) -> Expected:
    _known(path, ", then", told, _THEN)
    orders, shares, pnl, switches = (told.get(name) for name in ("orders", "shares", "pnl", "switches"))
    postings = told.get("postings") or {}
    if not isinstance(postings, dict):
        raise ScenarioError("postings is no mapping of kinds to counts")
    return Expected(
        orders=None if orders is None else tuple(_order(text) for text in _listed(orders)),
        shares=None if shares is None else _micros(shares),
        said=tuple(_listed(told.get("said") or [])),
        unsaid=tuple(_listed(told.get("unsaid") or [])),
        postings={str(kind): int(count) for kind, count in postings.items()},
        adjustments=int(str(told.get("adjustments", 0))),
        switches=None if switches is None else tuple(_listed(switches)),
        pnl=None if pnl is None else _micros(pnl),
        refused=tuple(_listed(told.get("refused") or [])),
        differences=tuple(_listed(told.get("differences") or [])),
    )


def _order(text: str) -> ExpectedOrder:
    found = _ORDER.fullmatch(text)
    if not found:
        raise ScenarioError(
            f"order {text!r} cannot be read; write `entry BUY 20 @ 52 FILLED` or `stop-loss SELL * FILLED`"
        )
    rule, side, quantity, amount, price, status, filled = found.groups()
    return ExpectedOrder(
        rule=rule,
        side=side,
        quantity=None if quantity == "*" else _micros(amount),
        price=None if price is None else _cents(price),
        status=status,
        filled=None if filled is None else _micros(filled),
    )
