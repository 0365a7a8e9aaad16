"""The deterministic loop carries aiohttp, websockets and asyncio streams, and replays a seed bit for bit."""

from __future__ import annotations

import asyncio
import contextvars
import io
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
import websockets
from aiohttp import web
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from polystra.domain.errors import InvariantViolation
from polystra.runtime.deterministic import DeterministicLoop, run
from polystra.runtime.deterministic_transport import Latency
from tests.simulation.network_program import events

ROOT = Path(__file__).resolve().parents[2]
URL = "http://127.0.0.1:8080/"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def the_loop() -> DeterministicLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, DeterministicLoop)
    return loop


async def started(handler: Handler, *, keepalive_timeout: float = 3600) -> web.AppRunner:
    app = web.Application(client_max_size=64 * 1024**2)
    app.router.add_route("*", "/", handler)
    runner = web.AppRunner(app, access_log=None, keepalive_timeout=keepalive_timeout)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 8080).start()
    return runner


async def answer(request: web.Request) -> web.Response:
    return web.json_response({"got": await request.json()})


# --- the seed decides -----------------------------------------------------------------------------


def test_same_seed_same_events_twice_in_one_process():
    first, second = events(7), events(7)
    assert first.lines == second.lines
    assert first.hash() == second.hash()
    assert sum(" reply 200 " in line for line in first.lines) == 10
    assert sum(" tick 19" in line for line in first.lines) == 4
    assert sum("ws client got" in line for line in first.lines) == 10
    assert first.lines[-1].endswith(" end")


def test_other_seed_other_latencies():
    assert events(7).hash() != events(8).hash()


@pytest.mark.parametrize("mode", [(), ("shuffle",)])
def test_same_seed_same_events_in_every_process(mode):
    hashes = set()
    for hash_seed in ("0", "1", "4711"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
        command = [sys.executable, "-m", "tests.simulation.network_program", "7", *mode]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
        hashes.add(done.stdout.strip())
    assert hashes == {events(7, shuffle_tasks=bool(mode)).hash()}


def test_shuffle_moves_task_steps_but_never_plain_callbacks():
    def order(seed: int, *, shuffle_tasks: bool) -> tuple[list[int], list[int]]:
        tasks: list[int] = []
        callbacks: list[int] = []

        async def step(number: int) -> None:
            tasks.append(number)

        async def main() -> None:
            loop = asyncio.get_running_loop()
            async with asyncio.TaskGroup() as group:
                for number in range(20):
                    group.create_task(step(number))
                for number in range(20):
                    loop.call_soon(callbacks.append, number)

        run(main(), seed=seed, shuffle_tasks=shuffle_tasks)
        return tasks, callbacks

    in_order = list(range(20))
    assert order(1, shuffle_tasks=False) == (in_order, in_order)
    tasks, callbacks = order(1, shuffle_tasks=True)
    assert tasks != in_order
    assert sorted(tasks) == in_order
    assert callbacks == in_order
    assert order(1, shuffle_tasks=True) == (tasks, callbacks)
    assert order(2, shuffle_tasks=True)[0] != tasks


def test_callbacks_between_task_steps_keep_their_place():
    seen: list[str] = []

    async def step(name: str) -> None:
        seen.append(name)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            for number in range(10):
                group.create_task(step(f"before{number}"))
            loop.call_soon(seen.append, "callback")
            for number in range(10):
                group.create_task(step(f"after{number}"))

    run(main(), seed=3, shuffle_tasks=True)
    at = seen.index("callback")
    assert {name[:6] for name in seen[:at]} == {"before"}
    assert {name[:5] for name in seen[at + 1 :]} == {"after"}


def test_sets_of_tasks_iterate_in_order_of_creation():
    async def main() -> list[str]:
        tasks = {asyncio.create_task(asyncio.sleep(1), name=f"t{number}") for number in range(50)}
        names = [task.get_name() for task in tasks]
        await asyncio.wait(tasks)
        return names

    assert run(main(), seed=1) == run(main(), seed=2)


# --- time -----------------------------------------------------------------------------------------


def test_two_virtual_hours_of_sleeping_tasks():
    async def tick(period: float) -> int:
        count = 0
        while asyncio.get_running_loop().time() < 7200:
            await asyncio.sleep(period)
            count += 1
        return count

    async def main() -> tuple[float, list[int]]:
        counts = await asyncio.gather(*(tick(period) for period in (1, 2.5, 60, 7200)))
        return asyncio.get_running_loop().time(), counts

    assert run(main(), seed=1) == (7200.0, [7200, 2880, 120, 1])


def test_timers_far_apart_and_late_in_time_fire():
    async def main() -> float:
        await asyncio.sleep(400 * 86_400)  # where a nanosecond is below the resolution of a float
        for _ in range(100):
            await asyncio.sleep(1e-9)
            await asyncio.sleep(0.1)
        return asyncio.get_running_loop().time()

    assert run(main(), seed=1) == pytest.approx(400 * 86_400 + 10, abs=1e-3)


def test_a_request_times_out_in_virtual_time():
    async def never(request: web.Request) -> web.Response:
        await asyncio.sleep(86_400)
        return web.Response()

    async def main() -> float:
        runner = await started(never)
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=4.5)) as session:
            with pytest.raises(TimeoutError):
                await session.get(URL)
        at = asyncio.get_running_loop().time()
        await runner.cleanup()
        return at

    assert run(main(), seed=1) == pytest.approx(4.5, abs=0.01)


