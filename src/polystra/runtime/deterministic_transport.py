"""In-memory TCP connections for the deterministic loop: their two ends and the bytes between.

What lives here: byte streams with seeded latency, flow control, half-close, abort and reset,
as `asyncio.Transport` promises them, and hooks to break a connection on purpose.
What must not: listeners and names (see `deterministic_network`), anything that knows HTTP.

A connection is two `MemoryTransport`s. What one end writes arrives at the other, in order,
after a latency drawn from that direction's own generator, so that the traffic of one
connection does not move the draws of another. Writes of one instant travel as one segment.
There is no bandwidth limit; the first `WINDOW` undelivered bytes of a direction count as
inside the network, and only what exceeds them is the transport's write buffer.
"""

from __future__ import annotations

import asyncio
import errno
import random
import socket
from collections import deque
from collections.abc import Callable, Iterable
from contextvars import Context
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

WINDOW: Final = 64 * 1024  # bytes that a direction holds before the sender's buffer fills
READ_SIZE: Final = 256 * 1024  # most bytes of one data_received, as asyncio's selector loop reads
DEFAULT_HIGH_WATER: Final = 64 * 1024

Address: TypeAlias = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Latency:
    """One-way delay of a segment: uniform between two bounds, in seconds of virtual time."""

    low_s: float = 0.0002
    high_s: float = 0.002

    def __post_init__(self) -> None:
        if not 0 <= self.low_s <= self.high_s:
            raise ValueError(f"latency is {self.low_s} to {self.high_s} s, expected 0 <= low_s <= high_s")

    def draw(self, chance: random.Random) -> float:
        """Return the next delay in seconds."""
        return self.low_s + (self.high_s - self.low_s) * chance.random()


def sockaddr(address: Address) -> tuple[str, int] | tuple[str, int, int, int]:
    """Return `address` in the form that sockets of its family use."""
    return (*address, 0, 0) if ":" in address[0] else address


