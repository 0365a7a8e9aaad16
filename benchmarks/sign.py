"""Signing: an order's terms become the bytes of its JSON body and the headers that go with them, ready to send.

Against a bare secp256k1 signature, and against `py-clob-client-v2` with coincurve and as it is installed (its
back end in plain Python). The peers get tick size, risk flag and version beforehand, so that none of them asks
a server. Each contender signs another order at every call.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from itertools import cycle
from random import Random

from coincurve import PrivateKey

from benchmarks import peers
from benchmarks.figures import Report, Row, ratio
from benchmarks.rounds import Timing, race
from polystra.adapters.polymarket.signing import (
    L2Credentials,
    OrderSigner,
    OrderTermsSigner,
    SignatureType,
    SigningKey,
    l2_headers,
)
from polystra.domain.ids import ClientOrderId, ConditionId, PositionId, TokenId
from polystra.domain.orders import OrderTerms, Purpose, Side, TimeInForce

SECTION = "1 sign: an intent becomes body and L2 headers"
KEY = "0x" + "11" * 32  # a key of nobody
CREDENTIALS = L2Credentials("00000000-0000-0000-0000-000000000001", base64.b64encode(b"s" * 32).decode(), "phrase")
_NOW_S = 1_790_000_000
_ORDERS = 512


def terms(rng: Random, number: int) -> OrderTerms:
    """A resting order of a random size and price."""
    return OrderTerms(
        client_order_id=ClientOrderId(f"o{number:06d}"),
        condition_id=ConditionId("0x" + "c" * 64),
        token_id=TokenId(str(rng.getrandbits(255))),
        position_id=PositionId(f"p{number}"),
        purpose=Purpose.ENTRY,
        side=rng.choice((Side.BUY, Side.SELL)),
        price=rng.randint(1, 99) * 10_000,
        quantity=rng.randint(500, 50_000) * 10_000,
        tick_size=10_000,
        time_in_force=TimeInForce.GTC,
    )


def ours(kind: SignatureType, orders: Iterator[OrderTerms]) -> Callable[[], object]:
    """The road of an order in the daemon, from its terms to what goes on the wire."""
    key = SigningKey(KEY)
    funder = None if kind is SignatureType.EOA else "0x" + "ab" * 20
    signer = OrderTermsSigner(OrderSigner(key, kind, funder, 137, CREDENTIALS.api_key))
    rng = Random(2)

    def call() -> object:
        signed = signer.sign(next(orders), salt=rng.getrandbits(53), timestamp_ms=_NOW_S * 1_000)
        return l2_headers(CREDENTIALS, key.address, "POST", "/order", signed.body, _NOW_S)

    return call


def measure(report: Report, *, quick: bool) -> None:
    """Print what signing costs."""
    rng = Random(1)
    orders = [terms(rng, number) for number in range(_ORDERS)]
    raw_key, digests = PrivateKey(b"\x11" * 32), cycle([rng.randbytes(32) for _ in range(_ORDERS)])
    contenders: dict[str, Callable[[], object]] = {
        "raw secp256k1 signature (coincurve)": lambda: raw_key.sign_recoverable(next(digests), hasher=None),
        "polystra, key's own wallet": ours(SignatureType.EOA, cycle(orders)),
        "polystra, deposit wallet": ours(SignatureType.POLY_1271, cycle(orders)),
        "py-clob-client-v2 with coincurve": peers.sign_call(KEY, cycle(orders), native=False),
        "py-clob-client-v2 as installed": peers.sign_call(KEY, cycle(orders), native=True),
    }
    raw, own, deposit, fast, slow = contenders
    timings = race(contenders, rounds=3 if quick else 7, seconds=0.1 if quick else 0.25)
    row = _rows(timings)
    report.add(
        row(raw),
        row(own, figure=ratio(timings[own].p50s, timings[raw].p50s), of="x raw signature", at_most=2.0),
        row(deposit, figure=ratio(timings[deposit].p50s, timings[raw].p50s), of="x raw signature"),
        row(fast, figure=ratio(timings[fast].p50s, timings[own].p50s), of="x ours", at_least=9.0),
        row(slow, figure=ratio(timings[slow].p50s, timings[own].p50s), of="x ours", at_least=90.0),
    )


def _rows(timings: dict[str, Timing]) -> Callable[..., Row]:
    def row(name: str, **words: object) -> Row:
        timing = timings[name]
        return Row(section=SECTION, what=name, p50=timing.p50, p99=timing.p99, **words)  # type: ignore[arg-type]

    return row
