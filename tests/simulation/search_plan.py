"""A plan of one bad day: which rules are on, what goes wrong, when the daemon dies. Drawn from a seed.

What lives here: the plan as plain data (so that it can be kept in a file and cut down) and its drawing. What
must not: running it (`search_world`), judging it (`search_invariants`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from random import Random
from typing import Any, Final

YES_NO: Final = (
    "ENABLE_EXIT_PLAN",
    "ENABLE_TAKE_PROFIT",
    "ENABLE_STOP_LOSS",
    "CANCEL_UNFILLED_ORDERS",
    "CHECK_LIQUIDITY",
    "USE_KELLY_SIZING",
)
"""On/off settings of every plan; `RULES` adds those of the position manager."""

RULES: Final = {
    "ENABLE_TRAILING_STOP": ("YES",),
    "TRAILING_STOP_PERCENT": ("5", "25"),
    "ENABLE_BREAK_EVEN_STOP": ("YES",),
    "BREAK_EVEN_AFTER_PERCENT": ("3", "20"),
    "ENABLE_TIME_STOP": ("YES",),
    "TIME_STOP_SECONDS": ("30", "120"),
    "TAKE_PROFIT_LADDER": ("50@5,50@20",),
    "EXIT_MODE_AB_SHARE": ("0.5",),
    "EXIT_MAX_AGE_SECONDS": ("20",),
    "CLOSE_GUARD_ACTION": ("exit",),
    "VENUE_POST_ONLY_EXIT": ("wait",),
    "DUST_POLICY": ("with_next_lot",),
    "UNFILLED_RETRY_ON_WINNING_SIDE": ("NO",),
    "UNFILLED_RETRY_MIN_PNL_PERCENT": ("1",),
    "ENABLE_SCALE_IN": ("YES",),
    "SCALE_IN_MAX": ("3",),
    "SCALE_IN_TRIGGER_PERCENT": ("2",),
    "ENABLE_REVERSAL": ("YES",),
    "BLACKLIST_AFTER_STOP_SECONDS": ("120",),
    "ENABLE_ENHANCED_BALANCE_VALIDATION": ("NO",),
    "BALANCE_COOLDOWN_SECONDS": ("0", "10"),
    "SELL_WINNERS_AT": ("0.99",),
    "ENABLE_VENUE_HEARTBEAT": ("YES",),
    "NOTIFICATIONS_INTERVAL_SECONDS": ("0",),
    "MAX_CONSECUTIVE_LOSSES": ("100",),
    "DAILY_LOSS_LIMIT_DOLLARS": ("5", "1000"),
}
"""Settings of the position manager and the words that a plan may give them; left out: the default."""

PROFILES: Final = ("none", "light", "full")
STRETCH_S: Final = 7_200
_PACES: Final = (20, 20, 30, 30, 50, 100)
"""Mostly quiet markets: they cost less, and what can go wrong does not need many messages."""

_ERRORS: Final = (425, 429, 500, 502, 503)
_DEFINITE: Final = (425, 429, 503)
_AT: Final[Mapping[str, tuple[str, ...]]] = {
    "commit": ("order.submitted", "fill.booked", "order.cancel_requested", "stop.fired", "market.resolved"),
    "before": ("", "IntentRecorded", "FillRecorded", "OrderChanged", "PostingRecorded", "PositionRecorded"),
    "after": ("", "IntentRecorded", "FillRecorded", "OrderChanged", "SettlementRecorded"),
    "full": ("", "IntentRecorded", "FillRecorded"),
    "sending": ("order", "cancel", ""),
    "sent": ("order", "cancel", ""),
    "venue": ("placed", "trade"),
    "time": ("",),
}
"""What a death may wait for, by its kind; the empty word: whatever comes."""
_HOWS: Final = ("commit", "commit", "before", "after", "full", "sending", "sent", "sent", "venue", "venue", "time")
_BURSTS: Final = (
    ("POST", "/order"),
    ("POST", "/orders"),
    ("DELETE", "/order*"),
    ("GET", "/data/order*"),
    ("GET", "/data/trades"),
    ("GET", "/balance-allowance*"),
    ("GET", "/book*"),
)
"""Requests that may fail all together for a while."""
_SELDOM: Final = ("stop.fired", "market.resolved", "SettlementRecorded")


@dataclass(frozen=True, slots=True, kw_only=True)
class Crash:
    """The daemon dies and is started again `down_s` later; `orderly` asks it to stop instead.

    `how` is "commit": after the commit whose log line is the nth `at`; "before" and "after": around the nth
    commit that holds a fact of the kind `at` (empty: around the nth commit); "full": that commit fails
    because the disk is full; "sending" and "sent": before and after the bytes of the nth `at` ("order",
    "cancel", empty: of either) leave; "venue": while the venue handles the nth `at`; "time" and whatever is
    orderly: `nth` seconds later. Counting begins at second `from_s` of the run, or at the last death when
    that was later; a death that has not come when the next one is due is left out.
    """

    how: str
    at: str
    nth: int
    down_s: float
    orderly: bool = False
    from_s: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Spell:
    """So many seconds of one kind of trouble, from a second of the run on.

    Of the store: "busy", "slow", "lost" (written, but the answer is lost), "gone" (whoever starts finds none
    either), "full" (no commit fits on the disk: the daemon dies and comes back to the same). Of the network:
    "partition" (nothing arrives, nobody is told), "cut" (all connections break, again and again), "slow".
    """

    kind: str
    second: int
    seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One world. `faults` are entries as in a scenario file; `modes` are (mode, second, seconds).

    An operator asks for something every `operator_s` seconds or so (0: never) and sets the kill switch at
    each of `kills` (second, seconds).
    """

    seed: int
    minutes: int
    symbols: tuple[str, ...] = ("BTC", "ETH")
    windows: tuple[str, ...] = ("5m",)
    settings: Mapping[str, str] = field(default_factory=dict)
    rules: Mapping[str, int] = field(default_factory=dict)
    faults: tuple[Mapping[str, Any], ...] = ()
    modes: tuple[tuple[str, int, int], ...] = ()
    crashes: tuple[Crash, ...] = ()
    store: tuple[Spell, ...] = ()
    network: tuple[Spell, ...] = ()
    operator_s: int = 0
    kills: tuple[tuple[int, int], ...] = ()
    latency_ms: tuple[int, int] = (0, 2)
    """Shortest and longest way of a packet."""
    shuffled: bool = False
    """Tasks that are ready take their steps in a drawn order."""
    pace_percent: int = 100
    """How often the other traders act, against how often they would."""

    def as_data(self) -> dict[str, Any]:
        """The plan as plain data, to be kept in a file."""
        return asdict(self)