def family_of(host: str) -> socket.AddressFamily:
    """Return the address family of an IP literal."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _reset_by_peer() -> ConnectionResetError:
    return ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")


class MemorySocket:
    """What `get_extra_info("socket")` and `Server.sockets` give: addresses, and options that do nothing."""

    type: Final = socket.SOCK_STREAM
    proto: Final = socket.IPPROTO_TCP

    def __init__(self, name: Address, peer: Address | None) -> None:
        self.family: Final = family_of(name[0])
        self._name = name
        self._peer = peer

    def getsockname(self) -> tuple[Any, ...]:
        """Return the address of this end."""
        return sockaddr(self._name)

    def getpeername(self) -> tuple[Any, ...]:
        """Return the address of the other end.

        Raises:
            OSError: a listening socket has no other end.
        """
        if self._peer is None:
            raise OSError(errno.ENOTCONN, "a listening socket has no peer")
        return sockaddr(self._peer)

    def setsockopt(self, level: int, option: int, value: int | bytes) -> None:
        """Accept any option: there is no kernel to tune."""

    def getsockopt(self, level: int, option: int) -> int:
        """Return zero for any option, SO_ERROR among them."""
        del level, option
        return 0

    def fileno(self) -> int:
        """Return -1: there is no descriptor."""
        return -1


class MemoryTransport(asyncio.Transport):
    """One end of a connection, as asyncio's own socket transport behaves."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, connection: Connection, name: Address, peer: Address, seed: int
    ) -> None:
        sock = MemorySocket(name, peer)
        super().__init__(
            {"socket": sock, "sockname": sock.getsockname(), "peername": sock.getpeername(), "sslcontext": None}
        )
        self._loop = loop
        self._connection = connection
        self.twin: MemoryTransport = self  # the connection joins the two ends
        self._chance = random.Random(seed)
        self.context: Context | None = None
        self._protocol: asyncio.Protocol | None = None
        self._on_lost: Callable[[], None] | None = None
        # What this end has sent: segments under way, and bytes that the other protocol has not had yet.
        self._under_way: deque[list[bytes] | None] = deque()
        self._sent_at = -1.0
        self._last_arrival = 0.0
        self._undelivered = 0
        self._high = DEFAULT_HIGH_WATER
        self._low = DEFAULT_HIGH_WATER // 4
        self._writing_paused = False
        # What has arrived here: `None` is the end of the stream.
        self._inbox: deque[bytes | None] = deque()
        self._attached = False
        self._reading_paused = False
        self._pump_scheduled = False
        self._eof_sent = False
        self._closing = False
        self._lost = False

    # --- joining a protocol ---------------------------------------------------------------------

    def attach(self, protocol: asyncio.BaseProtocol, context: Context, on_lost: Callable[[], None] | None) -> None:
        """Give this end its protocol; what has arrived meanwhile is delivered after `connection_made`.

        Callbacks run in `context`, never in that of the task that wrote the bytes.

        Raises:
            ConnectionResetError: the connection was lost before it had a protocol.
            TypeError: the protocol is not an `asyncio.Protocol`.
        """
        if self._lost:
            raise _reset_by_peer()
        self.set_protocol(protocol)
        self.context = context
        self._on_lost = on_lost
        self._loop.call_soon(self._made, context=context)

    def _made(self) -> None:
        self._attached = True
        if self._protocol is not None:
            self._protocol.connection_made(self)
            self._schedule_pump()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand the stream over to `protocol`.

        Raises:
            TypeError: the protocol is not an `asyncio.Protocol`; buffered protocols (TLS) have no use here.
        """
        if not isinstance(protocol, asyncio.Protocol):
            raise TypeError(f"protocol is {type(protocol).__name__}, expected an asyncio.Protocol with data_received")
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol of this end.

        Raises:
            RuntimeError: none was attached yet.
        """
        if self._protocol is None:
            raise RuntimeError("the transport has no protocol: it was dialled but never attached, or is closed")
        return self._protocol

    # --- writing --------------------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Send `data`; never blocks, and is ignored once the transport is closing.

        Raises:
            RuntimeError: `write_eof` was called before.
            TypeError: `data` is not bytes-like.
        """
        if not isinstance(data, bytes):
            if not isinstance(data, bytearray | memoryview):
                raise TypeError(f"data is {type(data).__name__}, expected a bytes-like object")
            data = bytes(data)
        if self._closing or not data:
            return
        if self._eof_sent:
            raise RuntimeError("Cannot call write() after write_eof()")
        now = self._loop.time()
        if now == self._sent_at and self._under_way and (segment := self._under_way[-1]) is not None:
            segment.append(data)
        else:
            self._send([data], now)
        self._undelivered += len(data)
        if self._undelivered > WINDOW:
            self._pause_writing_if_full()

    def _pause_writing_if_full(self) -> None:
        if not self._writing_paused and self._undelivered - WINDOW > self._high and self._protocol is not None:
            self._writing_paused = True
            self._protocol.pause_writing()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview[Any]]) -> None:
        """Send the parts as one write."""
        self.write(b"".join(list_of_data))

    def write_eof(self) -> None:
        """End the outgoing stream after what was written; reading goes on."""
        if not (self._closing or self._eof_sent):
            self._eof_sent = True
            self._send(None, self._loop.time())

    def can_write_eof(self) -> bool:
        """Return True: the stream can be half-closed."""
        return True

    def get_write_buffer_size(self) -> int:
        """Return the bytes written that the network has not taken."""
        return max(0, self._undelivered - WINDOW)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the low and the high water mark in bytes."""
        return self._low, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the marks between which the protocol is paused and resumed, in bytes.

        Raises:
            ValueError: not 0 <= low <= high.
        """
        if high is None:
            high = DEFAULT_HIGH_WATER if low is None else 4 * low
        if low is None:
            low = high // 4
        if not 0 <= low <= high:
            raise ValueError(f"write buffer limits are low {low} and high {high}, expected 0 <= low <= high")
        self._low, self._high = low, high
        self._pause_writing_if_full()

    def _send(self, segment: list[bytes] | None, now: float) -> None:
        arrival = max(now + self._connection.latency.draw(self._chance), self._last_arrival)
        self._last_arrival = arrival
        self._sent_at = now
        self._under_way.append(segment)
        self._loop.call_at(arrival, self.twin.arrive, context=self.twin.context)

    def take_segment(self) -> list[bytes] | None:
        """Give the receiving end the next segment; `None` is the end of the stream, `[]` was lost on the way."""
        return self._under_way.popleft() if self._under_way else []

    def delivered(self, size: int) -> None:
        """Note that the receiving end has had `size` bytes more."""
        self._undelivered -= size
        buffered = self._undelivered - WINDOW
        if self._writing_paused and buffered <= self._low:
            self._writing_paused = False
            if not self._lost and self._protocol is not None:
                self._loop.call_soon(self._protocol.resume_writing, context=self.context)
        if self._closing and not self._lost and buffered <= 0:
            self._lose(None)

    # --- reading --------------------------------------------------------------------------------

    def is_reading(self) -> bool:
        """Return whether data is being delivered to the protocol."""
        return not (self._reading_paused or self._closing)

    def pause_reading(self) -> None:
        """Keep what arrives; the sender's buffer fills meanwhile."""
        self._reading_paused = True

    def resume_reading(self) -> None:
        """Deliver again what arrived and what arrives."""
        if self._reading_paused:
            self._reading_paused = False
            self._schedule_pump()

    def arrive(self) -> None:
        """Take the next segment of the other end out of the network."""
        if self._connection.hold_back(self):
            return
        segment = self.twin.take_segment()
        was_empty = not self._inbox
        if segment is None:
            self._inbox.append(None)
        elif segment:
            data = segment[0] if len(segment) == 1 else b"".join(segment)
            if self._closing:
                self._refuse(len(data))
                return
            self._inbox.extend(data[start : start + READ_SIZE] for start in range(0, len(data), READ_SIZE))
        if was_empty:
            self._pump()

    def _refuse(self, size: int) -> None:
        """Drop data that nobody will read; a closed end answers it as TCP does, with a reset."""
        self.twin.delivered(size)
        if self._lost:
            delay = self._connection.latency.draw(self._chance)
            self._loop.call_later(delay, self.twin.reset, context=self.twin.context)

    def _schedule_pump(self) -> None:
        if self._inbox and not self._pump_scheduled:
            self._pump_scheduled = True
            self._loop.call_soon(self._scheduled_pump, context=self.context)

    def _scheduled_pump(self) -> None:
        self._pump_scheduled = False
        self._pump()

    def _pump(self) -> None:
        """Give the protocol one read's worth of what has arrived, or the end of the stream."""
        protocol = self._protocol
        if protocol is None or not self._attached or self._reading_paused or self._closing or not self._inbox:
            return
        data = self._inbox.popleft()
        healthy = False
        try:
            if data is None:
                healthy = True
                if not protocol.eof_received():
                    self.close()
                return
            protocol.data_received(data)
            healthy = True
        finally:
            if data is not None:
                self.twin.delivered(len(data))
            if not healthy:  # the error goes on to the loop's exception handler
                self.abort()
        self._schedule_pump()

    # --- ending ---------------------------------------------------------------------------------

    def is_closing(self) -> bool:
        """Return whether the transport is closing or closed."""
        return self._closing

    def close(self) -> None:
        """Stop reading, send what was written and the end of the stream, then lose the connection."""
        if self._closing:
            return
        self.write_eof()
        self._closing = True
        self._drop_inbox()
        if self.get_write_buffer_size() == 0:
            self._lose(None)

    def abort(self) -> None:
        """Lose the connection at once; what the network has not taken is lost, the other end reads its end."""
        if self._lost:
            return
        for segment in reversed(self._under_way):
            if segment is not None and self._undelivered > WINDOW:
                self._undelivered -= sum(map(len, segment))
                segment.clear()  # its arrival stays scheduled and brings nothing
        self.write_eof()
        self._closing = True
        self._drop_inbox()
        self._lose(None)

    def reset(self) -> None:
        """Lose the connection as when the network breaks it: with `ConnectionResetError`."""
        if not self._lost:
            self._closing = True
            self._under_way.clear()
            self._drop_inbox()
            self._lose(_reset_by_peer())

    def _drop_inbox(self) -> None:
        size = sum(len(data) for data in self._inbox if data is not None)
        self._inbox.clear()
        if size:
            self.twin.delivered(size)

    def _lose(self, error: Exception | None) -> None:
        self._lost = True
        self._loop.call_soon(self._tell_lost, error, context=self.context)

    def _tell_lost(self, error: Exception | None) -> None:
        protocol, self._protocol = self._protocol, None
        on_lost, self._on_lost = self._on_lost, None
        try:
            if protocol is not None:
                protocol.connection_lost(error)
        finally:
            self._connection.end_lost()
            if on_lost is not None:
                on_lost()


