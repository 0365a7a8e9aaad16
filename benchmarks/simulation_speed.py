"""How fast the whole daemon is simulated: exchange, transports, daemon and its database on one virtual loop.

Run with `python -m benchmarks.simulation_speed [--minutes N] [--pace PERCENT] [--seed N]` from the project's
root. A daemon trades four markets of the built-in exchange under the deterministic loop, without faults, over
the same HTTP, websockets, signatures and SQLite as always. Printed are market messages per simulated second
and market, simulated seconds per second of this process's CPU (which is what one core does), and where the
time goes. Figures only: what they should be depends on the machine.

The shares come from samples of the stack, one in four milliseconds of CPU: a sample belongs to the innermost frame
that one of the parts below claims; libraries and shared modules count for whoever called them. Sampling
costs a few per cent, so that the speed is measured without it, in a run of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import resource
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from types import FrameType
from typing import Any, Final
from unittest.mock import patch

import structlog

from polystra.adapters.clock import LoopClock
from polystra.adapters.polymarket.signing import L2Credentials, SigningKey
from polystra.app.sessions import endpoints_of, simulated_key
from polystra.app.settings import Settings, load_settings
from polystra.app.wiring import Run, Wallet, endless_session, run_daemon
from polystra.app.worlds import exchange_books_path
from polystra.domain.units import NS_PER_S
from polystra.exchange.builtin import BuiltInConfig, BuiltInExchange
from polystra.exchange.market_ws import MarketChannel
from polystra.exchange.payloads import Payload
from polystra.exchange.simulation import planned_start_ns
from polystra.exchange.traders.config import CrowdConfig
from polystra.runtime import deterministic

SYMBOLS: Final = ("BTC", "ETH", "SOL", "XRP")
WINDOW: Final = "5m"
_WARM_UP_S: Final = 30
_SAMPLE_S: Final = 0.004

PARTS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("exchange", ("polystra/exchange/",)),
    ("store", ("polystra/adapters/store/", "polystra/runtime/audit_journal")),
    ("decode", ("polystra/adapters/polymarket/", "polystra/adapters/spot/")),
    ("engine", ("polystra/engine/",)),
    ("daemon's loop", ("polystra/runtime/loop", "polystra/runtime/inbox", "polystra/runtime/", "polystra/app/")),
    ("transports", ("polystra/runtime/deterministic", "/asyncio/", "/websockets/", "/aiohttp/")),
)
"""Parts of the simulation and what the paths of their code contain; the longest match counts."""


@dataclass(slots=True)
class Measured:
    """What one run came to; `messages` were sent to the daemon about markets in their window."""

    simulated_s: int = 0
    cpu_s: float = 0.0
    messages: int = 0
    sent: int = 0
    facts: int = 0
    samples: Counter[str] = field(default_factory=Counter)


def measure(seed: int, minutes: int, pace: int, *, sampled: bool) -> Measured:
    """Simulate so many minutes after a short warm-up."""
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings(
            {"SYMBOLS": ",".join(SYMBOLS), "WINDOWS": WINDOW, "DATA_DIR": folder, "LOG_LEVEL": "ERROR"}, None
        )
        config = BuiltInConfig(
            seed=seed,
            symbols=SYMBOLS,
            windows=(WINDOW,),
            speed=None,
            books_path=exchange_books_path(settings),
            crowd=CrowdConfig(pace_percent=pace),
        )
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        measured = Measured(simulated_s=minutes * 60)
        start_ns = planned_start_ns(config)
        deterministic.run(_simulate(settings, config, measured, sampled=sampled), seed=seed, start_ns=start_ns)
        return measured


async def _simulate(settings: Settings, config: BuiltInConfig, measured: Measured, *, sampled: bool) -> None:
    clock = LoopClock(planned_start_ns(config))
    exchange = BuiltInExchange(config, clock)
    urls = await exchange.start()
    key = SigningKey(simulated_key(config.seed))
    opened = exchange.open_account(key.address)

    def count(*_: object) -> None:
        measured.facts += 1

    run = Run(
        settings=settings,
        symbols=SYMBOLS,
        endpoints=endpoints_of(urls),
        wallet=Wallet(
            key=key,
            credentials=L2Credentials(opened.key, opened.secret, opened.passphrase),
            signature_type=0,
            funder=None,
        ),
        clock=clock,
        log=structlog.get_logger(),
        chance=Random(f"{config.seed}:daemon"),
        session=endless_session,
        handle_signals=False,
        inspect=count,
        beside={"exchange": exchange.run},
    )
    daemon = asyncio.get_running_loop().create_task(run_daemon(run))
    await clock.sleep(_WARM_UP_S)
    measured.facts = 0
    with _counted(exchange, clock, measured), _sampling(measured.samples if sampled else None):
        begun = _cpu_s()
        await clock.sleep(measured.simulated_s)
        measured.cpu_s = _cpu_s() - begun
    daemon.cancel()
    await asyncio.gather(daemon, return_exceptions=True)
    await exchange.close()


@contextmanager
def _counted(exchange: BuiltInExchange, clock: LoopClock, measured: Measured) -> Iterator[None]:
    """Count what the market channel sends, and how much of it is about markets in their window."""
    send = MarketChannel._send

    def counting(channel: MarketChannel, subscribers: list[Any], payload: Payload) -> None:
        measured.sent += len(subscribers)
        spec = exchange.core.market(payload["market"]).spec
        if spec.opens_at_s * NS_PER_S <= clock.now_ns() < spec.closes_at_s * NS_PER_S:
            measured.messages += len(subscribers)
        send(channel, subscribers, payload)

    with patch.object(MarketChannel, "_send", counting):
        yield


@contextmanager
def _sampling(samples: Counter[str] | None) -> Iterator[None]:
    """Note every few milliseconds of CPU whose code runs."""
    if samples is None:
        yield
        return

    def note(_signal: int, frame: FrameType | None) -> None:
        samples[_part_of(frame)] += 1

    before = signal.signal(signal.SIGPROF, note)
    signal.setitimer(signal.ITIMER_PROF, _SAMPLE_S, _SAMPLE_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _part_of(frame: FrameType | None) -> str:
    """Return the part that the innermost known frame belongs to."""
    while frame is not None:
        part = _part_of_file(frame.f_code.co_filename)
        if part is not None:
            return part
        frame = frame.f_back
    return "the rest"


_known: dict[str, str | None] = {}


def _part_of_file(path: str) -> str | None:
    if path not in _known:
        claims = [(len(mark), name) for name, marks in PARTS for mark in marks if mark in path.replace("\\", "/")]
        _known[path] = max(claims)[1] if claims else None
    return _known[path]


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def tell(measured: Measured, profiled: Measured) -> None:
    """Print the figures."""
    seconds = measured.simulated_s
    per_market = measured.messages / seconds / len(SYMBOLS)
    _say(
        f"{len(SYMBOLS)} markets at a time, {seconds} simulated seconds: {per_market:.1f} market messages a second and "
        f"market, {measured.sent:,} in all with the markets to come, {measured.facts:,} commits"
    )
    _say(
        f"speed: {seconds / measured.cpu_s:.0f} simulated seconds per second of CPU "
        f"({measured.cpu_s:.2f} s, {measured.cpu_s / max(1, measured.sent) * 1e6:.0f} microseconds a message)"
    )
    total = max(1, sum(profiled.samples.values()))
    shares = ", ".join(f"{name} {count / total:.0%}" for name, count in profiled.samples.most_common())
    _say(f"where the time goes, by {total:,} samples: {shares}")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=int, default=10, help="simulated minutes that are measured")
    parser.add_argument("--pace", type=int, default=100, help="how often the other traders act, per cent")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    plain = measure(options.seed, options.minutes, options.pace, sampled=False)
    tell(plain, measure(options.seed, options.minutes, options.pace, sampled=True))


if __name__ == "__main__":
    main()
