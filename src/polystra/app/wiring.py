"""The composition root: the one file that names concrete classes and joins them.

What lives here: settings in, a daemon with its adapters out. What must not: decisions of the
trade, command-line words (`cli`), the choice of a simulated world (`sessions`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

import aiohttp

from polystra.adapters.polymarket.discovery import GammaDiscovery
from polystra.adapters.polymarket.price_fallback import FallbackPriceStream
from polystra.adapters.polymarket.price_stream import PriceStream
from polystra.adapters.polymarket.rest import PolymarketVenue, VenueAccount
from polystra.adapters.polymarket.rtds_stream import RtdsStream
from polystra.adapters.polymarket.signing import L2Credentials, OrderSigner, OrderTermsSigner, SigningKey
from polystra.adapters.polymarket.streams import MarketStream, UserStream
from polystra.adapters.polymarket.transport import SessionFactory, default_session
from polystra.adapters.spot.binance import SpotStream
from polystra.adapters.store.migrations import upgrade
from polystra.adapters.store.writer import SqlStore
from polystra.app.settings import Settings, check_armed
from polystra.domain.errors import ConfigError
from polystra.domain.units import MICRO, NS_PER_S, parse_micros
from polystra.engine.config import EngineConfig, ExitConfig, ExitMode, RiskConfig
from polystra.engine.strategy.config import EntryStyle, StrategyConfig
from polystra.engine.strategy.fusion import Fusion
from polystra.engine.strategy.sizing import SizingRules
from polystra.ports.clock import Clock
from polystra.ports.logbook import LogEvent
from polystra.runtime.daemon import Daemon, Parts, RunSummary
from polystra.runtime.log import Log

WINDOW_SECONDS: Final = {"5m": 300, "15m": 900}
_NO_DEADLINE: Final = aiohttp.ClientTimeout(total=None, sock_connect=None, sock_read=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """Where the venue is."""

    clob_url: str
    gamma_url: str
    market_ws_url: str
    user_ws_url: str
    price_ws_url: str
    rtds_url: str
    spot_ws_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wallet:
    """Who trades. `key` signs, `credentials` authenticate; both hide themselves when shown."""

    key: SigningKey
    credentials: L2Credentials
    signature_type: int
    funder: str | None

    @property
    def account(self) -> str:
        """The address that holds the funds."""
        return self.funder or self.key.address


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one run is made of besides the settings. `chance` seeds jitter and salts."""

    settings: Settings
    symbols: tuple[str, ...]
    endpoints: Endpoints
    wallet: Wallet
    clock: Clock
    log: Log
    chance: Random
    session: SessionFactory = default_session
    markets_limit: int = 0
    handle_signals: bool = True
    beside: Mapping[str, Callable[[], Coroutine[Any, Any, None]]] = field(default_factory=dict)


def endless_session() -> aiohttp.ClientSession:
    """An HTTP session for virtual time: its pool and names never expire by real time."""
    connector = aiohttp.TCPConnector(limit=32, ttl_dns_cache=None, keepalive_timeout=1e9)
    return aiohttp.ClientSession(timeout=_NO_DEADLINE, connector=connector)


def strategy_config(settings: Settings) -> StrategyConfig:
    """The strategy's settings in its own units."""
    return StrategyConfig(
        min_edge_ppm=parse_micros(settings.min_edge_percent, field="MIN_EDGE_PERCENT") // 100,
        min_confidence=float(settings.min_confidence_score),
        fusion=Fusion(settings.fusion),
        sizing=SizingRules(
            use_kelly=settings.use_kelly_sizing,
            kelly_fraction=float(settings.kelly_fraction),
            trade_size=parse_micros(settings.trade_size_dollars, field="TRADE_SIZE_DOLLARS"),
            max_trade_size=parse_micros(settings.max_trade_size, field="MAX_TRADE_SIZE"),
        ),
        max_spread=parse_micros(settings.max_spread, field="MAX_SPREAD"),
        check_liquidity=settings.check_liquidity,
        entry_style=EntryStyle(settings.entry_style),
        close_guard_s=float(settings.close_guard_seconds),
    )


def engine_config(run: Run) -> EngineConfig:
    """The engine's settings in its own units."""
    settings = run.settings
    exposure = settings.max_exposure_dollars
    if settings.mode.value == "live":
        exposure = min(exposure, settings.live_max_dollars)
    return EngineConfig(
        symbols=run.symbols,
        windows_s=tuple(WINDOW_SECONDS[window] for window in settings.windows),
        strategy=strategy_config(settings),
        exits=ExitConfig(
            enabled=settings.enable_exit_plan,
            mode=ExitMode(settings.exit_mode),
            take_profit=settings.enable_take_profit,
            take_profit_ppm=parse_micros(settings.take_profit_percent, field="TAKE_PROFIT_PERCENT") // 100,
            stop_loss=settings.enable_stop_loss,
            stop_loss_ppm=parse_micros(settings.stop_loss_percent, field="STOP_LOSS_PERCENT") // 100,
        ),
        risk=RiskConfig(
            max_exposure=parse_micros(exposure, field="MAX_EXPOSURE_DOLLARS"),
            max_exposure_per_market=parse_micros(settings.max_exposure_per_market, field="MAX_EXPOSURE_PER_MARKET"),
            max_open_positions=settings.max_open_positions,
            capital=parse_micros(settings.capital_total, field="CAPITAL_TOTAL"),
            stale_book_ns=int(settings.stale_book_seconds * NS_PER_S),
        ),
        salt_seed=hashlib.sha256(run.chance.randbytes(32)).digest(),
        check_every_s=settings.order_check_interval_seconds,
        cancel_timeout_s=settings.cancel_timeout_seconds,
        unfilled_cancel=settings.cancel_unfilled_orders,
        unfilled_timeout_s=settings.unfilled_timeout_seconds,
        markets_limit=run.markets_limit,
    )