def test_websocket_keepalive_notices_a_partition():
    async def main() -> float:
        async def listen(ws: ServerConnection) -> None:
            await ws.wait_closed()

        async with serve(listen, "127.0.0.1", 8081, ping_interval=None):
            async with connect("ws://127.0.0.1:8081", proxy=None, ping_interval=20, ping_timeout=10) as ws:
                for connection in the_loop().connections():
                    connection.hold()
                with pytest.raises(websockets.ConnectionClosedError):
                    await ws.recv()
                at = asyncio.get_running_loop().time()
            for connection in the_loop().connections():
                connection.abort()
        return at

    assert 30 <= run(main(), seed=1) < 50


def test_nothing_left_to_happen_is_an_error_not_a_hang():
    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.Event().wait(), name="waits-forever")

    with pytest.raises(InvariantViolation, match=r"deadlock at virtual second 0\.000000: 2 tasks wait.*waits-forever"):
        run(main(), seed=1)


def test_leftover_tasks_are_cancelled_in_order_and_the_loop_is_closed():
    ended: list[int] = []

    async def leftover(number: int) -> None:
        try:
            await asyncio.sleep(1e6)
        finally:
            ended.append(number)

    async def main() -> asyncio.AbstractEventLoop:
        loop = asyncio.get_running_loop()
        loop.kept = [loop.create_task(leftover(number)) for number in range(30)]  # type: ignore[attr-defined]
        await asyncio.sleep(1)
        return loop

    assert run(main(), seed=1).is_closed()
    assert ended == list(range(30))


# --- aiohttp --------------------------------------------------------------------------------------


def test_sequential_posts_share_a_connection_and_concurrent_ones_do_not():
    async def main() -> tuple[int, int, list[object]]:
        runner = await started(answer)
        async with aiohttp.ClientSession() as session:

            async def post(number: int) -> object:
                async with session.post(URL, json=number) as response:
                    return (await response.json())["got"]

            replies = [await post(number) for number in range(5)]
            sequential = len(the_loop().connections())
            replies += await asyncio.gather(*map(post, range(5, 13)))
            concurrent = len(the_loop().connections())
        await runner.cleanup()
        return sequential, concurrent, replies

    assert run(main(), seed=1) == (1, 8, list(range(13)))


def test_a_closed_server_ends_idle_connections_and_refuses_new_ones():
    async def main() -> int:
        runner = await started(answer)
        async with aiohttp.ClientSession() as session:
            async with session.post(URL, json=1) as response:
                assert response.status == 200
            await runner.cleanup()
            await asyncio.sleep(0.1)  # the end of the stream is under way
            with pytest.raises(aiohttp.ClientConnectorError, match="Connect call failed"):
                await session.post(URL, json=2)
            return len(the_loop().connections())

    assert run(main(), seed=1) == 0


def test_the_server_closes_a_kept_alive_connection_in_virtual_time():
    async def main() -> tuple[int, int]:
        runner = await started(answer, keepalive_timeout=30.0)
        async with aiohttp.ClientSession() as session:
            async with session.post(URL, json=1):
                pass
            await asyncio.sleep(20)
            before = len(the_loop().connections())
            await asyncio.sleep(20)
            after = len(the_loop().connections())
            async with session.post(URL, json=2) as response:
                assert response.status == 200
        await runner.cleanup()
        return before, after

    assert run(main(), seed=1) == (1, 0)


