"""The composition root: the one file that names concrete classes and joins them.

What lives here: settings in, a daemon with its adapters out. What must not: decisions of the
trade, command-line words (`cli`), the choice of a simulated world (`sessions`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Final

import aiohttp

from polystra.adapters.clock import LoopClock, SystemClock
from polystra.adapters.control_files import ControlFiles
from polystra.adapters.health_file import HealthFile
from polystra.adapters.paper.streams import OverheardDiscovery, OverheardSigner, OverheardStream
from polystra.adapters.paper.venue import PaperTradingVenue
from polystra.adapters.polymarket.data_api import DataApiQueries, WalletHoldings
from polystra.adapters.polymarket.discovery import GammaDiscovery
from polystra.adapters.polymarket.pacemaker import InlineHeart, ThreadHeart
from polystra.adapters.polymarket.price_fallback import FallbackPriceStream
from polystra.adapters.polymarket.price_stream import PriceStream
from polystra.adapters.polymarket.public_venue import PublicVenue
from polystra.adapters.polymarket.rate_budget import VenueBudget
from polystra.adapters.polymarket.rest import PolymarketVenue, VenueAccount
from polystra.adapters.polymarket.rtds_stream import RtdsStream
from polystra.adapters.polymarket.signing import L2Credentials, OrderSigner, OrderTermsSigner, SigningKey
from polystra.adapters.polymarket.streams import MarketStream, UserStream
from polystra.adapters.polymarket.transport import SessionFactory, default_session
from polystra.adapters.spot.binance import SpotStream
from polystra.adapters.store.day_reading import starts_since
from polystra.adapters.store.writer import SqlStore
from polystra.app.account_lease import open_store
from polystra.app.alerting import alerting
from polystra.app.calibration_setting import calibration_words
from polystra.app.crash_guard import CrashGuard
from polystra.app.engine_settings import engine_config, position_rules
from polystra.app.extension import load_advisor
from polystra.app.paper_books import carried_account
from polystra.app.reload import ReloadedSettings
from polystra.app.serving import serving
from polystra.app.settings import Settings, check_armed
from polystra.backtest.paper_signer import PaperSigner
from polystra.domain.errors import ConfigError, VenueError
from polystra.domain.events import ClockDriftMeasured
from polystra.domain.facts import Fact
from polystra.domain.units import NS_PER_S, parse_micros
from polystra.engine.config import EngineConfig
from polystra.engine.state import EngineState
from polystra.matching.paper_venue import PaperRules
from polystra.ports.audit import ApiAudit
from polystra.ports.clock import Clock
from polystra.ports.heartbeat import Heart, LifeSign
from polystra.ports.input_tap import InputTap
from polystra.ports.logbook import LogEvent
from polystra.ports.signing import TermsSigner
from polystra.ports.store import Store
from polystra.ports.venue import EventStream, HoldingsSource, MarketDiscovery, TokenStream
from polystra.runtime.audit_journal import AuditJournal
from polystra.runtime.daemon import Daemon, Parts, RunSummary
from polystra.runtime.health import Pulse
from polystra.runtime.log import Log
from polystra.runtime.signal_desk import SignalDesk

PAPER_ACCOUNT: Final = "paper"
"""Stands where the account's address stands in other modes."""
CLOCK_DEADLINE_S: Final = 60
_CLOCK_PAUSE_S: Final = 2.0
_DAY_S: Final = 86_400
_NO_DEADLINE: Final = aiohttp.ClientTimeout(total=None, sock_connect=None, sock_read=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """Where the venue is."""

    clob_url: str
    gamma_url: str
    data_api_url: str
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
    wallet: Wallet | None
    """None: paper, an account that exists here alone."""
    clock: Clock
    log: Log
    chance: Random
    session: SessionFactory = default_session
    markets_limit: int = 0
    handle_signals: bool = True
    beside: Mapping[str, Callable[[], Coroutine[Any, Any, None]]] = field(default_factory=dict)
    wishes: Mapping[str, EventStream] = field(default_factory=dict)
    """Further sources of inputs: a person's wishes, outside signals, a scenario."""
    users: Mapping[str, Callable[[Daemon], Coroutine[Any, Any, None]]] = field(default_factory=dict)
    """Tasks that trade or ask through the daemon's order desk."""
    inspect: Callable[[EngineState, Sequence[Fact]], None] | None = None
    tap: Callable[[EngineConfig], InputTap] | None = None
    """Makes what sees every input of the engine as it is taken: a recorder."""
    reread: Callable[[], Settings] | None = None
    """Reads the user's settings anew; None: this run takes none while it trades."""
    store: Callable[[Store], Store] | None = None
    """Stands between the daemon and its journal: a test's way to a database that is slow, busy or full."""

    @property
    def account(self) -> str:
        """Whose books these are."""
        return PAPER_ACCOUNT if self.wallet is None else self.wallet.account


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """Where orders go, and who tells of the account: all in which live and paper differ."""

    venue: PolymarketVenue | PaperTradingVenue
    signer: TermsSigner
    holdings: HoldingsSource
    user: EventStream
    prices: EventStream
    market_stream: TokenStream
    discovery: MarketDiscovery
    secrets: tuple[str, ...] = ()
    """What no alert and no page may show, beside the settings'."""
    close: Callable[[], Coroutine[Any, Any, None]]


def endless_session() -> aiohttp.ClientSession:
    """An HTTP session for virtual time: its pool and names never expire by real time."""
    connector = aiohttp.TCPConnector(limit=32, ttl_dns_cache=None, keepalive_timeout=1e9)
    return aiohttp.ClientSession(timeout=_NO_DEADLINE, connector=connector)


async def run_daemon(run: Run) -> RunSummary:
    """Build the daemon, run it to its end, release everything."""
    check_armed(run.settings, run.account)
    store = await open_store(run.settings, run.account, clock=run.clock, log=run.log)
    audit = _audit(run, store)
    run = replace(run, beside={**run.beside, "api audit": audit.run})
    gamma = GammaDiscovery(base_url=run.endpoints.gamma_url, clock=run.clock, rng=run.chance, session=run.session)
    side = _live_side(run, run.wallet, gamma, audit) if run.wallet else await _paper_side(run, gamma, store)
    board = HealthFile(run.settings.data_dir, run.settings.mode.value)
    on, off = position_rules(run.settings)
    run.log.info(LogEvent.RULES_LISTED, on=on, off=off, calibration=calibration_words(run.settings))
    try:
        drift = await _first_drift(run, side.venue)
        heart, life = _heart(run, side.venue)
        journal = store if run.store is None else run.store(store)
        parts = replace(
            parts_of(run, journal, side),
            opening=(drift,),
            heart=heart,
            life=life,
            pulse=_pulse(run, board, life),
            tenure=store,
        )
        return await _trade(run, parts, CrashGuard(store, run.settings, run.clock), audit, side.secrets)
    finally:
        await side.close()
        await gamma.close()
        await audit.flush()
        await store.close()
        with suppress(OSError):
            board.clear()


async def _trade(
    run: Run, parts: Parts, guard: CrashGuard, audit: AuditJournal, derived: tuple[str, ...]
) -> RunSummary:
    """Run the daemon; people are told of its start, its story and its end, and may watch it."""
    source = parts.settings
    signals = SignalDesk()
    watched = serving(
        lambda: source.current if isinstance(source, ReloadedSettings) else run.settings,
        run.account,
        clock=run.clock,
        log=run.log,
        audit=audit,
        hide=derived,
        signals=signals,
    )
    telling_people = alerting(run.settings, clock=run.clock, log=run.log, life=parts.life, hide=derived, audit=audit)
    async with telling_people as telling, watched as board:
        if board is not None:
            audit.listen(board.called)
        earlier = 0
        if telling.alerts is not None:
            midnight = run.clock.now_ns() // (_DAY_S * NS_PER_S) * _DAY_S * NS_PER_S
            earlier = starts_since(run.settings.resolved_database_url.get_secret_value(), midnight)
        telling.started(run.settings, run.account, earlier_today=earlier)
        looping = await guard.begin()
        if looping is not None:
            run.log.error(LogEvent.SWITCH_SET, switch=looping.name, reason=looping.reason, source=looping.source)
            if telling.alerts is not None:
                telling.alerts.heard([looping])
        summary = await Daemon(
            replace(parts, alerts=telling.alerts, viewer=board, real=SystemClock(), signals=signals)
        ).run()
        await guard.end(summary.reason)
        telling.stopped(summary)
    return summary


def _audit(run: Run, store: SqlStore) -> AuditJournal:
    keep_ns = run.settings.api_audit_keep_days * _DAY_S * NS_PER_S
    return AuditJournal(store=store, clock=run.clock, log=run.log, keep_ns=keep_ns)


def _live_side(run: Run, wallet: Wallet, gamma: GammaDiscovery, audit: ApiAudit) -> Side:
    """The venue itself, by the wallet's key and credentials."""
    clock, chance, urls, own = run.clock, run.chance, run.endpoints, wallet.credentials
    account = VenueAccount(
        credentials=own, signer=wallet.key.address, wallet=wallet.account, signature_type=wallet.signature_type
    )
    venue = PolymarketVenue(
        base_url=urls.clob_url, account=account, clock=clock, rng=chance, session=run.session, audit=audit
    )
    data_api = DataApiQueries(base_url=urls.data_api_url, clock=clock, rng=chance, session=run.session)
    signer = OrderSigner(
        wallet.key,
        signature_type=wallet.signature_type,
        funder=wallet.funder,
        chain_id=run.settings.poly_chain_id,
        owner=own.api_key,
    )

    async def close() -> None:
        await venue.close()
        await data_api.close()

    return Side(
        venue=venue,
        signer=OrderTermsSigner(signer),
        holdings=WalletHoldings(data_api, wallet=wallet.account, clock=clock),
        user=UserStream(url=urls.user_ws_url, credentials=own, identity=account.identity(), clock=clock, rng=chance),
        prices=_prices(run, own),
        market_stream=_market_stream(run),
        discovery=gamma,
        secrets=(own.api_key, own.secret, own.passphrase),
        close=close,
    )


async def _paper_side(run: Run, gamma: GammaDiscovery, store: Store) -> Side:
    """A simulated account on the venue's books, resumed from our own; it has no way to send an order."""
    public = PublicVenue(base_url=run.endpoints.clob_url, clock=run.clock, rng=run.chance, session=run.session)
    rules = PaperRules(cash=parse_micros(run.settings.paper_balance_dollars, field="PAPER_BALANCE_DOLLARS"))
    venue = PaperTradingVenue(rules=rules, public=public, budget=VenueBudget(run.clock), clock=run.clock)
    stored = await store.load()
    if stored.postings:
        venue.resume(carried_account(stored), [each.market for each in stored.markets])
    for each in stored.orders:
        if each.signed is not None:
            venue.expect(each.signed, each.order.terms)
    settings = run.settings
    told = (settings.poly_api_key, settings.poly_api_secret, settings.poly_api_passphrase)
    known = [secret.get_secret_value() for secret in told]
    return Side(
        venue=venue,
        signer=OverheardSigner(PaperSigner(), venue.expect),
        holdings=venue,
        user=venue,
        prices=_prices(run, L2Credentials(*known) if all(known) else None),
        market_stream=OverheardStream(_market_stream(run), venue.saw),
        discovery=OverheardDiscovery(gamma, venue.listed),
        close=venue.close,
    )


def _market_stream(run: Run) -> MarketStream:
    return MarketStream(url=run.endpoints.market_ws_url, clock=run.clock, rng=run.chance)


def _prices(run: Run, credentials: L2Credentials | None) -> EventStream:
    """The settlement feed: the socket that wants a login, and the older one; without credentials that alone."""
    clock, chance, urls = run.clock, run.chance, run.endpoints
    older = RtdsStream(url=urls.rtds_url, symbols=run.symbols, clock=clock, rng=chance)
    if credentials is None:
        return older
    primary = PriceStream(url=urls.price_ws_url, credentials=credentials, symbols=run.symbols, clock=clock, rng=chance)
    return FallbackPriceStream(primary=primary, fallback=older, clock=clock)


def parts_of(run: Run, store: Store, side: Side) -> Parts:
    """The daemon's parts: the same for every side."""
    clock, chance, urls = run.clock, run.chance, run.endpoints
    config = engine_config(
        run.settings,
        symbols=run.symbols,
        salt_seed=hashlib.sha256(chance.randbytes(32)).digest(),
        markets_limit=run.markets_limit,
    )
    return Parts(
        config=config,
        advisor=load_advisor(run.settings.strategy) if run.settings.strategy else None,
        store=store,
        signer=side.signer,
        clock=clock,
        venue=side.venue,
        discovery=side.discovery,
        market_stream=side.market_stream,
        streams={
            "user": side.user,
            "price": side.prices,
            "spot": SpotStream(url=urls.spot_ws_url, symbols=run.symbols, clock=clock, rng=chance),
            **run.wishes,
        },
        log=run.log,
        stop_mode=run.settings.on_shutdown,
        controls=ControlFiles(run.settings.data_dir, run.settings.mode.value),
        settings=None if run.reread is None else ReloadedSettings(run.settings, run.reread),
        beside=run.beside,
        users=run.users,
        handle_signals=run.handle_signals,
        inspect=run.inspect,
        tap=None if run.tap is None else run.tap(config),
        holdings=side.holdings,
    )


def _heart(run: Run, venue: PolymarketVenue | PaperTradingVenue) -> tuple[Heart | None, LifeSign | None]:
    """The heart and its sign of life, when the user wants resting orders to die with the daemon.

    Its thread has chance of its own: another thread's draws would change the daemon's.
    """
    if not run.settings.enable_venue_heartbeat:
        return None, None if isinstance(run.clock, LoopClock) else LifeSign(run.clock)
    life = LifeSign(run.clock)
    chance = Random(run.chance.getrandbits(64))
    kind = InlineHeart if isinstance(run.clock, LoopClock) else ThreadHeart
    return kind(lambda: venue.own_heartbeat(chance, run.session), clock=run.clock, life=life), life


def _pulse(run: Run, board: HealthFile, life: LifeSign | None) -> Pulse | None:
    """The daemon's word to probes outside; virtual time has no life that one could watch."""
    if life is None or isinstance(run.clock, LoopClock):
        return None
    return Pulse(board, life=life, clock=SystemClock(), log=run.log, mode=run.settings.mode.value)


async def _first_drift(run: Run, venue: PolymarketVenue | PaperTradingVenue) -> ClockDriftMeasured:
    """Compare the clocks before anything is signed; one bad answer is not the end of it.

    Raises:
        ConfigError: the venue's time could not be read for `CLOCK_DEADLINE_S`.
    """
    give_up_ns = run.clock.monotonic_ns() + CLOCK_DEADLINE_S * NS_PER_S
    while True:
        try:
            return await venue.measure_clock()
        except VenueError as error:
            run.log.warning(LogEvent.QUESTION_FAILED, question="clock", error=str(error))
            if run.clock.monotonic_ns() >= give_up_ns:
                raise ConfigError(
                    f"CLOB_URL: {run.endpoints.clob_url} has not told its time for {CLOCK_DEADLINE_S} s ({error}); "
                    "check the URL and the network, or wait until the venue answers"
                ) from error
        await run.clock.sleep(_CLOCK_PAUSE_S)