def position_rules(settings: Settings) -> tuple[str, str]:
    """The position rules that are on and those that are off, in words, for the start-up line."""
    rules = {
        f"take-profit {settings.take_profit_percent}%": settings.enable_exit_plan and settings.enable_take_profit,
        f"stop-loss {settings.stop_loss_percent}%": settings.enable_exit_plan and settings.enable_stop_loss,
        f"unfilled time-out {settings.unfilled_timeout_seconds}s": settings.cancel_unfilled_orders,
        f"exits as {settings.exit_mode}": settings.enable_exit_plan,
        f"hold to resolution in the last {settings.close_guard_seconds}s": True,
    }
    on = ", ".join(name for name, active in rules.items() if active)
    off = ", ".join(name for name, active in rules.items() if not active)
    return on, off or "none"


async def open_store(settings: Settings, account: str, log: Log) -> SqlStore:
    """Migrate the database to the newest schema and open it for this mode and account."""
    url = settings.resolved_database_url.get_secret_value()
    report = upgrade(url)
    log.info(
        LogEvent.STORE_MIGRATED,
        schema=report.after,
        before=report.before or "empty",
        state="migrated" if report.migrated else "up to date",
    )
    store = await SqlStore.open(url, mode=settings.mode.value, account=account)
    log.info(LogEvent.STORE_OPENED, mode=settings.mode.value, account=account)
    return store


async def run_daemon(run: Run) -> RunSummary:
    """Build the daemon, run it to its end, release everything."""
    check_armed(run.settings, run.wallet.account)
    store = await open_store(run.settings, run.wallet.account, run.log)
    venue = _venue(run)
    discovery = GammaDiscovery(base_url=run.endpoints.gamma_url, clock=run.clock, rng=run.chance, session=run.session)
    on, off = position_rules(run.settings)
    run.log.info(LogEvent.RULES_LISTED, on=on, off=off)
    try:
        await _check_drift(run, venue)
        daemon = Daemon(_parts(run, store, venue, discovery))
        return await daemon.run()
    finally:
        await venue.close()
        await discovery.close()
        await store.close()


def _venue(run: Run) -> PolymarketVenue:
    wallet = run.wallet
    account = VenueAccount(
        credentials=wallet.credentials,
        signer=wallet.key.address,
        wallet=wallet.account,
        signature_type=wallet.signature_type,
    )
    return PolymarketVenue(
        base_url=run.endpoints.clob_url, account=account, clock=run.clock, rng=run.chance, session=run.session
    )


def _parts(run: Run, store: SqlStore, venue: PolymarketVenue, discovery: GammaDiscovery) -> Parts:
    wallet, clock, chance, urls = run.wallet, run.clock, run.chance, run.endpoints
    signer = OrderSigner(
        wallet.key,
        signature_type=wallet.signature_type,
        funder=wallet.funder,
        chain_id=run.settings.poly_chain_id,
        owner=wallet.credentials.api_key,
    )
    identity = VenueAccount(
        credentials=wallet.credentials,
        signer=wallet.key.address,
        wallet=wallet.account,
        signature_type=wallet.signature_type,
    ).identity()
    return Parts(
        config=engine_config(run),
        store=store,
        signer=OrderTermsSigner(signer),
        clock=clock,
        venue=venue,
        discovery=discovery,
        market_stream=MarketStream(url=urls.market_ws_url, clock=clock, rng=chance),
        streams={
            "user": UserStream(
                url=urls.user_ws_url, credentials=wallet.credentials, identity=identity, clock=clock, rng=chance
            ),
            "price": FallbackPriceStream(
                primary=PriceStream(
                    url=urls.price_ws_url, credentials=wallet.credentials, symbols=run.symbols, clock=clock, rng=chance
                ),
                fallback=RtdsStream(url=urls.rtds_url, symbols=run.symbols, clock=clock, rng=chance),
                clock=clock,
            ),
            "spot": SpotStream(url=urls.spot_ws_url, symbols=run.symbols, clock=clock, rng=chance),
        },
        log=run.log,
        stop_mode=run.settings.on_shutdown,
        beside=run.beside,
        handle_signals=run.handle_signals,
    )


async def _check_drift(run: Run, venue: PolymarketVenue) -> None:
    """Refuse to trade by a clock that the venue does not share (its time has whole seconds)."""
    before_ns = run.clock.now_ns()
    server_ns = await venue.server_time_ns()
    after_ns = run.clock.now_ns()
    slack_ns = NS_PER_S + (after_ns - before_ns)
    drift_ns = max(0, server_ns - after_ns - slack_ns, before_ns - server_ns - slack_ns)
    if drift_ns > run.settings.max_clock_drift_seconds * NS_PER_S:
        raise ConfigError(
            f"the clock differs from the venue's by about {drift_ns // MICRO / 1000:.1f} s, more than "
            f"MAX_CLOCK_DRIFT_SECONDS {run.settings.max_clock_drift_seconds}: set the machine's clock (NTP)"
        )
