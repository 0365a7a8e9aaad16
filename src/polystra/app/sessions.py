"""Sessions: which world a run happens in, and how its event loop and clock are made.

- `--speed max`: daemon and built-in exchange in one process on the deterministic loop.
- `--speed N`: both in one process over real loopback sockets, simulated time N times as fast.
- `CLOB_URL` set in sim mode: a built-in exchange that runs elsewhere; its clock is shared.
- live: the venue, real time.
- paper: the venue's streams, real time, and an account that exists here alone; CLOB_URL may name another server.

A run with a seed, a recording or `--speed max` begins in an empty world: the files of the
world before are moved into `previous/` beside them, never deleted. A paced run without them
goes on where the last one stopped, if that was one without a seed too.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import aiohttp
import structlog
import uvloop

from polystra.adapters.clock import LoopClock, ScaledClock, SystemClock
from polystra.adapters.entropy import system_chance
from polystra.adapters.polymarket.credentials import derive_credentials
from polystra.adapters.polymarket.signing import L2Credentials, SigningKey
from polystra.adapters.polymarket.transport import default_session
from polystra.app.doctor import Subject, refuse_unless_fit
from polystra.app.doctor_local import Place
from polystra.app.failures import env_file_here, redact_tracebacks
from polystra.app.logs import Redaction, configure_logs
from polystra.app.session_plot import draw_session
from polystra.app.session_recording import recording_session
from polystra.app.setting_secrets import secret_values
from polystra.app.setting_values import Window
from polystra.app.settings import VENUE_RTDS_URL, Mode, Settings, load_settings
from polystra.app.wiring import Endpoints, Run, Wallet, endless_session, run_daemon
from polystra.app.worlds import books_held, clear_world, exchange_books_path
from polystra.domain.errors import ConfigError
from polystra.exchange.builtin import BuiltInConfig, BuiltInExchange, ExchangeUrls, Pace, planned_start_ns
from polystra.exchange.faults.injector import Injected
from polystra.exchange.faults.plan import FaultPlan
from polystra.exchange.faults.scenario import load_scenario
from polystra.exchange.recording import load_recording
from polystra.exchange.replay import replaying
from polystra.exchange.series import PriceSeries
from polystra.exchange.series_file import load_series
from polystra.ports.clock import Clock
from polystra.ports.logbook import LogEvent
from polystra.runtime import deterministic
from polystra.runtime.daemon import RunSummary
from polystra.runtime.log import Log

T = TypeVar("T")
DEFAULT_SEED: Final = 1
DEFAULT_SPEED: Final = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What the command line adds to the settings. `speed` None: as fast as it goes."""

    seed: int | None = None
    markets: int = 0
    prices: Path | None = None
    replay: Path | None = None
    scenario: Path | None = None
    record: Path | None = None
    """Where the session is recorded."""
    speed: float | None = DEFAULT_SPEED
    plot: bool | None = None
    """Whether the session's picture is drawn at its end; None: at a pace yes, as fast as it goes no."""

    @property
    def draws(self) -> bool:
        """True when a simulated session ends with its picture."""
        return self.speed is not None if self.plot is None else self.plot

    @property
    def is_repeatable(self) -> bool:
        """True when the same command must give the same facts."""
        return self.speed is None

    @property
    def starts_afresh(self) -> bool:
        """True when the run begins in an empty world."""
        return self.speed is None or not (self.seed is None and self.prices is None and self.replay is None)


def run_session(settings: Settings, options: RunOptions) -> RunSummary:
    """Run the daemon in the world that settings and options describe, to its end.

    Raises:
        ConfigError: a setting, file or endpoint is wrong.
        PolystraError: whatever ended the run.
    """
    _refuse_faults_elsewhere(settings, options)
    if settings.mode is Mode.LIVE:
        return on_real_loop(_live(settings, options))
    if settings.mode is Mode.PAPER:
        return on_real_loop(_paper(settings, options))
    if settings.url("clob_url"):
        return on_real_loop(_beside_exchange(settings, options))
    config = _world(settings, options)
    if config.replay is not None:
        windows = tuple(map(Window, config.windows))
        settings = settings.model_copy(update={"symbols": config.symbols, "windows": windows})
    with books_held(exchange_books_path(settings)):
        account = SigningKey(simulated_key(config.seed)).address
        clear_world(settings, exchange_books_path(settings), account=account, afresh=options.starts_afresh)
        if options.speed is None:
            start_ns = planned_start_ns(config)
            return deterministic.run(_virtual(settings, options, config), seed=config.seed, start_ns=start_ns)
        return on_real_loop(_paced(settings, options, config, options.speed))