class Connection:
    """A live connection, seen from outside both ends: the place to inject faults.

    `latency` may be replaced at any time and holds for what is sent from then on.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        number: int,
        addresses: tuple[Address, Address],
        latency: Latency,
        *,
        seeds: tuple[int, int],
        on_end: Callable[[int], None],
    ) -> None:
        self.number: Final = number
        self.client_address, self.server_address = addresses
        self.latency = latency
        self.client = MemoryTransport(loop, self, *addresses, seed=seeds[0])
        self.server = MemoryTransport(loop, self, addresses[1], addresses[0], seed=seeds[1])
        self.client.twin, self.server.twin = self.server, self.client
        self._loop = loop
        self._on_end = on_end
        self._ends = 2
        self._held = False
        self._held_back: list[MemoryTransport] = []

    def abort(self) -> None:
        """Break the connection: both ends lose it now with `ConnectionResetError`, bytes under way are lost."""
        self.client.reset()
        self.server.reset()

    def hold(self) -> None:
        """Let nothing arrive at either end until `release`, as when a route is gone; nobody is told."""
        self._held = True

    def release(self) -> None:
        """Let what was held back arrive now, in its order, and everything later as usual."""
        self._held = False
        held_back, self._held_back = self._held_back, []
        for end in held_back:
            self._loop.call_soon(end.arrive, context=end.context)

    def hold_back(self, end: MemoryTransport) -> bool:
        """Return whether an arrival at `end` must wait, and remember it."""
        if self._held:
            self._held_back.append(end)
        return self._held

    def end_lost(self) -> None:
        """Note that one end is gone; with the second the connection leaves the loop's list."""
        self._ends -= 1
        if self._ends == 0:
            self._on_end(self.number)