def plan_of(told: Mapping[str, Any]) -> Plan:
    """The plan that `as_data` wrote."""
    return Plan(
        **{
            **told,
            "symbols": tuple(told["symbols"]),
            "windows": tuple(told["windows"]),
            "faults": tuple(told["faults"]),
            "modes": tuple(tuple(each) for each in told["modes"]),
            "crashes": tuple(Crash(**each) for each in told["crashes"]),
            "store": tuple(Spell(**each) for each in told["store"]),
            "network": tuple(Spell(**each) for each in told["network"]),
            "kills": tuple(tuple(each) for each in told["kills"]),
            "latency_ms": tuple(told["latency_ms"]),
        }
    )


def draw(seed: int, *, minutes: int, profile: str, markets: int = 0) -> Plan:
    """Draw the plan of a seed: trouble for each stretch of the run, and quiet at its end.

    Args:
        seed: the same seed gives the same plan.
        minutes: of simulated time.
        profile: one of `PROFILES`.
        markets: at once: 2 (two symbols of 5 minutes) or 4 (of 5 and of 15); 0: as drawn.
    """
    chance = Random(f"{seed}:plan")
    drawn = chance.choice((("5m",), ("5m", "15m")))
    windows = {0: drawn, 2: ("5m",), 4: ("5m", "15m")}[markets]
    if profile == "none":
        symbols = ("BTC", "ETH", "SOL", "XRP")[: 2 if markets else 4]
        return Plan(seed=seed, minutes=minutes, symbols=symbols, windows=windows, settings=_settings(chance))
    full = profile == "full"
    plan = Plan(
        seed=seed,
        minutes=minutes,
        symbols=tuple(chance.sample(("BTC", "ETH", "SOL", "XRP"), 2)),
        windows=windows,
        settings=_settings(chance),
        rules=_account_rules(chance),
        operator_s=chance.choice((0, 2, 2, 5)),
        latency_ms=chance.choice(((0, 2), (0, 2), (20, 80), (5, 400))),
        shuffled=chance.random() < 0.5,
        pace_percent=chance.choice(_PACES),
    )
    stretches = [_stretch(chance, begin, end, full=full) for begin, end in _stretches(minutes)]
    if len(stretches) == 1:
        faults = tuple(stretches[0].faults)
    else:
        faults = tuple(_within(entry, each) for each in stretches for entry in each.faults)
    return replace(
        plan,
        faults=faults,
        modes=tuple(mode for each in stretches for mode in each.modes),
        crashes=tuple(crash for each in stretches for crash in each.crashes),
        store=tuple(spell for each in stretches for spell in each.store),
        network=tuple(spell for each in stretches for spell in each.network),
        kills=tuple(kill for each in stretches for kill in each.kills),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stretch:
    """The trouble between two seconds of a run."""

    begin: int
    end: int
    faults: Sequence[Mapping[str, Any]]
    modes: Sequence[tuple[str, int, int]] = ()
    crashes: Sequence[Crash] = ()
    store: Sequence[Spell] = ()
    network: Sequence[Spell] = ()
    kills: Sequence[tuple[int, int]] = ()


def eventful_s(minutes: int) -> int:
    """The second by which the eventful part of a run is over; the rest is for settling."""
    return max(60, minutes * 60 - 330)


def _stretches(minutes: int) -> list[tuple[int, int]]:
    """Beginnings and ends, of two hours at most: a day has changing weather."""
    last = eventful_s(minutes)
    number = -(-last // STRETCH_S)
    edges = [last * each // number for each in range(number + 1)]
    return list(pairwise(edges))


def _stretch(chance: Random, begin: int, end: int, *, full: bool) -> _Stretch:
    faults = _faults(chance, begin, end, full=full)
    modes = _modes(chance, begin, end) if full else []
    kills = _kills(chance, begin, end, modes)
    if not full:
        return _Stretch(begin=begin, end=end, faults=faults, kills=kills)
    store = ("busy", "slow", "slow", "lost", "gone", "full")
    return _Stretch(
        begin=begin,
        end=end,
        faults=faults,
        modes=modes,
        crashes=_crashes(chance, begin, end),
        store=_spells(chance, begin, end, store, (2, 10, 40)),
        network=_spells(chance, begin, end, ("partition", "cut", "slow"), (3, 12, 30)),
        kills=kills,
    )


def _within(entry: Mapping[str, Any], stretch: _Stretch) -> dict[str, Any]:
    """The entry, over by the end of its stretch."""
    return {"from": stretch.begin, "until": stretch.end, **entry}


def _spells(chance: Random, begin: int, end: int, kinds: Sequence[str], lengths: Sequence[int]) -> tuple[Spell, ...]:
    drawn = [
        Spell(kind=chance.choice(kinds), second=chance.randrange(begin + 5, end), seconds=chance.choice(lengths))
        for _ in range(chance.choice((0, 0, 1, 2)))
    ]
    return tuple(sorted(drawn, key=lambda spell: spell.second))


def _settings(chance: Random) -> dict[str, str]:
    values = {name: "NO" for name in YES_NO if chance.random() < 0.12}
    values |= {"MAX_OPEN_POSITIONS": "30", "MAX_EXPOSURE_PER_MARKET": "200"}
    values |= {"MAX_EXPOSURE_PER_SYMBOL": "400"}
    values["EXIT_MODE"] = chance.choice(("limit_orders", "limit_orders", "monitor"))
    values["TAKE_PROFIT_PERCENT"] = str(chance.choice((5, 15, 40, 80)))
    values["STOP_LOSS_PERCENT"] = str(chance.choice((5, 15, 30, 50)))
    values["ENTRY_STYLE"] = chance.choice(("limit", "market"))
    values["MIN_EDGE_PERCENT"] = str(chance.choice((1, 3)))
    values["UNFILLED_TIMEOUT_SECONDS"] = str(chance.choice((10, 60, 300)))
    for name, words in RULES.items():
        if chance.random() < 0.3:
            values[name] = chance.choice(words)
    if values.get("ENABLE_VENUE_HEARTBEAT") == "YES":
        values["ON_SHUTDOWN"] = "cancel_all"
    return values


def _account_rules(chance: Random) -> dict[str, int]:
    rules = {"balance_lag_ms": chance.choice((0, 1_000, 8_000))}
    if chance.random() < 0.4:
        rules["fail_ppm"] = chance.choice((20_000, 100_000))
    if chance.random() < 0.4:
        rules["retry_ppm"] = 100_000
    if chance.random() < 0.3:
        rules["late_ppm"] = 100_000
    return rules


def _faults(chance: Random, begin: int, end: int, *, full: bool) -> list[dict[str, Any]]:
    rest: list[dict[str, Any]] = [
        {"fault": "request_dropped", "where": {"method": "POST"}},
        {"fault": "reply_dropped", "where": {"method": "POST"}},
        {"fault": "reply_dropped", "where": {"method": "DELETE"}},
        {"fault": "request_delayed", "where": {"method": "POST"}, "with": {"seconds": chance.choice((1, 8, 40))}},
        {"fault": "reply_delayed", "where": {"method": "POST"}, "with": {"seconds": chance.choice((1, 8, 45))}},
        {"fault": "http_error", "with": _error(chance)},
        {"fault": "html_page", "where": {"method": chance.choice(("POST", "GET"))}, "with": {"status": 502}},
        {"fault": "truncated_json"},
        {"fault": "empty_body"},
    ]
    streams: list[dict[str, Any]] = [
        {"fault": "message_dropped", "where": {"stream": "user"}},
        {"fault": "message_duplicated", "where": {"stream": "user"}},
        {"fault": "message_delayed", "where": {"stream": "user"}, "with": {"seconds": chance.choice((1, 10, 50))}},
        {"fault": "message_reordered", "where": {"stream": "user"}, "with": {"behind": chance.choice((1, 5))}},
        {"fault": "message_dropped", "where": {"stream": "market"}},
        {"fault": "connection_aborted", "where": {"stream": chance.choice(("user", "market", "price"))}},
    ]
    trades: list[dict[str, Any]] = [
        {
            "fault": "late_fill",
            "with": {"seconds": chance.choice((2, 20)), "answer": chance.choice(("delayed", "live"))},
        },
        {"fault": "trade_failed"},
        {"fault": "trade_late"},
        {"fault": "resolution_late", "with": {"seconds": 60}},
        {"fault": "resolution_reversed", "with": {"seconds": 20}},
    ]
    chosen: list[dict[str, Any]] = []
    for entry in [*rest, *streams, *(trades if full else [])]:
        if chance.random() < (0.35 if full else 0.2):
            probability = chance.choice((0.01, 0.05, 0.2)) if "aborted" not in str(entry["fault"]) else 0.002
            chosen.append({**entry, "probability": probability})
    lasting: list[dict[str, Any]] = [
        {"fault": "stream_silent", "where": {"stream": chance.choice(("user", "market"))}, "with": {"for": 40}},
        {"fault": "half_open", "where": {"stream": chance.choice(("user", "market"))}, "with": {"for": 40}},
        {"fault": "book_frozen", "with": {"for": 20}},
        {"fault": "book_crossed", "with": {"for": 10}},
        {"fault": "book_one_sided", "with": {"for": 10, "missing": chance.choice(("asks", "bids"))}},
        {"fault": "book_empty", "with": {"for": 10}},
    ]
    if full:
        chosen += _bursts(chance, begin, end)
        chosen += [
            {**entry, "from": chance.randrange(begin + 20, end), "count": 1}
            for entry in lasting
            if chance.random() < 0.2
        ]
    return chosen


def _error(chance: Random) -> dict[str, Any]:
    """An error status; the venue's definite refusals come before it acts, the others whenever they like."""
    status, when = chance.choice(_ERRORS), chance.choice(("before", "after"))
    return {"status": status, "when": "before" if status in _DEFINITE else when}


def _bursts(chance: Random, begin: int, end: int) -> list[dict[str, Any]]:
    """So many seconds in which one kind of request always fails: longer than anything is asked again."""
    bursts = []
    for _ in range(chance.choice((0, 0, 1, 2))):
        method, path = chance.choice(_BURSTS)
        first = chance.randrange(begin + 5, end)
        kind = chance.choice(("http_error", "request_dropped", "reply_dropped", "empty_body"))
        values = {"with": _error(chance)} if kind == "http_error" else {}
        where = {"method": method, "path": path}
        until = first + chance.choice((10, 45))
        bursts.append({"fault": kind, "where": where, **values, "from": first, "until": until})
    return bursts


def _modes(chance: Random, begin: int, end: int) -> list[tuple[str, int, int]]:
    if chance.random() < 0.6:
        return []
    mode, seconds = chance.choice((("restarting", 60), ("cancel-only", 90), ("disabled", 60), ("post-only", 90)))
    return [(mode, chance.randrange(begin + 30, end), seconds)]


def _kills(chance: Random, begin: int, end: int, modes: Sequence[tuple[str, int, int]]) -> tuple[tuple[int, int], ...]:
    """Times of the kill switch, one after the other; an operator is likely to set it while the venue rests."""
    times = [chance.randrange(begin + 30, end) for _ in range(chance.choice((0, 0, 1, 1, 2)))]
    times += [second + chance.randrange(1, 15) for _, second, _ in modes if chance.random() < 0.6]
    kills: list[tuple[int, int]] = []
    for second in sorted(times):
        if not kills or second > sum(kills[-1]):
            kills.append((second, chance.choice((15, 40, 120))))
    return tuple(kills)


def _crashes(chance: Random, begin: int, end: int) -> list[Crash]:
    """Deaths in their order; the first is often waited for from the beginning on."""
    number = chance.choice((0, 1, 2, 2, 3, 4))
    times = sorted(chance.randrange(begin, end) for _ in range(number))
    if times and chance.random() < 0.6:
        times[0] = begin
    crashes = []
    for second in times:
        how = chance.choice(_HOWS)
        at = chance.choice(_AT[how])
        down_s = chance.choice((0.5, 0.5, 5, 5, 20, 60))
        orderly = chance.random() < 0.1
        nth = _nth(chance, how, at)
        crashes.append(Crash(how=how, at=at, nth=nth, down_s=down_s, orderly=orderly, from_s=second))
    return crashes


def _nth(chance: Random, how: str, at: str) -> int:
    """How many of a kind are waited for: few of the seldom ones, up to hundreds of plain commits."""
    if how == "time":
        return chance.randrange(10, 120)
    if not at and how in ("before", "after", "full"):
        return (1 << chance.randrange(8)) + chance.randrange(8)
    return chance.randrange(1, 3 if at in _SELDOM else 12)