# --- worlds ------------------------------------------------------------------------------


def load_prices(path: Path | None, seed: int) -> PriceSeries | None:
    """Read a recording, None when none is given; raises ConfigError with one line."""
    return None if path is None else load_series(path, seed=seed)


def load_faults(path: Path | None) -> tuple[FaultPlan, ...]:
    """Read a scenario's faults, none when no file is given; raises ConfigError with one line."""
    return () if path is None else load_scenario(path)


def tell_faults(log: Log, exchange: BuiltInExchange) -> None:
    """Log every fault that the exchange injects, with its id."""

    def tell(injected: Injected) -> None:
        log.info(LogEvent.FAULT_INJECTED, id=injected.id, kind=injected.kind, what=injected.what)

    exchange.faults.injector.on_injected(tell)


def _refuse_faults_elsewhere(settings: Settings, options: RunOptions) -> None:
    """Faults are the built-in exchange's own; another one cannot be asked for them from here."""
    if options.scenario is not None and (settings.mode is not Mode.SIM or settings.url("clob_url")):
        raise ConfigError(
            "--scenario needs the exchange inside this run: leave it out in live and paper mode; with CLOB_URL set, "
            "start that exchange with `polystra exchange --scenario FILE`"
        )


def _world(settings: Settings, options: RunOptions) -> BuiltInConfig:
    seed = DEFAULT_SEED if options.seed is None else options.seed
    series = load_prices(options.prices, seed)
    config = BuiltInConfig(
        seed=seed,
        symbols=settings.symbols,
        windows=settings.windows,
        series=series,
        speed=options.speed,
        books_path=exchange_books_path(settings),
        faults=load_faults(options.scenario),
    )
    return config if options.replay is None else replaying(config, load_recording(options.replay))


async def _virtual(settings: Settings, options: RunOptions, config: BuiltInConfig) -> RunSummary:
    return await _embedded(settings, options, config, LoopClock(planned_start_ns(config)), None)


async def _paced(settings: Settings, options: RunOptions, config: BuiltInConfig, speed: float) -> RunSummary:
    epoch_ns = planned_start_ns(config)
    clock = ScaledClock(epoch_ns, speed)
    pace = Pace("paced", epoch_ns, clock.anchor_ns, speed)
    return await _embedded(settings, options, config, clock, pace)


async def _embedded(
    settings: Settings, options: RunOptions, config: BuiltInConfig, clock: Clock, pace: Pace | None
) -> RunSummary:
    """Daemon and exchange side by side on one loop; they talk only over the wire."""
    log = start_log(settings, clock)
    log.info(LogEvent.APP_STARTED, mode=settings.mode.value, seed=config.seed, speed=config.speed or "max")
    tell_prices(log, config.series, options.prices or options.replay)
    exchange = BuiltInExchange(config, clock, pace=pace)
    tell_faults(log, exchange)
    urls = await exchange.start()
    log.info(LogEvent.EXCHANGE_STARTED, url=urls.clob_url, symbols=",".join(config.traded_symbols))
    key = SigningKey(simulated_key(config.seed))
    opened = exchange.open_account(key.address)
    wallet = Wallet(
        key=key,
        credentials=L2Credentials(opened.key, opened.secret, opened.passphrase),
        signature_type=0,
        funder=None,
    )
    run = Run(
        settings=settings,
        symbols=config.traded_symbols,
        endpoints=endpoints_of(urls),
        wallet=wallet,
        clock=clock,
        log=log,
        chance=Random(f"{config.seed}:daemon"),
        session=endless_session if options.is_repeatable else default_session,
        markets_limit=options.markets or (0 if config.replay is None else 1),
        handle_signals=not options.is_repeatable,
        beside={"exchange": exchange.run},
        reread=None if config.replay is not None or options.is_repeatable else reread_here,
    )
    try:
        with recording_session(options.record, settings, log) as tap:
            summary = await run_daemon(replace(run, tap=tap))
    finally:
        await exchange.close()
    log.info(
        LogEvent.SIM_COMPLETED,
        markets_settled=summary.settled_markets,
        facts=summary.facts,
        steps=summary.steps,
        requests=summary.requests,
        faults=exchange.faults.injector.injected,
        faults_hash=exchange.faults.injector.digest if options.is_repeatable else None,
        facts_hash=summary.digest if options.is_repeatable else None,
    )
    if options.draws:
        draw_session(settings, log)
    return summary


