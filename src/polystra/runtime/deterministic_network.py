"""Who listens where on the deterministic loop: names, listeners, dialling, live connections.

What lives here: the in-memory network of one loop and the servers on it. What must not: bytes
under way (see `deterministic_transport`), asyncio's own signatures (see `deterministic`).

A dial takes a latency to reach the listener and another to return, whether it is accepted or
refused. Each direction of a connection has a generator of its own, seeded when it is dialled.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import ipaddress
import random
import socket
from collections.abc import Callable, Sequence
from contextvars import Context, copy_context
from typing import Final, TypeAlias

from polystra.runtime.deterministic_transport import Address, Connection, Latency, MemorySocket, MemoryTransport

ANY_HOST: Final = "0.0.0.0"  # noqa: S104 - nothing is bound outside this process
LOOPBACK: Final = "127.0.0.1"

_FIRST_CLIENT_PORT: Final = 49_152
_FIRST_SERVER_PORT: Final = 40_000

ProtocolFactory: TypeAlias = Callable[[], asyncio.BaseProtocol]


def set_unless_done(future: asyncio.Future[None]) -> None:
    """Complete `future` if nobody did or cancelled it."""
    if not future.done():
        future.set_result(None)


class MemoryServer(asyncio.AbstractServer):
    """What `create_server` returns; waits for its connections as CPython 3.12 and later do."""

    def __init__(self, network: Network, factory: ProtocolFactory, addresses: Sequence[Address]) -> None:
        self._network = network
        self._factory = factory
        self.context: Final[Context] = copy_context()  # in which connections are accepted
        self._addresses = tuple(addresses)
        self._clients: dict[int, MemoryTransport] = {}
        self._closed = False
        self._waiters: list[asyncio.Future[None]] = []
        self._forever: asyncio.Future[None] | None = None

    @property
    def sockets(self) -> tuple[MemorySocket, ...]:
        """The listening addresses, empty when closed."""
        return () if self._closed else tuple(MemorySocket(address, None) for address in self._addresses)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the loop that it listens on."""
        return self._network.loop

    def is_serving(self) -> bool:
        """Return whether a dial finds it."""
        return self._network.listener(self._addresses[0]) is self

    async def start_serving(self) -> None:
        """Listen, if it does not yet."""
        if not self._closed:
            self._network.listen(self, self._addresses)

    async def serve_forever(self) -> None:
        """Listen until cancelled or closed."""
        await self.start_serving()
        self._forever = self._network.loop.create_future()
        try:
            await self._forever
        finally:
            self.close()
            await self.wait_closed()

    def accept(self, connection: Connection) -> None:
        """Give the server's end of `connection` a protocol of this server."""
        end = connection.server
        if end.is_closing():  # the connection was broken on purpose in this instant
            return
        self._clients[connection.number] = end
        end.attach(self._factory(), self.context.copy(), functools.partial(self._detach, connection.number))

    def close(self) -> None:
        """Stop listening; established connections live on."""
        if self._closed:
            return
        self._closed = True
        self._network.unlisten(self)
        if self._forever is not None and not self._forever.done():
            self._forever.cancel()
        self._wake()

    def close_clients(self) -> None:
        """Close every connection of this server."""
        for end in tuple(self._clients.values()):
            end.close()

    def abort_clients(self) -> None:
        """Abort every connection of this server."""
        for end in tuple(self._clients.values()):
            end.abort()

    async def wait_closed(self) -> None:
        """Wait until it is closed and its last connection is gone."""
        if not self._closed or self._clients:
            waiter = self._network.loop.create_future()
            self._waiters.append(waiter)
            await waiter

    def _detach(self, number: int) -> None:
        del self._clients[number]
        self._wake()

    def _wake(self) -> None:
        if self._closed and not self._clients:
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)


