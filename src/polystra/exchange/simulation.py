"""The built-in exchange's world without its sockets: prices, listings and crowd on one agenda.

What lives here: putting the parts together for a configuration, choosing where simulated time
starts, and running everything that is due. What must not: waiting, sockets, HTTP (`builtin`).

The same configuration gives the same world, event for event. Without a recording, generated
prices start at DEFAULT_EPOCH_S; an exchange that resumes from its books plays the same prices
forward from there, so that open markets resolve as they would have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from polystra.domain.errors import ConfigError
from polystra.domain.units import NS_PER_S, Nanos, PriceE8
from polystra.exchange.account_rules import REALISTIC, AccountRules
from polystra.exchange.agenda import Agenda
from polystra.exchange.assets import ASSETS, Asset
from polystra.exchange.books import read_books
from polystra.exchange.core import ExchangeCore
from polystra.exchange.faults.plan import FaultPlan
from polystra.exchange.market_terms import MarketTerms
from polystra.exchange.prices import CommonFactor, PricePath, SpotStream
from polystra.exchange.recording import Recording
from polystra.exchange.schedule import WINDOW_SECONDS
from polystra.exchange.series import PriceSeries
from polystra.exchange.traders.config import CrowdConfig
from polystra.exchange.traders.crowd import Crowd
from polystra.exchange.traders.replayed import ReplayTrader
from polystra.exchange.venue_rules import VenueRules
from polystra.exchange.world import World, WorldMarket

DEFAULT_EPOCH_S: Final = 1_793_628_000
"""2026-11-02T14:00:00Z: where simulated time starts without a recording."""

LEAD_IN_S: Final = 10
"""Seconds of a recording that are played before its first window opens."""

_EARLY_START_S: Final = 60
"""How long before its first tick a recording may be started."""

FEED_DELAY_NS: Final = 250_000_000
"""How long after its second a settlement tick is published."""

SPOT_EVERY_NS: Final = 250_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltInConfig:
    """What the built-in exchange simulates and where it listens.

    `initial_cash` is micro-dollars per new account; `start_ns` overrides the start of simulated
    time; `speed` is told to clients by the control endpoint (None on a virtual clock: as fast as
    it goes); `books_path` keeps the books on disk, None in memory; `port` 0 picks a free one;
    `crowd` says who else trades; `replay` puts a recorded book in the crowd's place (`replay.replaying`
    makes such a configuration); `faults` are armed from the start.

    Raises:
        ConfigError: an unknown symbol or window, or none at all.
    """

    seed: int = 1
    symbols: tuple[str, ...] = ("BTC", "ETH", "SOL", "XRP")
    windows: tuple[str, ...] = ("15m",)
    series: PriceSeries | None = None
    start_ns: Nanos | None = None
    speed: float | None = 20.0
    books_path: Path | None = None
    host: str = "127.0.0.1"
    port: int = 0
    initial_cash: int = 1_000_000_000
    crowd: CrowdConfig = field(default_factory=CrowdConfig)
    venue: VenueRules = field(default_factory=VenueRules)
    terms: Mapping[str, MarketTerms] = field(default_factory=dict)
    account_rules: AccountRules = REALISTIC
    replay: Recording | None = None
    faults: tuple[FaultPlan, ...] = ()

    def __post_init__(self) -> None:
        for name, values, known in (("SYMBOLS", self.symbols, ASSETS), ("WINDOWS", self.windows, WINDOW_SECONDS)):
            unknown = [value for value in values if value not in known]
            if unknown or not values:
                found = ", ".join(unknown) or "empty"
                raise ConfigError(f"{name} is {found}; the built-in exchange knows {', '.join(known)}")
        if not self.traded_symbols:
            raise ConfigError(
                f"--prices has {', '.join(self.series.by_symbol if self.series else ())} but SYMBOLS asks for "
                f"{', '.join(self.symbols)}; choose a symbol that the file has"
            )

    @property
    def traded_symbols(self) -> tuple[str, ...]:
        """The symbols that have prices: all of them, or those of the recording."""
        return tuple(symbol for symbol in self.symbols if self.series is None or symbol in self.series.by_symbol)

    def origin_s(self) -> int:
        """Return the UTC second at which prices begin.

        Raises:
            ConfigError: the recording holds no whole window, or not the start that was asked for.
        """
        if self.start_ns is not None:
            start_s = self.start_ns // NS_PER_S
            if self.series is not None and not (
                self.series.summary.first_s - _EARLY_START_S <= start_s <= self.series.summary.last_s
            ):
                summary = self.series.summary
                raise ConfigError(
                    f"the start is UTC second {start_s}, outside --prices {summary.file} "
                    f"[{summary.first_s}, {summary.last_s}]; choose a start inside it or leave it empty"
                )
            return start_s
        if self.series is None:
            return DEFAULT_EPOCH_S
        return self.series.best_start(self.traded_symbols, self.windows[0], windows=12) - LEAD_IN_S


def planned_start_ns(config: BuiltInConfig) -> Nanos:
    """Return the UTC nanosecond at which simulated time should start: later when books are resumed.

    Raises:
        ConfigError: the recording holds no whole window, or the books cannot be read or are from
            another time than the recording.
    """
    origin_ns = config.origin_s() * NS_PER_S
    if config.books_path is None or not config.books_path.is_file():
        return origin_ns
    resumed_ns = read_books(config.books_path).simulated_ns
    return _checked_resumption(config, origin_ns, resumed_ns)


def _checked_resumption(config: BuiltInConfig, origin_ns: Nanos, resumed_ns: Nanos) -> Nanos:
    if resumed_ns == 0:
        return origin_ns
    last_s = resumed_ns // NS_PER_S if config.series is None else config.series.summary.last_s
    if not origin_ns <= resumed_ns <= (last_s + 1) * NS_PER_S:
        raise ConfigError(
            f"exchange books {config.books_path} stopped at simulated second {resumed_ns // NS_PER_S}, outside "
            f"[{origin_ns // NS_PER_S}, {last_s}] of these prices; use another DATA_DIR or the same prices as before"
        )
    return resumed_ns


class Simulation:
    """The world of one exchange; drive it with `run_due` up to the present instant."""

    def __init__(self, config: BuiltInConfig, core: ExchangeCore) -> None:
        self.core = core
        self.agenda = Agenda()
        origin_s = config.origin_s()
        resumed_ns = core.resumed_ns or 0
        self.start_ns: Final = _checked_resumption(config, origin_s * NS_PER_S, resumed_ns)
        # Whole seconds, so that a resumed feed continues on the grid.
        start_s = -(-self.start_ns // NS_PER_S)
        factor = CommonFactor(config.seed)
        last_s: dict[str, int] = {}
        self.paths: dict[str, PricePath] = {}
        for symbol in _needed_symbols(config, core):
            asset = ASSETS[symbol]
            if config.series is None:
                path = PricePath.generated(asset, seed=config.seed, factor=factor, start_s=origin_s)
            else:
                recorded = config.series.by_symbol[symbol]
                last_s[symbol] = recorded.last_s
                path = PricePath.recorded(asset, recorded, start_s=origin_s)
            self.paths[symbol] = path
        self.world = World(core, self.agenda, self.paths, seed=config.seed, last_s=last_s, terms=config.terms)
        self.crowd = Crowd(core, config.seed, config.crowd)
        self._replay = config.replay
        self._spots = {symbol: SpotStream(self.paths[symbol], seed=config.seed) for symbol in config.traded_symbols}
        self._on_tick: list[Callable[[PricePath, int], None]] = []
        self._on_spot: list[Callable[[Asset, PriceE8, int, int], None]] = []
        self.world.on_listed(self._send_crowd)
        self.world.start(config.traded_symbols, config.windows, start_s)
        self.agenda.add(start_s * NS_PER_S + FEED_DELAY_NS, self._publish_feed)
        self.agenda.add(start_s * NS_PER_S, self._publish_spot)

    def on_tick(self, callback: Callable[[PricePath, int], None]) -> None:
        """Call `callback(path, second)` when a second of a coin's settlement feed is over."""
        self._on_tick.append(callback)

    def on_spot(self, callback: Callable[[Asset, PriceE8, int, int], None]) -> None:
        """Call `callback(asset, price, size, at_ms)` for every spot print (10^-8 dollars and coins)."""
        self._on_spot.append(callback)

    @property
    def next_due_ns(self) -> Nanos:
        """The next instant at which something happens; there is always one."""
        due_ns = self.agenda.next_due_ns
        chain_ns = self.core.next_due_ns()
        if due_ns is None or (chain_ns is not None and chain_ns < due_ns):
            return self.start_ns if chain_ns is None else chain_ns
        return due_ns

    def run_due(self, now_ns: Nanos, max_steps: int | None = None) -> bool:
        """Do what is due up to `now_ns`, in order; True when `max_steps` were not enough."""
        agenda, core = self.agenda, self.core
        steps = 0
        while True:
            due_ns, chain_ns = agenda.next_due_ns, core.next_due_ns()
            if chain_ns is not None and chain_ns <= now_ns and (due_ns is None or chain_ns <= due_ns):
                core.advance(chain_ns)
            elif not agenda.run_next(now_ns):
                return False
            steps += 1
            if steps == max_steps:
                return True

    def _send_crowd(self, market: WorldMarket, now_ns: Nanos) -> None:
        if self._replay is not None:
            replayed = ReplayTrader(self.core, self._replay, market)
            self.agenda.add(max(now_ns + 1, replayed.first_ns), replayed.act)
            return
        for wait_ns, trader in self.crowd.join(market, self.world.path_of(market)):
            self.agenda.add(now_ns + wait_ns, trader.act)

    def _publish_feed(self, due_ns: Nanos) -> Nanos:
        second = due_ns // NS_PER_S
        for path in self.paths.values():
            for callback in self._on_tick:
                callback(path, second)
        return due_ns + NS_PER_S

    def _publish_spot(self, due_ns: Nanos) -> Nanos:
        at_ms = due_ns // 1_000_000
        for symbol, stream in self._spots.items():
            price, size = stream.print_at(due_ns)
            for callback in self._on_spot:
                callback(ASSETS[symbol], price, size, at_ms)
        return due_ns + SPOT_EVERY_NS


def _needed_symbols(config: BuiltInConfig, core: ExchangeCore) -> Sequence[str]:
    """Return the traded symbols and those of markets that an earlier run left open."""
    symbols = list(config.traded_symbols)
    for market in core.markets.values():
        symbol = market.spec.symbol
        if market.closed or symbol in symbols or symbol not in ASSETS:
            continue
        if config.series is not None and symbol not in config.series.by_symbol:
            raise ConfigError(
                f"exchange books {config.books_path} hold the open market {market.spec.slug}, but --prices has no "
                f"{symbol}; use another DATA_DIR or the same prices as before"
            )
        symbols.append(symbol)
    return symbols