async def _beside_exchange(settings: Settings, options: RunOptions) -> RunSummary:
    """Sim mode against a built-in exchange that runs elsewhere: share its clock."""
    clock = await shared_clock(settings.url("clob_url"))
    log = start_log(settings, clock)
    log.info(LogEvent.APP_STARTED, mode=settings.mode.value, exchange=settings.url("clob_url"))
    seed = DEFAULT_SEED if options.seed is None else options.seed
    key = settings.poly_private_key.get_secret_value() or simulated_key(seed)
    return await _with_credentials(settings, options, key, clock)


async def _live(settings: Settings, options: RunOptions) -> RunSummary:
    clock = SystemClock()
    log = start_log(settings, clock)
    log.warning(LogEvent.APP_STARTED, mode="LIVE: real money", exchange=settings.url("clob_url"))
    key = settings.poly_private_key.get_secret_value()
    subject = Subject(
        settings=settings,
        place=Place(environ=os.environ, env_file=env_file_here()),
        endpoints=configured_endpoints(settings),
        clock=clock,
        chance=system_chance(),
        session=default_session,
        key_text=key,
        credentials=lambda: credentials_of(settings, key),
    )
    await refuse_unless_fit(subject, log)
    return await _with_credentials(settings, options, key, clock)


async def _paper(settings: Settings, options: RunOptions) -> RunSummary:
    """Live data, a simulated account: no key is read, nothing is signed, nothing is sent."""
    clock = await public_clock(settings)
    log = start_log(settings, clock)
    urls = configured_endpoints(settings)
    log.warning(
        LogEvent.APP_STARTED,
        account="PAPER: simulated, no order leaves this process",
        balance=settings.paper_balance_dollars,
        exchange=urls.clob_url,
    )
    run = Run(
        settings=settings,
        symbols=settings.symbols,
        endpoints=urls,
        wallet=None,
        clock=clock,
        log=log,
        chance=system_chance(),
        markets_limit=options.markets,
        reread=reread_here,
    )
    with recording_session(options.record, settings, log) as tap:
        return await run_daemon(replace(run, tap=tap))


async def _with_credentials(settings: Settings, options: RunOptions, key: str, clock: Clock) -> RunSummary:
    credentials = await credentials_of(settings, key)
    log = start_log(settings, clock, hide=(key, credentials.secret, credentials.passphrase, credentials.api_key))
    wallet = Wallet(
        key=SigningKey(key),
        credentials=credentials,
        signature_type=settings.signature_type,
        funder=settings.poly_funder_address or None,
    )
    run = Run(
        settings=settings,
        symbols=settings.symbols,
        endpoints=configured_endpoints(settings),
        wallet=wallet,
        clock=clock,
        log=log,
        chance=system_chance(),
        markets_limit=options.markets,
        reread=reread_here,
    )
    with recording_session(options.record, settings, log) as tap:
        return await run_daemon(replace(run, tap=tap))


# --- pieces ------------------------------------------------------------------------------


def start_log(settings: Settings, clock: Clock, *, hide: Iterable[str] = ()) -> Log:
    """Set the log up for this process; its times are the clock's. `hide`: secrets that are not settings.

    From now on no traceback shows them either. In paper mode every line of it says so.
    """
    secrets = [*secret_values(settings), *hide]
    configure_logs(
        clock=clock,
        stream=sys.stdout,
        log_format=settings.log_format,
        level=settings.log_level,
        secrets=secrets,
    )
    redact_tracebacks(Redaction(secrets))
    log: Log = structlog.get_logger(mode="paper") if settings.mode is Mode.PAPER else structlog.get_logger()
    return log


def tell_prices(log: Log, series: PriceSeries | None, path: Path | None) -> None:
    """Say what was read from a recording and what was done with its gaps."""
    if series is None or path is None:
        return
    log.info(LogEvent.PRICES_LOADED, file=path.name, summary=series.summary.sentence())


def simulated_key(seed: int) -> str:
    """The private key of a simulated account, in hex: worth nothing anywhere else."""
    return hashlib.sha256(f"polystra simulated account {seed}".encode()).hexdigest()