class Network:
    """The names, listeners and connections of one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, chance: random.Random) -> None:
        self.loop: Final = loop
        self._chance = chance
        self._hosts: dict[str, str] = {"localhost": LOOPBACK}
        self._listeners: dict[Address, MemoryServer] = {}
        self._connections: dict[int, Connection] = {}
        self._dials = 0
        self._next_server_port = _FIRST_SERVER_PORT

    def add_host(self, name: str, address: str) -> None:
        """Let `name` resolve to the IP literal `address`."""
        self._hosts[name] = str(ipaddress.ip_address(address))

    def resolve(self, host: str) -> str:
        """Return the IP literal that `host` is or stands for.

        Raises:
            socket.gaierror: the name is unknown.
        """
        if host in self._hosts:
            return self._hosts[host]
        try:
            return str(ipaddress.ip_address(host))
        except ValueError:
            raise socket.gaierror(
                socket.EAI_NONAME, f"{host} is not known on this loop; name it with add_host"
            ) from None

    def server(self, factory: ProtocolFactory, hosts: Sequence[str | None], port: int) -> MemoryServer:
        """Return a server for `hosts` that does not listen yet; port 0 takes the next free one."""
        number = port or self._free_port()
        return MemoryServer(self, factory, [(self.resolve(host or ANY_HOST), number) for host in hosts])

    def listen(self, server: MemoryServer, addresses: Sequence[Address]) -> None:
        """Let dials of `addresses` reach `server`.

        Raises:
            OSError: EADDRINUSE, another server listens there.
        """
        for address in addresses:
            if self._listeners.get(address, server) is not server:
                raise OSError(errno.EADDRINUSE, f"error while attempting to bind on address {address}: address in use")
        self._listeners.update(dict.fromkeys(addresses, server))

    def unlisten(self, server: MemoryServer) -> None:
        """Let dials no longer reach `server`."""
        self._listeners = {address: other for address, other in self._listeners.items() if other is not server}

    def listener(self, address: Address) -> MemoryServer | None:
        """Return who listens on `address`, by its own host or by any."""
        any_host = "::" if ":" in address[0] else ANY_HOST
        return self._listeners.get(address) or self._listeners.get((any_host, address[1]))

    def connections(self) -> tuple[Connection, ...]:
        """Return the live connections, oldest first."""
        return tuple(self._connections.values())

    def clear(self) -> None:
        """Forget listeners and connections; the loop is closed."""
        self._listeners.clear()
        self._connections.clear()

    async def dial(self, address: Address, latency: Latency) -> MemoryTransport:
        """Return the client's end of a new connection, without a protocol yet.

        Raises:
            ConnectionRefusedError: nobody listens on `address` when the dial arrives.
        """
        self._dials += 1
        number = self._dials
        seeds = self._chance.getrandbits(64), self._chance.getrandbits(64)
        handshake = random.Random(self._chance.getrandbits(64))
        await self._pass(latency.draw(handshake))
        server = self.listener(address)
        if server is None:
            await self._pass(latency.draw(handshake))
            raise ConnectionRefusedError(errno.ECONNREFUSED, f"Connect call failed {address}")
        client_host = "::1" if ":" in address[0] else LOOPBACK
        client = client_host, _FIRST_CLIENT_PORT + number % (65_536 - _FIRST_CLIENT_PORT)
        connection = Connection(self.loop, number, (client, address), latency, seeds=seeds, on_end=self._forget)
        self._connections[number] = connection
        self.loop.call_soon(server.accept, connection, context=server.context)
        dialled = False
        try:
            await self._pass(latency.draw(handshake))
            dialled = True
        finally:
            if not dialled:
                connection.client.abort()
        return connection.client

    async def _pass(self, seconds: float) -> None:
        passed = self.loop.create_future()
        timer = self.loop.call_later(seconds, set_unless_done, passed)
        try:
            await passed
        finally:
            timer.cancel()

    def _forget(self, number: int) -> None:
        self._connections.pop(number, None)

    def _free_port(self) -> int:
        while any(port == self._next_server_port for _, port in self._listeners):
            self._next_server_port += 1
        self._next_server_port += 1
        return self._next_server_port - 1
