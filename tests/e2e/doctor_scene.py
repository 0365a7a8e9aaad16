"""A subject for the doctor: an account at a built-in exchange on virtual time, with one thing changed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import aiohttp

from polystra.adapters.clock import LoopClock
from polystra.adapters.polymarket.signing import L2Credentials, SigningKey
from polystra.app.doctor import Subject
from polystra.app.doctor_local import Place
from polystra.app.sessions import endpoints_of
from polystra.app.settings import load_settings
from polystra.app.wiring import endless_session
from polystra.exchange.builtin import BuiltInConfig, BuiltInExchange, ExchangeUrls, planned_start_ns
from polystra.exchange.faults.plan import read_plan
from polystra.runtime import deterministic
from tests.fakes.calibration import written

T = TypeVar("T")

KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
ADDRESS = SigningKey(KEY).address
CONFIG = BuiltInConfig(seed=5, symbols=("BTC",), windows=("5m",), speed=None)
DEAD = "http://127.0.0.1:1"
DEAD_WS = "ws://127.0.0.1:1"
SETTLE_IN_S = 20.0


@dataclass
class Scene:
    """What a test may change before the examination."""

    exchange: BuiltInExchange
    urls: ExchangeUrls
    subject: Subject
    kept: list[object] = field(default_factory=list)
    """What must live as long as the scene."""
    undo: list[Callable[[], None]] = field(default_factory=list)
    """What is to be called at its end."""

    def now_ns(self) -> int:
        return self.subject.clock.now_ns()

    def fault(self, **plan: Any) -> None:
        self.exchange.faults.injector.add(read_plan(plan, "the test's fault"))

    def refuse(self, route: str, status: int, text: str = "no") -> None:
        self.exchange.core.force_refusal(text, status, 1_000, route)

    def endpoints(self, **changes: str) -> None:
        self.subject = replace(self.subject, endpoints=replace(self.subject.endpoints, **changes))

    async def control(self, route: str, body: Mapping[str, object]) -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.urls.control_url}/{route}", json=body) as reply,
        ):
            assert reply.status == 200, await reply.text()


Change = Callable[[Scene], Awaitable[None]]


async def nothing(_scene: Scene) -> None:
    """Everything as it should be."""


def stage(
    folder: Path,
    act: Callable[[Scene], Awaitable[T]],
    *,
    change: Change = nothing,
    config: BuiltInConfig = CONFIG,
    **settings: str,
) -> T:
    """Change a healthy scene, act in it, and return what came of it. `settings` are names of `.env`."""

    async def main() -> T:
        clock = LoopClock(planned_start_ns(config))
        exchange = BuiltInExchange(config, clock)
        urls = await exchange.start()
        opened = exchange.open_account(ADDRESS)

        async def credentials() -> L2Credentials:
            return L2Credentials(opened.key, opened.secret, opened.passphrase)

        given = {
            "MODE": "live",
            "POLY_PRIVATE_KEY": KEY,
            "LIVE_ARMED": ADDRESS,
            "CALIBRATION_FILE": str(written(folder / "calibration")),
            "DATA_DIR": str(folder / "data"),
            "SYMBOLS": "BTC",
            "WINDOWS": "5m",
        }
        subject = Subject(
            settings=load_settings({**given, **settings}, None),
            place=Place(environ={}, env_file=None),
            endpoints=endpoints_of(urls),
            clock=clock,
            chance=Random(3),
            session=endless_session,
            key_text=KEY,
            credentials=credentials,
        )
        scene = Scene(exchange, urls, subject)
        try:
            async with asyncio.TaskGroup() as tasks:
                world = tasks.create_task(exchange.run())
                await clock.sleep(SETTLE_IN_S)
                await change(scene)
                result = await act(scene)
                world.cancel()
        finally:
            for call in scene.undo:
                call()
            await exchange.close()
        return result

    return deterministic.run(main(), seed=11, start_ns=planned_start_ns(config))
