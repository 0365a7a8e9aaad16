"""Real processes for the kill tests: an exchange, daemons, and a proxy between them that can go bad."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

REPO = Path(__file__).resolve().parents[2]
MAIN = "from polystra.app.cli import main; main()"
DEADLINE_S = 120.0
SPEED = "30"


class Process:
    """A polystra command; its lines of stdout arrive in a queue."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        self.stderr = folder / f"{arguments[0]}-{time.monotonic_ns()}.err"
        env = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(REPO / "src"),
            "DATA_DIR": str(folder),
            "WINDOWS": "5m",
            "LOG_FORMAT": "json",
            "POLYSTRA_ENV_FILE": str(folder / "no.env"),
            "MAX_CRASHES": "0",
            "API_PORT": "0",
        } | environment
        with self.stderr.open("wb") as errors:
            self.popen = subprocess.Popen(
                [sys.executable, "-c", MAIN, *arguments], env=env, cwd=folder, stdout=subprocess.PIPE, stderr=errors
            )
        self.lines: list[str] = []
        self._queue: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.popen.stdout is not None
        with self.popen.stdout as out:
            for line in out:
                self._queue.put(line.decode())
        self._queue.put(None)

    def next_line(self, deadline: float) -> str | None:
        line = self._queue.get(timeout=max(0.01, deadline - time.monotonic()))
        if line is not None:
            self.lines.append(line)
        return line

    def wait_for(self, event: str) -> dict[str, Any]:
        """The next log line of that name."""
        deadline = time.monotonic() + DEADLINE_S
        while (line := self.next_line(deadline)) is not None:
            told: dict[str, Any] = json.loads(line)
            if told.get("event") == event:
                return told
        raise AssertionError(f"ended without {event}: {self.errors()}")

    def wait_for_line(self) -> None:
        """One more line of the log; raises AssertionError when the process ends instead."""
        assert self.next_line(time.monotonic() + DEADLINE_S) is not None, f"ended: {self.errors()}"

    def finish(self) -> int:
        """Wait for the end; every line is in `lines` then."""
        deadline = time.monotonic() + DEADLINE_S
        while self.next_line(deadline) is not None:
            pass
        self._reader.join(DEADLINE_S)
        return self.popen.wait(DEADLINE_S)

    def kill(self) -> None:
        """End it as the kernel does: no handler runs."""
        self.popen.kill()
        self.finish()

    def errors(self) -> str:
        return self.stderr.read_text()


class Exchange:
    """`polystra exchange` on a free port."""

    def __init__(self, folder: Path, *, seed: int, speed: str = SPEED, **environment: str) -> None:
        arguments = ("exchange", "--port", "0", "--speed", speed, "--seed", str(seed))
        self.process = Process(folder, *arguments, **environment)
        line = self.process.next_line(time.monotonic() + DEADLINE_S)
        assert line is not None, self.process.errors()
        self.urls: dict[str, str] = json.loads(line)
        self.port = int(self.urls["clob_url"].rsplit(":", 1)[1])

    def books(self) -> dict[str, Any]:
        with urllib.request.urlopen(self.urls["control_url"] + "/books", timeout=DEADLINE_S) as reply:
            told: dict[str, Any] = json.load(reply)
        return told

    def account(self) -> dict[str, Any]:
        """The daemon's account: the only one that is not the house's."""
        [account] = [account for account in self.books()["accounts"].values() if not account["house"]]
        found: dict[str, Any] = account
        return found

    def close(self) -> None:
        if self.process.popen.poll() is None:
            request = urllib.request.Request(self.urls["control_url"] + "/shutdown", method="POST")
            urllib.request.urlopen(request, timeout=DEADLINE_S).close()
        assert self.process.finish() == 0, self.process.errors()


class Proxy:
    """Forwards TCP to the exchange until a rule says to keep something back; `struck` is set at that moment.

    Rules: `swallow` keeps a POST /order from the exchange, `mute` its reply from the daemon,
    `deafen` every message of the user stream from the first trade on.
    """

    def __init__(self, port: int, rule: str) -> None:
        self._target = port
        self._rule = rule
        self.struck = threading.Event()
        self._closing = threading.Event()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._start(self._accept)

    def _start(self, target: Any, *arguments: Any) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._target))
            self._sockets += [near, far]
            pipe = _Pipe(near, far, self._rule, self.struck)
            self._start(pipe.upstream)
            self._start(pipe.downstream)

    def close(self) -> None:
        self._closing.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(DEADLINE_S)
        for each in self._sockets:
            each.close()


class _Pipe:
    """One connection. What is kept back stays back: the connection looks alive and silent."""

    def __init__(self, near: socket.socket, far: socket.socket, rule: str, struck: threading.Event) -> None:
        self._near, self._far, self._rule, self._struck = near, far, rule, struck
        self._ordering = False
        self._is_user_stream = False
        self._silent = False

    def upstream(self) -> None:
        for data in _chunks(self._near):
            if data.startswith(b"POST /order "):
                self._ordering = True
                if self._rule == "swallow" or self._silent:
                    self._silent = True
                    self._struck.set()
            if data.startswith(b"GET /ws/user "):
                self._is_user_stream = True
            if not self._silent:
                self._send(self._far, re.sub(rb"(?i)Sec-WebSocket-Extensions:[^\r]*\r\n", b"", data))
        with contextlib.suppress(OSError):
            self._far.shutdown(socket.SHUT_WR)

    def downstream(self) -> None:
        for data in _chunks(self._far):
            is_reply = self._rule == "mute" and self._ordering
            is_news = self._rule == "deafen" and self._is_user_stream and b'"trade"' in data
            if is_reply or is_news:
                self._silent = True
                self._struck.set()
            if not self._silent:
                self._send(self._near, data)
        with contextlib.suppress(OSError):
            self._near.shutdown(socket.SHUT_WR)

    def _send(self, target: socket.socket, data: bytes) -> None:
        with contextlib.suppress(OSError):
            target.sendall(data)


def _chunks(source: socket.socket) -> Iterator[bytes]:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            yield data
