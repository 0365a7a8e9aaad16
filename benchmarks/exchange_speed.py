"""How fast the built-in exchange is: its own traders without sockets, and signed orders over HTTP.

Run with `python -m benchmarks.exchange_speed [--quick]` from the project's root. Prints figures and
their ratio to what is wanted: 5 000 internal orders per simulated minute at 20 simulated seconds per
second on one core, and 1 000 signed orders a second over HTTP. The HTTP part signs beforehand, in
this process, and drives the exchange, in a process of its own, over keep-alive connections.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import hmac
import random
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
import uvloop
from coincurve import PrivateKey
from tiny_keccak import keccak256

from polystra.adapters.clock import ScaledClock, SystemClock
from polystra.domain.units import MICRO, NS_PER_S
from polystra.exchange.books import BookStore
from polystra.exchange.builtin import BuiltInConfig, BuiltInExchange
from polystra.exchange.core import CoreConfig, CoreEvent, ExchangeCore, OrderEvent, TradeEvent
from polystra.exchange.simulation import DEFAULT_EPOCH_S, Simulation
from polystra.exchange.traders.config import CrowdConfig
from polystra.exchange.typed_data import SignedOrder, domain_separator, order_digest
from polystra.exchange.venue_rules import VenueRules

WANTED_PER_MINUTE: Final = 5_000
WANTED_SPEED: Final = 20
WANTED_PER_SECOND: Final = 1_000
BUSY: Final = CrowdConfig(
    makers=5,
    maker_pause_percent=80,
    noise_takers=3,
    informed_takers=1,
    spoofers=1,
    cross_outcome_traders=2,
    dust_makers=2,
    vanish_every_s=90,
)
_SPREAD_OVER: Final = 50
"""Signers that share the orders: about as many open ones per account as a busy client has."""


@dataclass(frozen=True, slots=True)
class Account:
    """A signer with its API credentials."""

    key: PrivateKey
    address: str
    api_key: str
    secret: str
    passphrase: str


# --- internal traders --------------------------------------------------------------------


def internal(books: Path | None, minutes: int) -> None:
    """Let a busy crowd trade in four open markets and print orders per minute and the load of one core."""
    config = BuiltInConfig(seed=1, windows=("5m",), crowd=BUSY, books_path=books)
    core = ExchangeCore(rng=random.Random(1), config=CoreConfig(), store=BookStore(books))
    simulation = Simulation(config, core)
    counts = {"orders": 0, "trades": 0}

    def count(event: CoreEvent) -> None:
        if isinstance(event, OrderEvent) and event.type == "PLACEMENT":
            counts["orders"] += 1
        elif isinstance(event, TradeEvent) and event.trade.status == "MATCHED":
            counts["trades"] += 1
            counts["orders"] += event.trade.taker_order_id not in simulation.crowd.owners

    core.add_listener(count)
    start_s = DEFAULT_EPOCH_S + 60
    simulation.run_due(start_s * NS_PER_S)
    counts.update(orders=0, trades=0)
    used = _cpu_s()
    simulation.run_due((start_s + 60 * minutes) * NS_PER_S)
    used = (_cpu_s() - used) / minutes
    core.close()
    allowed = 60 / WANTED_SPEED
    per_minute = counts["orders"] / minutes
    at_wanted = used * WANTED_PER_MINUTE / per_minute
    where = "in memory" if books is None else "on disk"
    _say(
        f"internal traders, books {where}: {per_minute:,.0f} orders and {counts['trades'] / minutes:,.0f} trades per "
        f"simulated minute take {used:.2f} s of CPU; {WANTED_PER_MINUTE:,} orders at {WANTED_SPEED}x take "
        f"{at_wanted:.2f} s of {allowed:.1f} s: {allowed / at_wanted:.1f} times as fast as wanted"
    )


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


# --- signed orders over HTTP --------------------------------------------------------------


def serve() -> None:
    """Run an exchange until its input ends; the first line says where it is and gives its accounts."""
    uvloop.run(_serve())


async def _serve() -> None:
    venue = VenueRules(signer_buckets="off", ip_limits=False)
    config = BuiltInConfig(
        seed=1, symbols=("BTC",), windows=("15m",), speed=1.0, venue=venue, initial_cash=10**6 * MICRO
    )
    clock = ScaledClock(DEFAULT_EPOCH_S * NS_PER_S, 1.0)
    exchange = BuiltInExchange(config, clock, wall=SystemClock())
    urls = await exchange.start()
    accounts = [_account(number, exchange) for number in range(1, _SPREAD_OVER + 1)]
    market = next(iter(exchange.core.markets.values()))
    now_s = clock.now_ns() // NS_PER_S
    told = {"time": now_s, "url": urls.clob_url, "token": market.spec.up_token, "accounts": accounts}
    sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
    sys.stdout.flush()
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as group:
        world = group.create_task(exchange.run())
        await loop.run_in_executor(None, sys.stdin.readline)
        world.cancel()
    used = _cpu_s()
    await exchange.close()
    sys.stdout.write(f"{used}\n")


def _key(number: int) -> tuple[PrivateKey, str]:
    key = PrivateKey(number.to_bytes(32, "big"))
    return key, "0x" + bytes(keccak256(key.public_key.format(compressed=False)[1:]))[-20:].hex()


def _account(number: int, exchange: BuiltInExchange) -> dict[str, Any]:
    opened = exchange.open_account(_key(number)[1])
    return {"number": number, "api_key": opened.key, "secret": opened.secret, "passphrase": opened.passphrase}


def over_http(orders: int, connections: int) -> None:
    """Send signed orders to an exchange of another process and print how many it took a second."""
    command = [sys.executable, "-m", "benchmarks.exchange_speed", "--serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        told = msgspec.json.decode(server.stdout.readline())
        accounts = [_credentials(entry) for entry in told["accounts"]]
        stamp = told["time"]
        requests = [_request(told["token"], accounts[place % len(accounts)], place, stamp) for place in range(orders)]
        seconds, accepted = uvloop.run(_drive(told["url"], requests, connections))
        server.stdin.write("\n")
        server.stdin.flush()
        used = float(server.stdout.readline())
    rate = accepted / seconds
    _say(
        f"over HTTP: {accepted:,} of {orders:,} signed orders accepted in {seconds:.2f} s on {connections} "
        f"connections: {rate:,.0f} a second, {rate / WANTED_PER_SECOND:.1f} times as many as wanted "
        f"(the exchange used {used:.2f} s of CPU in all)"
    )


def _credentials(entry: dict[str, Any]) -> Account:
    key, address = _key(entry["number"])
    return Account(key, address, entry["api_key"], entry["secret"], entry["passphrase"])


def _request(token: str, account: Account, place: int, stamp: int) -> bytes:
    """Return a whole HTTP request that rests 5 shares of Up far below the market."""
    cents = 1 + place % 5
    order = SignedOrder(
        salt=place + 1,
        maker=account.address,
        signer=account.address,
        token_id=int(token),
        maker_amount=5 * cents * 10_000,
        taker_amount=5 * MICRO,
        side=0,
        signature_type=0,
        timestamp_ms=stamp * 1_000,
        metadata=bytes(32),
        builder=bytes(32),
    )
    raw = account.key.sign_recoverable(order_digest(order, domain_separator("v1", neg_risk=False)), hasher=None)
    zeros = "0x" + "00" * 32
    body = msgspec.json.encode(
        {
            "order": {
                "salt": order.salt,
                "maker": order.maker,
                "signer": order.signer,
                "tokenId": token,
                "makerAmount": str(order.maker_amount),
                "takerAmount": str(order.taker_amount),
                "side": "BUY",
                "signatureType": 0,
                "timestamp": str(order.timestamp_ms),
                "expiration": "0",
                "metadata": zeros,
                "builder": zeros,
                "signature": "0x" + (raw[:64] + bytes([raw[64] + 27])).hex(),
            },
            "owner": account.api_key,
            "orderType": "GTC",
            "postOnly": False,
            "deferExec": False,
        }
    )
    mac = hmac.new(base64.urlsafe_b64decode(account.secret), f"{stamp}POST/order".encode() + body, hashlib.sha256)
    head = (
        "POST /order HTTP/1.1\r\nHost: exchange\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nPOLY_ADDRESS: {account.address}\r\nPOLY_API_KEY: {account.api_key}\r\n"
        f"POLY_PASSPHRASE: {account.passphrase}\r\nPOLY_TIMESTAMP: {stamp}\r\n"
        f"POLY_SIGNATURE: {base64.urlsafe_b64encode(mac.digest()).decode()}\r\n\r\n"
    )
    return head.encode() + body


async def _drive(url: str, requests: Sequence[bytes], connections: int) -> tuple[float, int]:
    parts = urlsplit(url)
    clock = SystemClock()
    waiting = list(reversed(requests))
    accepted = 0

    async def send() -> None:
        nonlocal accepted
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        while waiting:
            writer.write(waiting.pop())
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            reply = await reader.readexactly(length)
            if b'"success":true' in reply and head.startswith(b"HTTP/1.1 200"):
                accepted += 1
            elif accepted == 0:
                _say(f"first refusal: {head[:15].decode()} {reply[:200].decode()}")
        writer.close()

    started = clock.monotonic_ns()
    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(send())
    return (clock.monotonic_ns() - started) / NS_PER_S, accepted


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a fifth of the work")
    parser.add_argument("--serve", action="store_true", help="internal: be the exchange of the HTTP part")
    options = parser.parse_args()
    if options.serve:
        serve()
        return
    minutes, orders = (1, 1_000) if options.quick else (4, 5_000)
    internal(None, minutes)
    with tempfile.TemporaryDirectory() as folder:
        internal(Path(folder) / "books.db", minutes)
    over_http(orders, 16)


if __name__ == "__main__":
    main()
