"""The deterministic event loop: asyncio with virtual time and an in-memory network.

What lives here: the loop and `run`, the one entry. What must not: who listens where (see
`deterministic_network`), bytes under way (see `deterministic_transport`), anything about trading.

The same program with the same seed makes the same calls in the same order, under any
PYTHONHASHSEED and on any machine: time jumps to the next timer when nothing is ready,
latencies and the optional shuffle of tasks come from `random.Random(seed)`, executors run
inline, and tasks and futures hash by a number, so that sets of them (a `TaskGroup` has one)
iterate alike in every process. With `shuffle_tasks` neighbouring steps of different tasks change
places; plain callbacks never do, since the order of `call_soon` is documented.

Not under the seed, because the libraries ask the system themselves:
- websockets' frame masks, ping payloads and Sec-WebSocket-Key; they have a fixed length and reach
  no event. Its `async for connection in connect(...)` has a jitter of its own: reconnect by hand;
- aiohttp's `Date` header and access-log times;
- aiohttp's connection pool and DNS cache, which expire by real time: a run whose real duration
  exceeds them may dial again, so give `TCPConnector` a `keepalive_timeout` and `ttl_dns_cache`
  longer than any run, or dial IP literals;
- sets of connections, which iterate by address: aiohttp closing a session with requests under
  way, `connections` of websockets' server; keep an ordered registry to send to many;
- tasks that a library makes without asking the loop, as aiohttp's eager ones on CPython 3.12 and
  later: they run in order, but their default names count on from run to run, and those left over
  at the end are cancelled in any order;
- the garbage collector: leaving responses or asynchronous generators to it leaves their end to it.
aiohttp's connector opens a socket object before it dials; it is never bound or connected, and
closed as soon as the connection is made. Other threads cannot wake the loop; TLS, datagrams, Unix
sockets and processes do not exist here.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import math
import random
import socket
import weakref
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Iterator, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any, Final, TypeVar, TypeVarTuple

from polystra.domain.errors import InvariantViolation
from polystra.domain.units import NS_PER_S, Nanos
from polystra.runtime.deterministic_network import (
    ANY_HOST,
    LOOPBACK,
    MemoryServer,
    Network,
    ProtocolFactory,
    set_unless_done,
)
from polystra.runtime.deterministic_transport import Connection, Latency, MemoryTransport, family_of, sockaddr

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

DEFAULT_START_NS: Final[Nanos] = 1_767_225_600 * NS_PER_S  # 2026-01-01T00:00:00Z
DEFAULT_LATENCY: Final = Latency()

_CLOCK_RESOLUTION_S: Final = 1e-9
_NAMES_IN_A_DEADLOCK: Final = 8
_GC_THRESHOLDS: Final = (50_000, 20, 20)


class NumberedTask(asyncio.Task[T]):
    """A task that hashes by the order of its creation instead of by its address."""

    def __init__(
        self,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        *,
        number: int,
        loop: asyncio.AbstractEventLoop,
        **options: Any,  # noqa: ANN401 - they differ between versions
    ) -> None:
        self.number: Final = number
        super().__init__(coro, loop=loop, **options)

    def __hash__(self) -> int:
        return self.number


class NumberedFuture(asyncio.Future[T]):
    """A future that hashes by the order in which futures were first hashed, instead of by its address."""

    __slots__ = ("_number",)

    def __hash__(self) -> int:
        try:
            return self._number
        except AttributeError:
            loop = self.get_loop()
            assert isinstance(loop, DeterministicLoop)  # the only one who makes them
            self._number: int = loop.next_number()
            return self._number


class _Selector:
    """Where the loop would wait for the network: lets virtual time pass instead."""

    def __init__(self, loop: DeterministicLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> tuple[()]:
        """Advance the loop's time by `timeout` seconds."""
        if timeout != 0:
            self._loop.pass_time(timeout)
        return ()


