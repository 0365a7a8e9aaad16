"""The venue of the tick benchmark: one port for books and orders, in as little code as measures fairly.

It notes when a frame is handed to the socket and when the last byte of an order has come. It checks nothing of
the order: what is measured is the bot. Each bot has a path of its own, so that one at a time is spoken to.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import Sequence
from time import perf_counter_ns, time_ns
from typing import Any, Final

from benchmarks import tick_world

_MAGIC: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
KILLED: Final = json.dumps(
    {
        "error": "no orders found to match with FAK order. FAK orders are partially filled or killed if no match is "
        "found."
    }
).encode()
TAKEN: Final = json.dumps(
    {
        "success": True,
        "errorMsg": "",
        "orderID": "0x" + "0" * 64,
        "status": "live",
        "makingAmount": "",
        "takingAmount": "",
        "transactionsHashes": [],
        "tradeIDs": [],
    }
).encode()
_PAGE: Final = b'{"data":[],"next_cursor":"LTE=","limit":100,"count":0}'
_MONEY: Final = (
    b'{"balance":"1000000000000","allowances":{"0xE111180000d2663C0091e4f400237545B87B996B":"1000000000000000"}}'
)


def now_ms() -> int:
    """Milliseconds of UTC."""
    return time_ns() // 1_000_000


class Server:
    """Where bots connect. `orders` counts what came; `waiting` is answered by the next order."""

    def __init__(self) -> None:
        self.sockets: dict[str, Connection] = {}
        self.waiting: asyncio.Future[int] | None = None
        self.orders = 0
        self.bytes = b""
        self._server: asyncio.Server | None = None
        self.port = 0

    async def open(self) -> None:
        """Listen on a port of this machine."""
        self._server = await asyncio.get_running_loop().create_server(lambda: Connection(self), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()

    def speak(self, bot: str, frames: Sequence[str]) -> int:
        """Send frames to a bot in one write; returns when."""
        data = b"".join([text_frame(frame.encode()) for frame in frames])
        began = perf_counter_ns()
        self.sockets[bot].write(data)
        return began

    def ordered(self, count: int = 1) -> None:
        """The last byte of an order is here."""
        self.orders += count
        if self.waiting is not None and not self.waiting.done():
            self.waiting.set_result(perf_counter_ns())


class Connection(asyncio.Protocol):
    """A connection of a bot: requests, or frames once it was upgraded."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._buffer = b""
        self._bot = ""
        self._sent_books = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport: Any = transport  # uvloop's is no subclass of asyncio's
        self.write = self._transport.write

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        self._buffer = self._buffer + data if self._buffer else data
        while self._buffer and (self._frame() if self._bot else self._request()):
            pass

    # --- requests ---------------------------------------------------------------------

    def _request(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = self._buffer[:end]
        lower = head.lower()
        length = 0
        place = lower.find(b"content-length:")
        if place >= 0:
            length = int(lower[place + 15 :].split(b"\r\n", 1)[0])
        if len(self._buffer) < end + 4 + length:
            return False
        body, self._buffer = self._buffer[end + 4 : end + 4 + length], self._buffer[end + 4 + length :]
        method, path, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        if method == "POST" and path.endswith(("/order", "/orders")):
            self._server.ordered(body.count(b'"signature"'))
            self._reply(*self._order_answer(path, body))
        elif b"upgrade: websocket" in lower:
            self._upgrade(path, head)
        else:
            self._reply(200, _answer(path))
        return True

    def _order_answer(self, path: str, body: bytes) -> tuple[int, bytes]:
        if path.endswith("/orders"):
            count = body.count(b'"signature"')
            return 200, b"[" + b",".join([TAKEN] * count) + b"]"
        return (400, KILLED) if path.startswith("/killed") else (200, TAKEN)

    def _reply(self, status: int, body: bytes) -> None:
        word = {200: b"200 OK", 400: b"400 Bad Request"}[status]
        self._transport.write(
            b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nPoly-RateLimit-Tier: elite\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (word, len(body), body)
        )

    # --- frames -----------------------------------------------------------------------

    def _upgrade(self, path: str, head: bytes) -> None:
        key = next(
            line.split(b":", 1)[1].strip()
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"sec-websocket-key")
        )
        accept = base64.b64encode(hashlib.sha1(key + _MAGIC).digest())
        self._transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: %b\r\n\r\n" % accept
        )
        self._bot = path.strip("/").split("/")[0]

    def _frame(self) -> bool:
        """Take one frame of a bot: every text but PING is a subscription and is answered with the books."""
        data = self._buffer
        if len(data) < 6:
            return False
        length, place = data[1] & 127, 2
        if length == 126:
            length, place = int.from_bytes(data[2:4], "big"), 4
        elif length == 127:
            length, place = int.from_bytes(data[2:10], "big"), 10
        if len(data) < place + 4 + length:
            return False
        mask, payload = data[place : place + 4], data[place + 4 : place + 4 + length]
        self._buffer = data[place + 4 + length :]
        kind = data[0] & 15
        text = bytes(byte ^ mask[number % 4] for number, byte in enumerate(payload))
        if kind == 9:
            self.write(bytes([138, len(text)]) + text)
        elif kind == 8:
            self._transport.close()
        elif text == b"PING":
            self.write(text_frame(b"PONG"))
        else:
            self._subscribed()
        return True

    def _subscribed(self) -> None:
        self._server.sockets[self._bot] = self
        if not self._sent_books:
            self._sent_books = True
            for token in tick_world.MARKET_OF:
                self.write(text_frame(tick_world.book(token, now_ms()).encode()))


def text_frame(payload: bytes) -> bytes:
    """One unmasked frame of text."""
    length = len(payload)
    if length < 126:
        return bytes([129, length]) + payload
    if length < 65_536:
        return bytes([129, 126]) + length.to_bytes(2, "big") + payload
    return bytes([129, 127]) + length.to_bytes(8, "big") + payload


def _answer(path: str) -> bytes:
    """What a question is answered with."""
    where, _, query = path.partition("?")
    parts = where.strip("/").split("/")
    if parts[-1] == "time":
        return str(time_ns() // 10**9).encode()
    if parts[-1] in ("orders", "trades"):
        return _PAGE
    if "balance-allowance" in parts:
        return _MONEY
    if parts[-1] == "book":
        return tick_world.book(query.removeprefix("token_id="), now_ms()).encode()
    if "markets-by-token" in parts:
        return json.dumps({"condition_id": tick_world.CONDITIONS[tick_world.MARKET_OF[parts[-1]]]}).encode()
    if "clob-markets" in parts:
        pair = tick_world.TOKENS[tick_world.CONDITIONS.index(parts[-1])]
        return json.dumps({"nr": False, "mts": 0.01, "t": [{"t": token} for token in pair]}).encode()
    if parts[-1] == "notifications":
        return b"[]"
    return b"null"
