"""Which world a run happens in, and whose clock and key it has."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from polystra.adapters.polymarket.signing import SigningKey
from polystra.app.sessions import RunOptions, load_prices, shared_clock, simulated_key
from polystra.domain.errors import ConfigError
from polystra.domain.units import NS_PER_S


def test_only_a_run_without_pace_is_repeatable():
    assert RunOptions(speed=None).is_repeatable
    assert not RunOptions(speed=20.0).is_repeatable


@pytest.mark.parametrize(
    ("options", "afresh"),
    [
        (RunOptions(), False),
        (RunOptions(markets=3), False),
        (RunOptions(seed=1), True),
        (RunOptions(prices=Path("x.csv")), True),
        (RunOptions(speed=None), True),
    ],
)
def test_a_world_is_new_when_it_is_described(options: RunOptions, afresh: bool):
    assert options.starts_afresh is afresh


def test_a_simulated_key_follows_from_the_seed_alone():
    addresses = [SigningKey(simulated_key(seed)).address for seed in (1, 1, 2)]
    assert addresses[0] == addresses[1] != addresses[2]


def test_no_recording_is_no_series():
    assert load_prices(None, 1) is None


@asynccontextmanager
async def answering(body: Mapping[str, object] | str, status: int = 200) -> AsyncIterator[str]:
    """A server that answers every GET of a clock like this."""

    async def clock(_request: web.Request) -> web.Response:
        if isinstance(body, str):
            return web.Response(text=body, status=status)
        return web.json_response(body, status=status)

    application = web.Application()
    application.router.add_get("/control/clock", clock)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_the_clock_of_a_paced_exchange_is_shared():
    from polystra.adapters.clock import SystemClock

    epoch_ns = 1_700_000_000 * NS_PER_S
    anchor_ns = SystemClock().now_ns() - NS_PER_S
    told = {"mode": "paced", "epoch_ns": epoch_ns, "anchor_ns": anchor_ns, "speed": 10.0, "now_ns": epoch_ns}
    async with answering(told) as url:
        clock = await shared_clock(url)
    assert epoch_ns + 10 * NS_PER_S <= clock.now_ns() < epoch_ns + 600 * NS_PER_S


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"mode": "virtual", "epoch_ns": 1, "anchor_ns": None, "speed": None}, 200),
        ({}, 200),
        ({"error": "no"}, 404),
        ({"epoch_ns": "1", "anchor_ns": 1, "speed": 1}, 200),
    ],
)
async def test_who_shares_no_clock_is_no_paced_exchange(body: Mapping[str, object], status: int):
    async with answering(body, status) as url:
        with pytest.raises(ConfigError, match="is not a paced built-in exchange"):
            await shared_clock(url)


@pytest.mark.parametrize("body", ["not json", "<html>"])
async def test_an_answer_that_is_not_json_is_named(body: str):
    async with answering(body) as url:
        with pytest.raises(ConfigError, match="CLOB_URL"):
            await shared_clock(url)


def test_a_signal_before_the_daemon_listens_ends_the_start_in_order():
    program = """
import asyncio, os, signal
from polystra.app.sessions import on_real_loop

async def start():
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.Event().wait()
    finally:
        print("released")

try:
    on_real_loop(start())
except KeyboardInterrupt:
    print("interrupted")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.split()) == (0, ["released", "interrupted"]), done.stderr