class DeterministicLoop(asyncio.BaseEventLoop):
    """An asyncio loop whose time, network and chance follow from `seed`; see the module docstring.

    `time()` starts at zero and `start_ns` is the UTC moment that zero stands for.
    """

    def __init__(
        self,
        *,
        seed: int,
        start_ns: Nanos = DEFAULT_START_NS,
        latency: Latency = DEFAULT_LATENCY,
        shuffle_tasks: bool = False,
    ) -> None:
        super().__init__()
        self._ready: deque[asyncio.Handle]  # the base class made it
        self.start_ns: Final = start_ns
        self.latency = latency  # of connections yet to be made
        self.chance: Final = random.Random(seed)
        self._shuffle: Final = random.Random(self.chance.getrandbits(64)) if shuffle_tasks else None
        self._now = 0.0
        self._clock_resolution = _CLOCK_RESOLUTION_S
        self._selector = _Selector(self)
        self._task_count = 0
        self._future_count = 0
        self._network = Network(self, self.chance)
        self._dialled: weakref.WeakKeyDictionary[socket.socket, MemoryTransport] = weakref.WeakKeyDictionary()
        self._signals: dict[int, Callable[[], object]] = {}

    # --- time and order -------------------------------------------------------------------------

    def time(self) -> float:
        """Return the virtual seconds since the loop was made."""
        return self._now

    def pass_time(self, seconds: float | None) -> None:
        """Advance virtual time to the next timer.

        Raises:
            InvariantViolation: nothing is ready and no timer is set, so nothing can ever happen again.
        """
        if seconds is None:
            waiting = sorted(task.get_name() for task in asyncio.all_tasks(self))
            names = ", ".join(waiting[:_NAMES_IN_A_DEADLOCK])
            raise InvariantViolation(
                f"deadlock at virtual second {self._now:.6f}: {len(waiting)} tasks wait, nothing is ready and no timer "
                f"is set; the first are {names}; let what they wait for happen, or bound it with a timeout"
            )
        self._now += seconds
        self._clock_resolution = max(_CLOCK_RESOLUTION_S, math.ulp(self._now))

    def _process_events(self, event_list: object) -> None:
        """Shuffle what is ready, if asked to; there are no network events."""
        del event_list
        if self._shuffle is None or len(self._ready) < 2:
            return
        handles = list(self._ready)
        start = 0
        while start < len(handles):
            end = start
            while end < len(handles) and _is_task_step(handles[end]):
                end += 1
            if end - start > 1:
                run_of_steps = handles[start:end]
                self._shuffle.shuffle(run_of_steps)
                handles[start:end] = run_of_steps
            start = end + 1
        self._ready.clear()
        self._ready.extend(handles)

    def _write_to_self(self) -> None:
        """Nothing to wake: the loop never sleeps."""

    def create_task(
        self,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        *,
        name: object = None,
        **options: Any,  # noqa: ANN401 - they differ between versions
    ) -> NumberedTask[T]:
        """Return a task numbered in the order of creation, which also names it unless `name` does."""
        if self.is_closed():
            raise RuntimeError("Event loop is closed")
        self._task_count += 1
        number = self._task_count
        return NumberedTask(coro, number=number, loop=self, name=name or f"Task-{number}", **options)

    def create_future(self) -> NumberedFuture[Any]:
        """Return a future of this loop."""
        return NumberedFuture(loop=self)

    def next_number(self) -> int:
        """Return the number of a future that is hashed for the first time."""
        self._future_count += 1
        return self._future_count

    def run_in_executor(self, executor: object, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """Call `func` on this thread, in a task of its own; no executor is used."""
        del executor

        async def call() -> T:
            return func(*args)

        return self.create_task(call())

    # --- signals --------------------------------------------------------------------------------

    def add_signal_handler(self, sig: int, callback: Callable[[*Ts], object], *args: *Ts) -> None:
        """Remember the handler for `raise_signal`; the process's own signals are left alone."""
        self._signals[sig] = functools.partial(callback, *args)

    def remove_signal_handler(self, sig: int) -> bool:
        """Forget the handler and return whether there was one."""
        return self._signals.pop(sig, None) is not None

    def raise_signal(self, sig: int) -> bool:
        """Call the handler of `sig` soon, as if the process had been sent it; return whether there is one."""
        handler = self._signals.get(sig)
        if handler is not None:
            self.call_soon(handler)
        return handler is not None

    # --- the network ----------------------------------------------------------------------------

    def add_host(self, name: str, address: str) -> None:
        """Let `name` resolve to the IP literal `address`."""
        self._network.add_host(name, address)

    def connections(self) -> tuple[Connection, ...]:
        """Return the live connections, oldest first; each can be aborted, held or slowed."""
        return self._network.connections()

    async def getaddrinfo(  # type: ignore[override]  # the base class allows bytes
        self,
        host: str | None,
        port: str | int | None,
        *,
        family: int = 0,
        type: int = 0,  # noqa: A002 - asyncio's name
        proto: int = 0,
        flags: int = 0,
    ) -> list[tuple[Any, ...]]:
        """Resolve IP literals, `localhost` and the names given to `add_host`.

        Raises:
            socket.gaierror: the name is unknown or has no address of `family`.
        """
        del type, proto
        host = host or (ANY_HOST if flags & socket.AI_PASSIVE else LOOPBACK)
        address = self._network.resolve(host)
        if family not in {0, family_of(address)}:
            raise socket.gaierror(socket.EAI_NONAME, f"{host} has no address of the family asked for")
        where = sockaddr((address, int(port or 0)))
        return [(family_of(address), socket.SOCK_STREAM, socket.IPPROTO_TCP, "", where)]

    async def getnameinfo(self, sockaddr: tuple[Any, ...], flags: int = 0) -> tuple[str, str]:
        """Return the address and the port as text."""
        del flags
        return str(sockaddr[0]), str(sockaddr[1])

    async def create_server(  # type: ignore[override]  # the options for a kernel are not repeated
        self,
        protocol_factory: ProtocolFactory,
        host: str | Sequence[str] | None = None,
        port: int | None = None,
        *,
        ssl: object = None,
        sock: object = None,
        start_serving: bool = True,
        **kernel_options: object,
    ) -> MemoryServer:
        """Listen on `host` and `port` inside this loop; port 0 takes the next free one.

        Raises:
            OSError: EADDRINUSE, somebody listens there already.
            ValueError: `ssl` or `sock` was given.
        """
        del kernel_options
        _refuse_tls(ssl)
        if sock is not None:
            raise ValueError("sock was given, but the deterministic loop has its own network; give host and port")
        hosts = [host] if host is None or isinstance(host, str) else host
        server = self._network.server(protocol_factory, hosts, port or 0)
        if start_serving:
            await server.start_serving()
        return server

    async def create_connection(
        self,
        protocol_factory: ProtocolFactory,
        host: str | None = None,
        port: int | None = None,
        *,
        ssl: object = None,
        sock: socket.socket | None = None,
        **kernel_options: object,
    ) -> tuple[asyncio.Transport, Any]:
        """Dial `host` and `port`, or take over the `sock` that `sock_connect` dialled.

        Raises:
            OSError: nobody listens there, or the name is unknown.
            ValueError: `ssl` was given, or `sock` was not dialled on this loop.
        """
        del kernel_options
        _refuse_tls(ssl)
        if sock is None:
            end = await self._network.dial((self._network.resolve(host or LOOPBACK), int(port or 0)), self.latency)
        else:
            dialled = self._dialled.pop(sock, None)
            if dialled is None:
                raise ValueError(f"{sock!r} was not connected by sock_connect of this loop; dial it here")
            end = dialled
            sock.close()
        protocol = protocol_factory()
        end.attach(protocol, copy_context(), None)
        made = self.create_future()
        self.call_soon(set_unless_done, made)
        taken = False
        try:
            await made
            taken = True
        finally:
            if not taken:
                end.close()
        return end, protocol

    async def sock_connect(self, sock: socket.socket, address: tuple[Any, ...]) -> None:  # type: ignore[override]
        """Dial `address` for `sock`, which only stands for the connection until `create_connection` takes it.

        Raises:
            OSError: nobody listens there.
        """
        where = self._network.resolve(address[0]), int(address[1])
        self._dialled[sock] = await self._network.dial(where, self.latency)

    def close(self) -> None:
        """Forget everything that is scheduled, listening or connected."""
        super().close()
        for sock in list(self._dialled):
            sock.close()
        self._network.clear()


def _is_task_step(handle: asyncio.Handle) -> bool:
    callback = handle._callback  # type: ignore[attr-defined]  # noqa: SLF001 - no public way to know
    return isinstance(getattr(callback, "__self__", None), asyncio.Task) and (
        getattr(callback, "__name__", "") != "cancel"
    )


def _refuse_tls(ssl: object) -> None:
    if ssl:
        raise ValueError("ssl was given, but there is no TLS on the deterministic loop; use http and ws addresses")


def run(
    main: Coroutine[Any, Any, T],
    *,
    seed: int,
    start_ns: Nanos = DEFAULT_START_NS,
    latency: Latency = DEFAULT_LATENCY,
    shuffle_tasks: bool = False,
) -> T:
    """Run `main` on a deterministic loop of its own, cancel what is left over, and return its result.

    Args:
        main: the program.
        seed: of latencies and, with `shuffle_tasks`, of the order of tasks.
        start_ns: UTC nanoseconds at which virtual time starts.
        latency: one-way delay of connections, virtual seconds.
        shuffle_tasks: let neighbouring steps of different tasks change places.

    Raises:
        InvariantViolation: `main` waits for something that can never happen.
        RuntimeError: an event loop runs already on this thread.
    """

    def make_loop() -> DeterministicLoop:
        return DeterministicLoop(seed=seed, start_ns=start_ns, latency=latency, shuffle_tasks=shuffle_tasks)

    with _seldom_collected(), asyncio.Runner(loop_factory=make_loop) as runner:
        return runner.run(main)


@contextmanager
def _seldom_collected() -> Iterator[None]:
    """Let the garbage collector look seldom, and never at what was there before.

    A simulation makes almost no cycles and works at full load: the usual thresholds took an eighth of the
    CPU of a simulated day (measured: 15.0 against 13.1 s).
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
