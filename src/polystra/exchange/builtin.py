"""The built-in exchange: the whole venue in one object, on any event loop and any clock.

What lives here: one web server for all endpoints, and the task that drives the simulated world by
the clock it is given. What must not: rules of the world (`simulation`), of trading (`core`), or
the choice of a clock.

On a virtual clock and a deterministic loop the same configuration and the same clients give the
same run. On a paced clock it serves real loopback sockets.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, replace
from typing import Final

from aiohttp import web

from polystra.domain.errors import ConfigError
from polystra.domain.units import NS_PER_S, Nanos
from polystra.exchange import rest
from polystra.exchange.auth import ApiKey
from polystra.exchange.books import BookStore
from polystra.exchange.control import Control, Pace
from polystra.exchange.control_accounts import AccountControl
from polystra.exchange.control_trading import TradingControl
from polystra.exchange.core import CoreConfig, ExchangeCore
from polystra.exchange.data_api import DataApi
from polystra.exchange.faults.control_routes import FaultControl
from polystra.exchange.faults.desk import FaultDesk
from polystra.exchange.faults.injector import Injector
from polystra.exchange.gamma import Gamma
from polystra.exchange.geoblock import Geoblock
from polystra.exchange.price_ws import PriceSocket
from polystra.exchange.rtds_ws import RtdsQuirks, RtdsSocket
from polystra.exchange.simulation import BuiltInConfig, Simulation, planned_start_ns
from polystra.exchange.spot_ws import SpotSocket
from polystra.ports.clock import Clock

__all__ = ["BuiltInConfig", "BuiltInExchange", "ExchangeUrls", "Pace", "planned_start_ns"]

_STEPS_PER_TURN: Final = 200
_SHUTDOWN_TIMEOUT_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeUrls:
    """Where the endpoints of a running exchange are."""

    clob_url: str
    gamma_url: str
    data_api_url: str
    market_ws_url: str
    user_ws_url: str
    price_ws_url: str
    spot_ws_url: str
    rtds_url: str
    control_url: str


class BuiltInExchange:
    """One exchange: `start` it, keep `run` in a task group, `close` it at the end."""

    def __init__(
        self,
        config: BuiltInConfig,
        clock: Clock,
        *,
        pace: Pace | None = None,
        wall: Clock | None = None,
        rtds_quirks: RtdsQuirks | None = None,
    ) -> None:
        """Build the world; nothing listens yet.

        Args:
            config: what to simulate and where to listen.
            clock: simulated UTC; should read `planned_start_ns(config)` when `start` is called.
            pace: what the control endpoint tells about that clock.
            wall: real time, by which clients that know no simulated time date their proofs.
            rtds_quirks: how the older price socket differs from its description; None: as observed.

        Raises:
            ConfigError: the books or the recording cannot be used.
        """
        self.config: Final = config
        self._clock = clock
        self._wall = wall
        self.core: Final = ExchangeCore(
            rng=random.Random(f"{config.seed}:exchange"),
            config=CoreConfig(
                initial_cash=config.initial_cash,
                venue=config.venue,
                rules=replace(config.account_rules, seed=config.seed),
            ),
            store=BookStore(config.books_path),
        )
        self.simulation: Final = Simulation(config, self.core)
        injector = Injector(clock, seed=config.seed, start_ns=self.simulation.start_ns)
        self.faults: Final = FaultDesk(self.core, clock, self.simulation.agenda, injector)
        self.simulation.world.hold_verdict = self.faults.hold_verdict
        for plan in config.faults:
            injector.add(plan)
        mode = "virtual" if config.speed is None else "paced"
        pace = pace or Pace(mode, self.simulation.start_ns, None, config.speed)
        self.control: Final = Control(self.core, clock, pace)
        self._geoblock = Geoblock()
        self._prices = PriceSocket(self.simulation.paths, self.core.keys, clock)
        self._spot = SpotSocket({symbol: path.asset for symbol, path in self.simulation.paths.items()})
        self._rtds = RtdsSocket(self.simulation.paths, clock, seed=config.seed, quirks=rtds_quirks)
        self.simulation.on_tick(self._prices.publish)
        self.simulation.on_tick(self._rtds.publish)
        self.simulation.on_spot(self._spot.publish)
        self.simulation.on_spot(self._rtds.note_spot)
        self._runner: web.AppRunner | None = None

    @property
    def start_ns(self) -> Nanos:
        """Where this exchange's simulated time starts."""
        return self.simulation.start_ns

    async def start(self) -> ExchangeUrls:
        """Open the port, list the first markets and return the URLs.

        Raises:
            ConfigError: the port is taken or the address is not this machine's.
        """
        self.simulation.run_due(self._clock.now_ns())
        app = web.Application()
        app.add_routes(rest.routes(self.core, self._clock, wall=self._wall))
        gamma = Gamma(self.simulation.world, self.core, self._clock)
        gamma.add_routes(app)
        DataApi(self.core, self._clock, gamma.condition_of_event).add_routes(app)
        self.faults.install(app)
        self.control.add_routes(app)
        FaultControl(self.faults.injector).add_routes(app)
        self.control.add_more(app, TradingControl(self.core, self.simulation.world, self._clock).routes())
        self.control.add_more(app, AccountControl(self.core, self._clock).routes())
        self._geoblock.add_routes(app)
        self.control.add_more(app, self._geoblock.control_routes())
        app.router.add_get("/prices/ws", self._prices.handle)
        app.router.add_get("/rtds", self._rtds.handle)
        app.router.add_get("/spot/ws", self._spot.handle)
        app.router.add_get("/spot/ws/{stream}", self._spot.handle)
        app.on_shutdown.append(self._close_sockets)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_TIMEOUT_S)
        await runner.setup()
        host, port = self.config.host, self.config.port
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            await runner.cleanup()
            raise ConfigError(
                f"the built-in exchange cannot listen on {host}:{port} ({error.strerror or error}); "
                f"stop what uses that port or choose another (--port)"
            ) from error
        self._runner = runner
        return _urls(host, int(runner.addresses[0][1]))

    async def run(self) -> None:
        """Drive the world by the clock; never returns."""
        try:
            async with asyncio.TaskGroup() as group:
                self.faults.attach(group)
                await self._drive()
        except BaseExceptionGroup as failures:
            if len(failures.exceptions) == 1:
                raise failures.exceptions[0] from None
            raise

    async def _drive(self) -> None:
        clock, simulation = self._clock, self.simulation
        while True:
            now_ns = clock.now_ns()
            if simulation.run_due(now_ns, _STEPS_PER_TURN):
                await clock.sleep(0)
            else:
                await clock.sleep(max(0, simulation.next_due_ns - now_ns) / NS_PER_S)

    async def wait_for_shutdown(self) -> None:
        """Wait until somebody asks for the end through the control endpoint."""
        await self.control.shutdown_requested.wait()

    async def close(self) -> None:
        """Close port, connections and books; may be called twice."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()
        self.core.close()

    def open_account(self, address: str) -> ApiKey:
        """Return the API credentials of an address, opening and funding its account if it is new."""
        address = address.lower()
        key = self.core.keys.derive(address, 0) or self.core.create_key(address, 0)
        if key is None:
            raise ConfigError(f"no API key for {address} could be made; delete the exchange's books and start again")
        return key

    async def _close_sockets(self, _app: web.Application) -> None:
        await self._prices.close()
        await self._rtds.close()
        await self._spot.close()


def _urls(host: str, port: int) -> ExchangeUrls:
    shown = _reachable(host)
    http, ws = f"http://{shown}:{port}", f"ws://{shown}:{port}"
    return ExchangeUrls(
        clob_url=http,
        gamma_url=f"{http}/gamma",
        data_api_url=f"{http}/data-api",
        market_ws_url=f"{ws}/ws/market",
        user_ws_url=f"{ws}/ws/user",
        price_ws_url=f"{ws}/prices/ws",
        spot_ws_url=f"{ws}/spot/ws",
        rtds_url=f"{ws}/rtds",
        control_url=f"{http}/control",
    )


def _reachable(host: str) -> str:
    """Return how this machine reaches a listening address; all-interfaces addresses become loopback."""
    if host in {"", "0.0.0.0"}:  # noqa: S104 - compared, not bound
        return "127.0.0.1"
    if host == "::":
        return "[::1]"
    return f"[{host}]" if ":" in host else host