def test_nobody_listening_refuses_every_kind_of_client():
    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientConnectorError):
                await session.get(URL)
        with pytest.raises(ConnectionRefusedError):
            await connect("ws://127.0.0.1:9", proxy=None)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("::1", 9)
        assert asyncio.get_running_loop().time() > 0  # a refusal takes its way there and back

    run(main(), seed=1)


def test_a_broken_connection_fails_the_request_under_way():
    async def slow(request: web.Request) -> web.Response:
        await asyncio.sleep(10)
        return web.Response()

    async def main() -> int:
        runner = await started(slow)
        async with aiohttp.ClientSession() as session:

            def break_it() -> None:
                the_loop().connections()[0].abort()

            asyncio.get_running_loop().call_later(1, break_it)
            with pytest.raises(aiohttp.ClientOSError, match="reset by peer"):
                await session.post(URL, json=1)
        await asyncio.sleep(0)
        left = len(the_loop().connections())
        await runner.cleanup()
        return left

    assert run(main(), seed=1) == 0


def test_cancelling_a_request_closes_its_connection_and_the_next_one_works():
    async def work(request: web.Request) -> web.Response:
        await asyncio.sleep((await request.json())["seconds"])
        return web.Response(text="done")

    async def main() -> tuple[int, str]:
        runner = await started(work)
        async with aiohttp.ClientSession() as session:
            task = asyncio.create_task(session.post(URL, json={"seconds": 100}))
            await asyncio.sleep(1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.sleep(1)
            left = len(the_loop().connections())
            async with session.post(URL, json={"seconds": 0}) as response:
                text = await response.text()
        await runner.cleanup()
        return left, text

    assert run(main(), seed=1) == (0, "done")


def test_a_connection_broken_while_it_is_dialled_fails_the_dial():
    async def main() -> int:
        runner = await started(answer)

        def break_it() -> None:
            (connection,) = the_loop().connections()
            connection.abort()

        asyncio.get_running_loop().call_later(0.0015, break_it)  # accepted, and not yet known to be
        with pytest.raises(ConnectionResetError):
            await asyncio.open_connection("127.0.0.1", 8080)
        await runner.cleanup()
        return len(the_loop().connections())

    assert run(main(), seed=1, latency=Latency(0.001, 0.001)) == 0


@pytest.mark.parametrize("after_s", [0.0, 0.0005, 0.0015, 0.002, 0.003])
def test_cancelling_a_dial_leaves_no_connection(after_s):
    async def main() -> int:
        runner = await started(answer)
        async with aiohttp.ClientSession() as session:
            task = asyncio.create_task(session.post(URL, json=1))
            await asyncio.sleep(after_s)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await asyncio.sleep(1)
        left = len(the_loop().connections())
        await runner.cleanup()
        return left

    assert run(main(), seed=1, latency=Latency(0.001, 0.001)) == 0


def test_cancelling_between_dial_and_use_leaves_no_connection():
    class Regretted(asyncio.Protocol):
        def __init__(self) -> None:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()

    async def main() -> int:
        loop = asyncio.get_running_loop()
        async with await loop.create_server(asyncio.Protocol, "127.0.0.1", 9000):
            with pytest.raises(asyncio.CancelledError):
                await asyncio.create_task(loop.create_connection(Regretted, "127.0.0.1", 9000))
            await asyncio.sleep(1)
            return len(the_loop().connections())

    assert run(main(), seed=1) == 0


def test_megabytes_pass_both_ways_unchanged():
    payload = bytes(range(256)) * 20_000  # 5 MB

    async def mirror(request: web.Request) -> web.Response:
        return web.Response(body=(await request.read())[::-1])

    async def main() -> bytes:
        runner = await started(mirror)
        async with aiohttp.ClientSession() as session, session.post(URL, data=io.BytesIO(payload)) as response:
            body = await response.read()
        await runner.cleanup()
        return body

    assert run(main(), seed=1) == payload[::-1]


# --- websockets -----------------------------------------------------------------------------------


def test_a_slow_reader_of_large_messages_gets_all_of_them_and_slows_the_sender():
    message = os.urandom(1_000_000)
    sent_at: list[float] = []

    async def send(ws: ServerConnection) -> None:
        for _ in range(6):
            await ws.send(message)
            sent_at.append(asyncio.get_running_loop().time())

    async def main() -> list[bool]:
        got: list[bool] = []
        async with (
            serve(send, "127.0.0.1", 8081, compression=None),
            connect("ws://127.0.0.1:8081", proxy=None, compression=None, max_queue=1, ping_interval=None) as ws,
        ):
            async for data in ws:
                got.append(data == message)
                await asyncio.sleep(1)
        return got

    assert run(main(), seed=1) == [True] * 6
    assert sent_at[-1] > 2


def test_a_broken_websocket_is_told_to_both_ends():
    ends: list[str] = []

    async def listen(ws: ServerConnection) -> None:
        with pytest.raises(websockets.ConnectionClosedError):
            await ws.recv()
        ends.append("server")

    async def main() -> None:
        async with serve(listen, "127.0.0.1", 8081), connect("ws://127.0.0.1:8081", proxy=None) as ws:
            the_loop().connections()[0].abort()
            with pytest.raises(websockets.ConnectionClosedError):
                await ws.recv()
            ends.append("client")

    run(main(), seed=1)
    assert sorted(ends) == ["client", "server"]


def test_an_aborted_transport_ends_the_stream_of_the_other_end():
    async def main() -> tuple[str, int | None]:
        async def leave(ws: ServerConnection) -> None:
            await ws.send("last words")
            ws.transport.abort()

        async with serve(leave, "127.0.0.1", 8081), connect("ws://127.0.0.1:8081", proxy=None) as ws:
            words = await ws.recv()
            with pytest.raises(websockets.ConnectionClosedError):
                await ws.recv()
            return str(words), ws.close_code

    assert run(main(), seed=1) == ("last words", 1006)


def test_what_was_held_back_arrives_in_order_after_release():
    async def main() -> tuple[float, list[object]]:
        async def count(ws: ServerConnection) -> None:
            for number in range(5):
                await asyncio.sleep(1)
                await ws.send(str(number))

        async with serve(count, "127.0.0.1", 8081), connect("ws://127.0.0.1:8081", proxy=None) as ws:
            (connection,) = the_loop().connections()
            connection.hold()
            asyncio.get_running_loop().call_later(10, connection.release)
            got: list[object] = [await ws.recv()]
            at = asyncio.get_running_loop().time()
            got.extend([message async for message in ws])
        return at, got

    at, got = run(main(), seed=1)
    assert at == pytest.approx(10, abs=0.1)
    assert got == ["0", "1", "2", "3", "4"]


# --- plain streams --------------------------------------------------------------------------------


def test_a_half_closed_stream_can_still_be_answered():
    async def main() -> bytes:
        async def upper(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write((await reader.read()).upper())
            writer.close()
            await writer.wait_closed()

        async with await asyncio.start_server(upper, "127.0.0.1", 9000):
            reader, writer = await asyncio.open_connection("127.0.0.1", 9000)
            writer.writelines([b"half ", b"closed"])
            writer.write_eof()
            answer = await reader.read()
            writer.close()
            await writer.wait_closed()
            return answer

    assert run(main(), seed=1) == b"HALF CLOSED"


def test_drain_waits_for_the_reader():
    async def main() -> tuple[float, int]:
        size = 3_000_000
        taken = asyncio.get_running_loop().create_future()

        async def read_late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(5)
            taken.set_result(len(await reader.readexactly(size)))
            writer.close()

        async with await asyncio.start_server(read_late, "127.0.0.1", 9000):
            _, writer = await asyncio.open_connection("127.0.0.1", 9000)
            writer.write(bytes(size))
            await writer.drain()
            drained_at = asyncio.get_running_loop().time()
            got = await taken
            writer.close()
            await writer.wait_closed()
            return drained_at, got

    drained_at, got = run(main(), seed=1)
    assert drained_at > 5
    assert got == 3_000_000


def test_writing_to_an_end_that_is_gone_resets_the_connection():
    async def main() -> None:
        async def leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()
            await writer.wait_closed()

        async with await asyncio.start_server(leave, "127.0.0.1", 9000):
            reader, writer = await asyncio.open_connection("127.0.0.1", 9000)
            assert await reader.read() == b""
            writer.write(b"anybody there?")
            await asyncio.sleep(1)
            with pytest.raises(ConnectionResetError):
                await writer.drain()
            writer.close()

    run(main(), seed=1)


def test_an_error_in_a_protocol_is_reported_and_ends_its_connection():
    class Broken(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            raise LookupError("cannot read this")

    async def main() -> tuple[bytes, list[object]]:
        loop = asyncio.get_running_loop()
        reported: list[object] = []
        loop.set_exception_handler(lambda _, context: reported.append(str(context["exception"])))
        async with await loop.create_server(Broken, "127.0.0.1", 9000):
            reader, writer = await asyncio.open_connection("127.0.0.1", 9000)
            writer.write(b"x")
            rest = await reader.read()
            writer.close()
            await writer.wait_closed()
        return rest, reported

    assert run(main(), seed=1) == (b"", ["cannot read this"])


def test_the_receiver_does_not_see_the_senders_context():
    who: contextvars.ContextVar[str] = contextvars.ContextVar("who", default="nobody")
    seen: list[str] = []

    class Note(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            seen.append(who.get())

        def data_received(self, data: bytes) -> None:
            seen.append(who.get())

    async def main() -> None:
        loop = asyncio.get_running_loop()
        who.set("server")
        await loop.create_server(Note, "127.0.0.1", 9000)
        who.set("client")
        transport, _ = await loop.create_connection(asyncio.Protocol, "127.0.0.1", 9000)
        who.set("sender")
        transport.write(b"x")
        await asyncio.sleep(1)

    run(main(), seed=1)
    assert seen == ["server", "server"]


# --- the rest of a loop ---------------------------------------------------------------------------


def test_no_socket_is_bound_or_connected(monkeypatch):
    def forbidden(*args: object) -> None:
        raise AssertionError("the operating system's network was used")

    for name in ("bind", "connect", "connect_ex", "listen", "send", "recv"):
        monkeypatch.setattr(socket.socket, name, forbidden, raising=False)
    monkeypatch.setattr(socket, "getaddrinfo", forbidden)
    assert events(1).lines[-1].endswith(" end")


def test_executors_run_inline_and_pass_errors_on():
    async def main() -> tuple[int, str]:
        total = await asyncio.get_running_loop().run_in_executor(None, sum, (1, 2, 3))
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 // 0)
        return total, await asyncio.to_thread(str, 5)

    assert run(main(), seed=1) == (6, "5")


def test_names_resolve_without_a_network():
    async def main() -> list[object]:
        loop = the_loop()
        loop.add_host("clob.example", "10.0.0.7")
        runner = web.AppRunner(web.Application(), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "10.0.0.7", 80).start()
        async with aiohttp.ClientSession() as session:
            async with session.get("http://clob.example/") as response:
                status = response.status
            with pytest.raises(aiohttp.ClientConnectorDNSError):
                await session.get("http://unknown.example/")
        await runner.cleanup()
        with pytest.raises(socket.gaierror):
            await loop.getaddrinfo("127.0.0.1", 1, family=socket.AF_INET6)
        return [status, (await loop.getaddrinfo("::1", 5))[0][4]]

    assert run(main(), seed=1) == [404, ("::1", 5, 0, 0)]


def test_ports_are_given_out_and_taken_only_once():
    async def main() -> tuple[int, int]:
        loop = asyncio.get_running_loop()
        async with (
            await loop.create_server(asyncio.Protocol, "127.0.0.1", 0) as first,
            await loop.create_server(asyncio.Protocol, "127.0.0.1", 0) as second,
        ):
            ports = first.sockets[0].getsockname()[1], second.sockets[0].getsockname()[1]
            with pytest.raises(OSError, match="in use"):
                await loop.create_server(asyncio.Protocol, "127.0.0.1", ports[0])
        await loop.create_server(asyncio.Protocol, "127.0.0.1", ports[0])
        return ports

    first, second = run(main(), seed=1)
    assert first != second


def test_signal_handlers_are_called_by_hand():
    async def main() -> list[str]:
        loop = the_loop()
        got: list[str] = []
        loop.add_signal_handler(signal.SIGTERM, got.append, "term")
        assert loop.raise_signal(signal.SIGTERM)
        assert not loop.raise_signal(signal.SIGINT)
        await asyncio.sleep(0)
        assert loop.remove_signal_handler(signal.SIGTERM)
        assert not loop.remove_signal_handler(signal.SIGTERM)
        return got

    assert run(main(), seed=1) == ["term"]


def test_tls_is_refused_in_words():
    async def main() -> None:
        with pytest.raises(ValueError, match="no TLS"):
            await asyncio.open_connection("127.0.0.1", 443, ssl=True)

    run(main(), seed=1)


def test_latency_bounds_are_checked():
    with pytest.raises(ValueError, match="low_s <= high_s"):
        Latency(0.2, 0.1)
