"""Does watching delay trading? Input-to-order latency without watchers, and with ten browsers and a dead notifier.

`python -m benchmarks.watched_daemon [--rounds N] [--orders N]`

What is measured: from the moment in which a book change and the wish for an order come in, until the signed order is
handed to the venue's adapter: inbox, engine, signature, commit to SQLite on disk, outbox. The engine, the signer, the
store and the server are the daemon's own; the venue answers at once that the order found nothing. Meanwhile 200
book changes come each second.

bare: ENABLE_API=NO, no alert channel. watched: the control API with ten clients on the stream of events, which read
from another process, and the webhook of ALERT_WEBHOOK_URL accepts connections and never answers, with ten alerts a
second for it. Each round is a process of its own, the two kinds in turn, so that the machine's moods meet both. The
ratio is that of the medians over rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter_ns
from typing import Any, Final
from urllib.parse import urlsplit

import structlog
from tests.fakes.streams import FakeStream, FakeTokenStream
from tests.fakes.venue import ScriptedDiscovery, ScriptedVenue
from tests.unit.engine.desk import CENT, MARKET, config

from benchmarks.figures import percentile, say
from benchmarks.rounds import be_urgent
from polystra.adapters.clock import SystemClock
from polystra.adapters.polymarket.signing import OrderSigner, OrderTermsSigner, SigningKey
from polystra.adapters.store.migrations import upgrade
from polystra.adapters.store.writer import SqlStore
from polystra.app.alerting import alerting
from polystra.app.serving import serving
from polystra.app.settings import Settings, load_settings
from polystra.domain.events import (
    BookChanged,
    BookSnapshot,
    LevelChange,
    OrderRequested,
    StreamName,
    SubmitOutcome,
    SubmitRefused,
    SwitchName,
    SwitchRequested,
)
from polystra.domain.market import Market
from polystra.domain.orders import Side, TimeInForce
from polystra.domain.units import MICRO, NS_PER_S
from polystra.ports.audit import ApiCall
from polystra.ports.venue import OutcomeSink, Submission
from polystra.runtime.daemon import Daemon, Parts

WATCHERS: Final = 10
CASH: Final = 1_000_000 * MICRO
_TICK_S: Final = 0.005
_ORDER_EVERY: Final = 5
_ALERT_EVERY: Final = 20
_WARM_UP: Final = 20
_WINDOW_S: Final = 900
_KEY: Final = "11" * 32


class TimedVenue(ScriptedVenue):
    """Refuses every order as one that found nothing, and notes when it was handed over."""

    def __init__(self, clock: SystemClock) -> None:
        super().__init__(clock, cash=CASH)
        self.handed_ns: list[int] = []

    async def submit(self, orders: Sequence[Submission], told: OutcomeSink | None = None) -> Sequence[SubmitOutcome]:
        """Take the time, then refuse."""
        self.handed_ns += [perf_counter_ns()] * len(orders)
        outcomes = [
            SubmitRefused(order_id=order.signed.order_id, message="no orders found to match", killed=True)
            for order in orders
        ]
        if told is not None:
            for outcome in outcomes:
                told(outcome)
        return outcomes


class _Unread:
    """An audit that nobody reads."""

    def record(self, call: ApiCall) -> None:
        """Forget it."""


async def one(settings: Settings, orders: int) -> list[float]:
    """One round in this process: microseconds of each order."""
    clock = SystemClock()
    log = structlog.get_logger()
    key = SigningKey(_KEY)
    url = settings.resolved_database_url.get_secret_value()
    upgrade(url)
    store = await SqlStore.open(url, mode="sim", account=key.address, clock=clock)
    now_s = clock.now_ns() // NS_PER_S
    opens_at_s = now_s // _WINDOW_S * _WINDOW_S
    market = replace(MARKET, opens_at_s=opens_at_s, closes_at_s=opens_at_s + 8 * _WINDOW_S)
    venue, stream = TimedVenue(clock), FakeTokenStream()
    signer = OrderSigner(key, signature_type=0, funder=None, chain_id=137, owner="benchmark")
    try:
        async with (
            alerting(settings, clock=clock, log=log, life=None) as telling,
            serving(lambda: settings, key.address, clock=clock, log=log, audit=_Unread()) as board,
        ):
            parts = Parts(
                config=config(),
                store=store,
                signer=OrderTermsSigner(signer),
                clock=clock,
                venue=venue,
                discovery=ScriptedDiscovery([market]),
                market_stream=stream,
                streams={name.value: FakeStream(name) for name in StreamName if name is not StreamName.MARKET},
                log=log,
                handle_signals=False,
                alerts=telling.alerts,
                viewer=board,
                real=clock,
            )
            daemon = Daemon(parts)
            async with asyncio.TaskGroup() as group:
                run = group.create_task(daemon.run())
                say(json.dumps({"ready": True}))
                await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
                samples = await _measure(venue, stream, market, orders, clock)
                daemon.stop("measured")
                await run
    finally:
        await store.close()
    return samples


async def _measure(
    venue: TimedVenue, stream: FakeTokenStream, market: Market, orders: int, clock: SystemClock
) -> list[float]:
    """Book changes at a steady pace, every fifth with an order behind it."""
    while not stream.tokens:
        await clock.sleep(_TICK_S)
    for token in (market.up_token, market.down_token):
        stream.say(
            BookSnapshot(
                token_id=token,
                bids=((49 * CENT, 1_000 * MICRO),),
                asks=((51 * CENT, 1_000 * MICRO),),
                at_ns=clock.now_ns(),
            )
        )
    chance, began, number = Random(1), [], 0
    while len(began) < orders + _WARM_UP:
        await clock.sleep(_TICK_S)
        number += 1
        change = LevelChange(market.up_token, Side.BUY, 40 * CENT, chance.randrange(1, 100) * MICRO)
        tick = BookChanged((change,), clock.now_ns())
        if number % _ALERT_EVERY == 0:
            stream.say(
                SwitchRequested(
                    name=SwitchName.BLACKLIST, on=True, reason="a", source="benchmark", subject=f"COIN{number}"
                )
            )
        if number % _ORDER_EVERY:
            stream.say(tick)
            continue
        began.append(perf_counter_ns())
        stream.say(tick)
        stream.say(
            OrderRequested(
                request_id=f"benchmark-{number}",
                token_id=market.up_token,
                side=Side.BUY,
                price=45 * CENT,
                budget=5 * MICRO,
                time_in_force=TimeInForce.FAK,
            )
        )
        while len(venue.handed_ns) < len(began):
            await clock.sleep(_TICK_S / 10)
    return [(end - start) / 1_000 for start, end in zip(began, venue.handed_ns, strict=True)][_WARM_UP:]


# --- the other process: watchers, a notifier that never answers, turns -----------------------


class SilentServer:
    """Takes connections and what comes on them, and says nothing."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/hook"
        self.kept: list[socket.socket] = []
        threading.Thread(target=self._take, daemon=True).start()

    def _take(self) -> None:
        with suppress(OSError):
            while True:
                self.kept.append(self._listener.accept()[0])