async def shared_clock(clob_url: str) -> ScaledClock:
    """The clock of a built-in exchange that runs elsewhere.

    Raises:
        ConfigError: nobody answers there, or it is not a paced built-in exchange.
    """
    parts = urlsplit(clob_url)
    url = f"{parts.scheme}://{parts.netloc}/control/clock"
    remedy = "start one with `polystra exchange`, or empty CLOB_URL to use the one that is built in"
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session, session.get(url) as reply:
            told = await reply.json() if reply.status == 200 else {}
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise ConfigError(
            f"CLOB_URL: no exchange answers at {parts.netloc} ({type(error).__name__}); {remedy}"
        ) from error
    epoch_ns, anchor_ns, speed = (told.get(name) for name in ("epoch_ns", "anchor_ns", "speed"))
    if not (isinstance(epoch_ns, int) and isinstance(anchor_ns, int) and isinstance(speed, int | float)):
        raise ConfigError(f"CLOB_URL: {parts.netloc} is not a paced built-in exchange; {remedy}")
    return ScaledClock(epoch_ns, speed, anchor_ns=anchor_ns)


def reread_here() -> Settings:
    """The settings as a start from here would have them now; what a keystore holds stays closed.

    Raises:
        ConfigError: they cannot be read, or contradict each other.
    """
    return load_settings(os.environ, env_file_here(), local=True)


async def public_clock(settings: Settings) -> Clock:
    """The clock of whoever is listened to: this machine's on the venue, a built-in exchange's own on one.

    Raises:
        ConfigError: nobody answers at CLOB_URL.
    """
    if settings.listens_to_venue:
        return SystemClock()
    return await shared_clock(settings.url("clob_url"))


async def credentials_of(settings: Settings, key: str) -> L2Credentials:
    """The API credentials: as set, or derived from the key; raises AuthFailed or VenueError."""
    secrets = [
        secret.get_secret_value()
        for secret in (settings.poly_api_key, settings.poly_api_secret, settings.poly_api_passphrase)
    ]
    if all(secrets):
        return L2Credentials(*secrets)
    return await derive_credentials(key, base_url=settings.url("clob_url"), chain_id=settings.poly_chain_id)


def endpoints_of(urls: ExchangeUrls) -> Endpoints:
    """Where a built-in exchange is."""
    return Endpoints(
        clob_url=urls.clob_url,
        gamma_url=urls.gamma_url,
        data_api_url=urls.data_api_url,
        market_ws_url=urls.market_ws_url,
        user_ws_url=urls.user_ws_url,
        price_ws_url=urls.price_ws_url,
        rtds_url=urls.rtds_url,
        spot_ws_url=urls.spot_ws_url,
    )


def configured_endpoints(settings: Settings) -> Endpoints:
    """The URLs as set; those left empty are the venue's, or a built-in exchange's own paths beside CLOB_URL."""
    parts = urlsplit(settings.url("clob_url"))
    http, ws = f"{parts.scheme}://{parts.netloc}", f"{'wss' if parts.scheme == 'https' else 'ws'}://{parts.netloc}"
    return Endpoints(
        clob_url=settings.url("clob_url"),
        gamma_url=settings.url("gamma_url") or f"{http}/gamma",
        data_api_url=settings.url("data_api_url") or f"{http}/data-api",
        market_ws_url=settings.url("market_ws_url") or f"{ws}/ws/market",
        user_ws_url=settings.url("user_ws_url") or f"{ws}/ws/user",
        price_ws_url=settings.url("price_ws_url") or f"{ws}/prices/ws",
        rtds_url=VENUE_RTDS_URL if settings.listens_to_venue else f"{ws}/rtds",
        spot_ws_url=settings.url("spot_ws_url") or f"{ws}/spot/ws",
    )


def on_real_loop(main: Coroutine[Any, Any, T]) -> T:
    """Run a program on a fast event loop over real sockets.

    SIGTERM interrupts it as SIGINT does, until the program itself listens for signals.

    Raises:
        KeyboardInterrupt: a signal came before.
    """
    loop_factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    was_told = False

    async def listening() -> T:
        task = asyncio.current_task()

        def end() -> None:
            nonlocal was_told
            was_told = True
            if task is not None:
                task.cancel()

        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end)
        return await main

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        try:
            return runner.run(listening())
        except asyncio.CancelledError as error:
            if was_told:
                raise KeyboardInterrupt from error
            raise
