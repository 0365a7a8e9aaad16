"""The audit of a daemon that traded at an exchange that lost replies: nothing is missing, every word is right."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from typer.testing import CliRunner, Result

from polystra.app.cli import app
from polystra.app.sessions import RunOptions, run_session
from polystra.app.settings import known_names, load_settings
from polystra.exchange.faults.desk import FaultDesk

SCENARIO = Path(__file__).resolve().parents[2] / "docs" / "scenarios" / "bad-day.yaml"
SECRET_HEADERS = ("POLY_SIGNATURE", "POLY_API_KEY", "POLY_PASSPHRASE")
USAGE = 2


@dataclass
class World:
    """A folder in which markets were traded, and what the exchange was sent: (method, path, status or None)."""

    folder: Path
    received: list[tuple[str, str, int | None]] = field(default_factory=list)
    secrets: set[str] = field(default_factory=set)

    @property
    def commands(self) -> Counter[tuple[str, str, int | None]]:
        return Counter(seen for seen in self.received if seen[0] != "GET")

    def note(self, install: Any) -> Any:
        """Put a reader of all requests in front of the exchange, outside its faults."""

        @web.middleware
        async def reader(request: web.Request, handler: Handler) -> web.StreamResponse:
            body = await request.read()
            response = await handler(request)
            unanswered = request.transport is None or request.transport.is_closing()
            self.received.append((request.method, request.path_qs, None if unanswered else response.status))
            self.secrets.update(request.headers[name] for name in SECRET_HEADERS if name in request.headers)
            if request.method == "POST" and request.path in ("/order", "/orders"):
                told = json.loads(body)
                for leg in told if isinstance(told, list) else [told]:
                    self.secrets.update((leg["order"]["signature"], str(leg["order"]["salt"]), leg["owner"]))
            return response

        def installed(desk: FaultDesk, application: web.Application) -> None:
            install(desk, application)
            application.middlewares.insert(0, reader)

        return installed


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = World(tmp_path_factory.mktemp("audited"))
    quiet = {"LOG_LEVEL": "ERROR", "LOG_FORMAT": "json"}
    told = {"WINDOWS": "5m", "DATA_DIR": str(made.folder), "FUSION": "additive", **quiet}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FaultDesk, "install", made.note(FaultDesk.install))
        run_session(load_settings(told, None), RunOptions(seed=7, markets=3, scenario=SCENARIO, speed=None))
    structlog.reset_defaults()
    return made


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in known_names():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def polystra(world: World, *arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, env={"DATA_DIR": str(world.folder)})


def told(world: World, *arguments: str) -> Any:
    result = polystra(world, *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def calls(world: World) -> list[dict[str, Any]]:
    """All requests, oldest first."""
    found: list[dict[str, Any]] = told(world, "audit", "--limit", "10000", "--routine")
    return found[::-1]


def ask(world: World, question: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(world.folder / "polystra-sim.db")
    rows = connection.execute(question).fetchall()
    connection.close()
    return rows


def lost_orders(world: World) -> list[str]:
    """Our ids of the orders whose POST was not answered."""
    return [
        leg["client_order_id"]
        for call in calls(world)
        if call["method"] == "POST" and call["path"].startswith("/order") and call["status"] is None
        for leg in call["orders"]
    ]


def test_every_command_that_the_exchange_received_is_kept_with_its_status(world: World):
    kept = Counter((call["method"], call["path"], call["status"]) for call in calls(world) if call["method"] != "GET")
    assert kept == world.commands
    assert kept[("POST", "/order", 200)] > 0
    assert kept[("POST", "/order", None)] > 0
    assert kept[("DELETE", "/order", 200)] > 0


def test_every_command_about_orders_names_them_with_an_outcome(world: World):
    for call in calls(world):
        if call["path"] in ("/order", "/orders"):
            assert call["legs"] == len(call["orders"]) > 0
            assert all(leg["client_order_id"] and leg["outcome"] for leg in call["orders"])
            assert (call["status"] is None) is (call["outcome"] == "in doubt") or call["status"] >= 400
        assert float(call["latency_ms"]) > 0


def test_every_signed_order_was_sent_and_the_words_fit_its_events(world: World):
    sent = {leg["client_order_id"] for call in calls(world) if call["method"] == "POST" for leg in call["orders"]}
    assert sent == {row[0] for row in ask(world, "SELECT client_order_id FROM order_intents")}
    rejected = {row[0] for row in ask(world, "SELECT client_order_id FROM orders WHERE status = 'REJECTED'")}
    said_no = {
        leg["client_order_id"]
        for call in calls(world)
        for leg in call["orders"]
        if leg["outcome"].startswith(("refused", "killed", "not sent"))
    }
    assert rejected <= said_no


def test_a_lost_reply_is_in_doubt_and_then_looked_up(world: World):
    lives = [told(world, "audit", "--order", order_id) for order_id in lost_orders(world)]
    looked_up = 0
    for life in lives:
        requests = [(request["method"], request["status"], request["outcome_here"]) for request in life["requests"]]
        after = requests[requests.index(("POST", None, "in doubt")) + 1 :]
        assert life["state"] not in ("SUBMITTED", "IN_DOUBT")
        if "OUTCOME_UNKNOWN" in [event["event"] for event in life["events"]]:  # else its stream told the fate before
            looked_up += 1
            assert "GET" in [method for method, _, _ in after]
    assert looked_up > 0


def test_no_secret_is_in_the_audit(world: World):
    kept = [str(row) for row in ask(world, "SELECT path, request, reply, outcome FROM api_calls")]
    assert len(world.secrets) > 10
    assert not [secret for secret in world.secrets for row in kept if secret in row]


def test_only_what_went_wrong(world: World):
    failed = told(world, "audit", "--failed", "--limit", "10000")
    assert 0 < len(failed) < len(calls(world))
    assert {call["outcome"] for call in failed}.isdisjoint({"live", "matched", "ok", "canceled", "found", "absent"})


def test_the_life_of_an_entry_on_one_screen(world: World):
    [(order_id, venue_id)] = ask(
        world,
        "SELECT o.client_order_id, o.order_id FROM orders o JOIN fills f USING (client_order_id) "
        "WHERE purpose = 'ENTRY' AND f.status = 'CONFIRMED' ORDER BY number LIMIT 1",
    )
    life = told(world, "audit", "--order", order_id)
    assert life["order_id"] == venue_id
    assert life["decision"]["action"] == "ENTER"
    assert life["decision"]["edge"] > 0
    assert set(life["decision"]["additive"]) == set(life["decision"]["bayesian"]) == {"bias", "confidence"}
    assert life["intent"]["rule"] == "entry"
    assert life["prices"]["planned"]
    assert float(life["prices"]["slippage"]) == pytest.approx(
        float(life["prices"]["filled_average"]) - float(life["prices"]["planned"])
    )
    assert [posting["kind"] for posting in life["postings"]] == ["MATCHED", "SETTLED"]
    assert life["fills"][0]["settlement"] == "CONFIRMED"
    shown = polystra(world, "audit", "--order", order_id).stdout
    for part in ("decision", "additive", "bayesian", "intent", "planned", "slippage", "Requests", "Events", "Fills"):
        assert part in shown
    for word in ("SUBMIT", "CONFIRMED", "Postings", "MATCHED", "SETTLED", venue_id, life["market"]):
        assert word in shown


def test_an_order_is_found_by_the_beginning_of_either_id(world: World):
    [(order_id, venue_id)] = ask(world, "SELECT client_order_id, order_id FROM orders ORDER BY number LIMIT 1")
    for wanted in (venue_id, venue_id[:20], order_id):
        assert told(world, "audit", "--order", wanted)["client_order_id"] == order_id


@pytest.mark.parametrize(
    ("wanted", "says"),
    [("o999999", "no order has such an id"), ("o0000", "several orders begin with"), ("x", "such as")],
)
def test_an_id_that_means_no_one_order_is_one_line(world: World, wanted: str, says: str):
    result = polystra(world, "audit", "--order", wanted)
    assert result.exit_code == USAGE
    assert says in result.stderr
    assert wanted in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert "Traceback" not in result.output


def test_the_list_for_people_and_the_list_of_orders(world: World):
    listed = polystra(world, "audit", "--limit", "5").stdout
    assert "POST /order" in listed or "DELETE" in listed
    plain = told(world, "audit", "--limit", "10000")
    left_out = [call for call in calls(world) if call["sequence"] not in {kept["sequence"] for kept in plain}]
    assert left_out
    assert {(call["outcome"], call["legs"]) for call in left_out} == {("ok", 0)}
    orders = told(world, "orders")
    assert {order["client_order_id"] for order in orders} == {
        row[0] for row in ask(world, "SELECT client_order_id FROM orders")
    }
    assert told(world, "orders", "--open") == []
    assert polystra(world, "orders", "--open").stdout.strip() == "No open orders."
    shown = polystra(world, "orders").stdout
    assert all(order["client_order_id"] in shown for order in orders)
