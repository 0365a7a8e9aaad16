"""Orders a second: a thousand intents in batches of fifteen, signed and sent to a venue in a process of its own.

Ours is the daemon's adapter: it signs, joins the bodies and sends each batch; the official client's `post_orders`
does the same work, with coincurve. The venue (`benchmarks/tick_server.py`) answers every order with a yes and its
id is not compared. Seconds are of the sender's processor, which is what one core does, and of the clock.
"""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from random import Random
from time import perf_counter_ns
from typing import Final

import uvloop

from benchmarks import peers
from benchmarks.figures import Report, Row, ratio
from benchmarks.sign import CREDENTIALS, KEY, terms
from benchmarks.tick_server import Server
from polystra.adapters.clock import SystemClock
from polystra.adapters.polymarket.rest import PolymarketVenue, VenueAccount
from polystra.adapters.polymarket.signing import OrderSigner, OrderTermsSigner, SigningKey
from polystra.domain.orders import OrderTerms
from polystra.ports.venue import Submission

SECTION: Final = "6 throughput: orders in batches of 15"
_BATCH: Final = 15


def _batches(orders: Sequence[OrderTerms]) -> Iterator[list[OrderTerms]]:
    waiting = iter(orders)
    while batch := list(islice(waiting, _BATCH)):
        yield batch


def ours(port: int, orders: Sequence[OrderTerms], *, apart: int) -> tuple[float, float]:
    """Sign and send by the daemon's adapter, so many batches under way; returns orders per CPU and per clock second."""

    async def send() -> tuple[float, float]:
        clock, key, rng = SystemClock(), SigningKey(KEY), Random(3)
        signer = OrderTermsSigner(OrderSigner(key, 0, None, 137, CREDENTIALS.api_key))
        account = VenueAccount(credentials=CREDENTIALS, signer=key.address, wallet=key.address, signature_type=0)
        venue = PolymarketVenue(base_url=f"http://127.0.0.1:{port}", account=account, clock=clock, rng=rng)
        await venue.server_time_ns()
        waiting = list(_batches(orders))[::-1]

        async def worker() -> None:
            while waiting:
                batch = waiting.pop()
                now_ms = clock.now_ns() // 10**6
                signed = [signer.sign(each, salt=rng.getrandbits(53), timestamp_ms=now_ms) for each in batch]
                await venue.submit([Submission(signed=each) for each in signed])

        began, used = perf_counter_ns(), _cpu_s()
        async with asyncio.TaskGroup() as group:
            for _ in range(apart):
                group.create_task(worker())
        found = len(orders) / (_cpu_s() - used), len(orders) / ((perf_counter_ns() - began) / 1e9)
        await venue.close()
        return found

    return uvloop.run(send())


def official(port: int, orders: Sequence[OrderTerms]) -> tuple[float, float]:
    """The same by the official client."""
    from py_clob_client_v2.clob_types import OrderType, PostOrdersV2Args

    os.environ["ECC_BACKEND_CLASS"] = "eth_keys.backends.CoinCurveECCBackend"
    client = peers.client(KEY, f"http://127.0.0.1:{port}")
    peers.tell_ticks(client, [each.token_id for each in orders])
    began, used = perf_counter_ns(), _cpu_s()
    for batch in _batches(orders):
        signed = [client.create_order(peers.args_of(each), peers.OPTIONS) for each in batch]
        client.post_orders([PostOrdersV2Args(order=each, orderType=OrderType.GTC) for each in signed])
    return len(orders) / (_cpu_s() - used), len(orders) / ((perf_counter_ns() - began) / 1e9)


def measure(report: Report, *, quick: bool) -> None:
    """Print orders a second."""
    count, rounds = (300, 2) if quick else (1_000, 3)
    orders = [terms(Random(1), number) for number in range(count)]
    command = [sys.executable, "-m", "benchmarks.throughput"]
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in _NAMES}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        port = int(server.stdout.readline())
        for _ in range(rounds):
            found[_NAMES[0]].append(ours(port, orders, apart=1))
            found[_NAMES[1]].append(ours(port, orders, apart=4))
            found[_NAMES[2]].append(official(port, orders))
        server.stdin.write("\n")
        server.stdin.flush()
        received = int(server.stdout.readline())
    rates = {name: [each[0] for each in found[name]] for name in _NAMES}
    for name in _NAMES:
        cpu = sorted(rates[name])[rounds // 2]
        real = sorted(each[1] for each in found[name])[rounds // 2]
        figure = None if name == _NAMES[2] else ratio(rates[name], rates[_NAMES[2]])
        of = "" if figure is None else "x the official client's"
        note = f"{real:,.0f} a second by the clock"
        report.add(Row(section=SECTION, what=name, p50=cpu, unit="/s core", figure=figure, of=of, note=note))
    sent = 3 * rounds * count
    report.add(Row(section=SECTION, what="orders received less orders sent", figure=received - sent, of="", at_most=0))


_NAMES: Final = (
    "polystra, one batch at a time",
    "polystra, four batches under way",
    "py-clob-client-v2 with coincurve, post_orders",
)


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def _serve() -> None:
    server = Server()
    await server.open()
    sys.stdout.write(f"{server.port}\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    sys.stdout.write(f"{server.orders}\n")


if __name__ == "__main__":
    uvloop.run(_serve())
