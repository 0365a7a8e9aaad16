"""A real daemon with its control API, as a process, and the requests that tests put to it."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.chaos.processes import Process

TOKEN = "a-token-of-the-tests-0123456789"
DEADLINE_S = 60.0


@dataclass(frozen=True)
class Answer:
    """A reply; `json` is its body where that is JSON."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The one sentence of a refusal."""
        told = self.json
        assert set(told) == {"error"}, told
        sentence = told["error"]
        assert "\n" not in sentence
        assert sentence
        return str(sentence)


@dataclass(frozen=True)
class ApiDaemon:
    """Where it is."""

    process: Process
    url: str
    folder: Path

    def ask(
        self, method: str, path: str, body: object = None, *, headers: dict[str, str] | None = None, token: str = ""
    ) -> Answer:
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=DEADLINE_S)
        sent = dict(headers or {})
        data = None
        if method == "POST" and "Content-Type" not in sent:
            sent["Content-Type"] = "application/json"
        if token:
            sent["Authorization"] = f"Bearer {token}"
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
        try:
            connection.request(method, path, body=data, headers=sent)
            reply = connection.getresponse()
            return Answer(reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", f"/api/v1{path}", headers=headers)

    def read(self, path: str) -> Any:
        answer = self.get(path)
        assert answer.status == 200, answer.body
        return answer.json

    def act(self, path: str, body: object = None) -> Answer:
        return self.ask("POST", f"/api/v1{path}", body if body is not None else {}, token=TOKEN)

    def events(self, path: str = "/api/v1/events") -> Iterator[tuple[str, Any]]:
        """Server-sent events, one after the other."""
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=DEADLINE_S)
        connection.request("GET", path)
        reply = connection.getresponse()
        assert reply.status == 200
        assert reply.getheader("content-type", "").startswith("text/event-stream")
        try:
            kind = ""
            while line := reply.readline():
                text = line.decode().rstrip("\n")
                if text.startswith("event: "):
                    kind = text.removeprefix("event: ")
                elif text.startswith("data: "):
                    yield kind, json.loads(text.removeprefix("data: "))
        finally:
            connection.close()


@contextmanager
def running_api(folder: Path, *, speed: str = "20", seed: str = "3", **environment: str) -> Iterator[ApiDaemon]:
    """A simulated daemon, once its API serves and its books agree."""
    env = {"API_TOKEN": TOKEN, "FORCE_ENTRY_ENABLE": "YES"} | environment
    process = Process(folder, "run", "--seed", seed, "--speed", speed, **env)
    try:
        url = process.wait_for("api.started")["url"]
        process.wait_for("reconcile.completed")
        daemon = ApiDaemon(process, url, folder)
        for _, told in daemon.events("/api/v1/events?only=snapshot"):
            if told["status"]["reconciled_at"] is not None:
                break
        yield daemon
        if process.popen.poll() is None:
            process.popen.terminate()
            assert process.finish() == 0, process.errors()
    finally:
        if process.popen.poll() is None:
            process.kill()
