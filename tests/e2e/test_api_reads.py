"""What the control API answers while the daemon trades: status, positions, orders, probes, the stream."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from pathlib import Path

import pytest

from tests.chaos.processes import Process
from tests.e2e.api_daemon import ApiDaemon, running_api


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiDaemon]:
    with running_api(tmp_path_factory.mktemp("api")) as running:
        running.process.wait_for("fill.booked")
        yield running


def test_somebody_is_there(daemon: ApiDaemon) -> None:
    assert daemon.read("/ping")["status"] == "pong"
    assert daemon.ask("GET", "/livez").json == {"ok": True, "problems": []}
    page = daemon.ask("GET", "/")
    assert page.status == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_the_address_stands_in_a_file_of_the_owner_alone(daemon: ApiDaemon) -> None:
    path = daemon.folder / "api-sim.json"
    assert json.loads(path.read_text())["url"] == daemon.url
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_status_adds_up(daemon: ApiDaemon) -> None:
    told = daemon.read("/snapshot")
    status = told["status"]
    assert status["mode"] == "sim"
    assert status["running"] is True
    assert status["venue_mode"] == "NORMAL"
    values = [Decimal(line["value"]) for line in told["positions"]]
    whole = Decimal(status["cash"]) + Decimal(status["claims"]) + sum(values, Decimal(0))
    assert whole == Decimal(status["equity"])
    assert status["open_orders"] == len(told["orders"])
    assert {line["name"] for line in status["limits"]} >= {"at risk", "lost today", "positions"}


def test_readiness_names_nothing_when_all_is_well(daemon: ApiDaemon) -> None:
    answer = daemon.ask("GET", "/readyz")
    assert (answer.status, answer.json) == (200, {"ok": True, "problems": []})


def test_positions_are_those_of_the_snapshot(daemon: ApiDaemon) -> None:
    held = daemon.read("/positions")
    assert held["next_before"] is None
    for line in held["items"]:
        assert line["opened_at"].endswith("Z")
        assert line["resolves_in_s"] is None or line["resolves_in_s"] < 900


def test_orders_come_newest_first_page_by_page(daemon: ApiDaemon) -> None:
    first = daemon.read("/orders?limit=1")
    assert len(first["items"]) == 1
    every = daemon.read("/orders?limit=500")["items"]
    numbers = [line["client_order_id"] for line in every]
    assert numbers == sorted(numbers, reverse=True)
    if first["next_before"] is not None:
        second = daemon.read(f"/orders?limit=1&before={first['next_before']}")
        assert all(line["client_order_id"] < first["items"][0]["client_order_id"] for line in second["items"])
    for line in daemon.read("/orders?open=true")["items"]:
        assert line["status"] in ("LIVE", "PENDING", "DELAYED", "MATCHED")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/orders?limit=0", "limit is '0', expected a number of items from 1 to 500"),
        ("/orders?limit=501", "limit is '501'"),
        ("/orders?limit=ten", "limit is 'ten'"),
        ("/orders?limit=", "limit is ''"),
        ("/orders?limit=1&limit=2", "limit is given more than once"),
        ("/orders?open=maybe", "open is 'maybe'"),
        ("/orders?before=x", "before is not what a page gave"),
        ("/orders?before=99999999999999999999", "before is not what a page gave"),
        ("/orders?nonsense=1", "'nonsense' is no parameter of this request"),
        ("/status?a=1", "it takes none"),
    ],
)
def test_a_wrong_parameter_is_named_in_one_sentence(daemon: ApiDaemon, path: str, words: str) -> None:
    answer = daemon.get(path)
    assert answer.status == 400
    assert words in answer.error


def test_what_is_not_there_is_said_so(daemon: ApiDaemon) -> None:
    assert daemon.get("/nothing").status == 404
    assert "openapi.json" in daemon.get("/nothing").error
    answer = daemon.ask("DELETE", "/api/v1/status")
    assert answer.status == 405
    assert "GET" in answer.error


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "[", ""])
def test_a_name_that_is_not_ours_is_refused(daemon: ApiDaemon, host: str) -> None:
    for path in ("/ping", "/events", "/status"):
        answer = daemon.get(path, Host=host)
        assert answer.status in (400, 403), answer.body


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1:1"])
def test_another_page_reads_nothing(daemon: ApiDaemon, origin: str) -> None:
    answer = daemon.get("/status", Origin=origin)
    assert answer.status == 403
    assert "another page" in answer.error


def test_the_stream_tells_looks_facts_and_lines(daemon: ApiDaemon) -> None:
    seen: dict[str, list[object]] = {}
    numbers = []
    for kind, told in islice(daemon.events(), 2_000):
        seen.setdefault(kind, []).append(told)
        if kind == "snapshot":
            numbers.append(told["status"]["number"])
        if len(numbers) >= 3 and {"snapshot", "fact", "log"} <= set(seen):
            break
    assert numbers == sorted(set(numbers))
    assert {"at", "event", "level", "text", "fields"} == set(seen["fact"][0])  # type: ignore[call-overload]
    kinds = {kind for kind, _ in islice(daemon.events("/api/v1/events?only=snapshot"), 2)}
    assert kinds == {"snapshot"}


def test_a_busy_port_stops_nothing(daemon: ApiDaemon, tmp_path: Path) -> None:
    port = daemon.url.rsplit(":", 1)[1]
    other = Process(tmp_path, "run", "--seed", "4", "--markets", "1", "--speed", "60", "--no-plot", API_PORT=port)
    try:
        told = other.wait_for("api.unavailable")
        assert told["level"] == "warning"
        assert "API_PORT" in told["remedy"]
        other.wait_for("reconcile.completed")
    finally:
        other.kill()