class Watcher:
    """A client that reads every event."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname or "", parts.port or 0), timeout=60)
        self._socket.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        self.octets = 0
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with suppress(OSError):
            while chunk := self._socket.recv(65_536):
                self.octets += len(chunk)

    def close(self) -> None:
        """Go away."""
        self._socket.close()


def turn(kind: str, orders: int, hook: str) -> tuple[list[float], int]:
    """One round in a process of its own; returns its samples and how many octets the watchers read."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [sys.executable, "-m", "benchmarks.watched_daemon", "--one", kind, "--orders", str(orders)]
        command += ["--folder", name, "--hook", hook]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.readline()
        watchers: list[Watcher] = []
        if kind == "watched":
            url = json.loads((folder / "api-sim.json").read_text())["url"]
            watchers = [Watcher(url) for _ in range(WATCHERS)]
        child.stdin.write("go\n")
        child.stdin.close()
        told: dict[str, Any] = json.loads(child.stdout.readline())
        child.wait(60)
        octets = sum(watcher.octets for watcher in watchers)
        for watcher in watchers:
            watcher.close()
    return told["samples"], octets


def settings_for(kind: str, folder: Path, hook: str) -> Settings:
    """The settings of a round."""
    values = {"DATA_DIR": str(folder), "API_PORT": "0", "LOG_LEVEL": "ERROR", "ALERTS_PER_MINUTE": "1000"}
    values |= {"ENABLE_API": "NO"} if kind == "bare" else {"ALERT_WEBHOOK_URL": hook}
    return load_settings(values, None)


def main() -> None:
    """Measure in turns and print medians, 99th percentiles and their ratios."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.watched_daemon")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--orders", type=int, default=200)
    parser.add_argument("--one", choices=["bare", "watched"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--hook", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
        be_urgent()
        settings = settings_for(options.one, options.folder, options.hook)
        samples = asyncio.run(one(settings, options.orders))
        say(json.dumps({"samples": samples}))
        return
    server = SilentServer()
    rounds: dict[str, list[list[float]]] = {"bare": [], "watched": []}
    octets = 0
    for _ in range(options.rounds):
        for kind, samples in rounds.items():
            found, read = turn(kind, options.orders, server.url)
            samples.append(found)
            octets += read
    p50 = {kind: median(median(samples) for samples in found) for kind, found in rounds.items()}
    p99 = {kind: median(percentile(samples, 0.99) for samples in found) for kind, found in rounds.items()}
    for kind in rounds:
        say(f"{kind:<8} p50 {p50[kind]:8.0f} us   p99 {p99[kind]:8.0f} us")
    say(f"ratio    p50 {p50['watched'] / p50['bare']:8.2f}      p99 {p99['watched'] / p99['bare']:8.2f}")
    say(
        f"{options.rounds} rounds of {options.orders} orders each; {WATCHERS} watchers read "
        f"{octets / 1e6:.1f} MB in all, {len(server.kept)} connections to the notifier were never answered"
    )


if __name__ == "__main__":
    main()
