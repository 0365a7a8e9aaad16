"""An exchange in a process of its own whose clock goes on where it was: `python -m tests.chaos.exchange_process`.

What lives here: the composition of `polystra exchange` with a port and a clock that outlive it. What must not:
rules of the world. The plain command takes its clock up where its books ended, so that its time would stand
still while it is gone; a venue's does not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
from dataclasses import asdict
from pathlib import Path

import typer

from polystra.adapters.clock import ScaledClock, SystemClock
from polystra.app.sessions import on_real_loop
from polystra.domain.units import NS_PER_S
from polystra.exchange.builtin import BuiltInConfig, BuiltInExchange, Pace
from polystra.exchange.simulation import DEFAULT_EPOCH_S


def main() -> None:
    """Serve until a signal; the first line is one JSON object with the URLs and the clock's anchor."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.exchange_process", description=__doc__)
    parser.add_argument("--books", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--speed", type=float, required=True)
    parser.add_argument("--anchor-ns", type=int, default=None)
    told = parser.parse_args()
    config = BuiltInConfig(seed=told.seed, windows=("5m",), speed=told.speed, books_path=told.books, port=told.port)
    on_real_loop(_serve(config, told.speed, told.anchor_ns))


async def _serve(config: BuiltInConfig, speed: float, anchor_ns: int | None) -> None:
    epoch_ns = DEFAULT_EPOCH_S * NS_PER_S
    clock = ScaledClock(epoch_ns, speed, anchor_ns=anchor_ns)
    pace = Pace("paced", epoch_ns, clock.anchor_ns, speed)
    exchange = BuiltInExchange(config, clock, pace=pace, wall=SystemClock())
    urls = await exchange.start()
    typer.echo(json.dumps({**asdict(urls), "anchor_ns": clock.anchor_ns}))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, exchange.control.shutdown_requested.set)
    try:
        async with asyncio.TaskGroup() as group:
            world = group.create_task(exchange.run(), name="exchange")
            await exchange.wait_for_shutdown()
            world.cancel()
    finally:
        await exchange.close()


if __name__ == "__main__":
    main()
