"""A stand-in for the daemon's server: the real page over made-up answers that a test can change at any time.

For what a simulated day seldom shows: live mode, an unhealthy daemon, markup in a log line, a server that goes
silent. What the page does over a running daemon is in `test_dashboard.py`.
"""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import polystra.app

STATIC = Path(polystra.app.__path__[0]) / "web" / "static"
TOKEN = "right-token"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}

Json = dict[str, Any]


class Stage:
    """What the server answers. Change it, and `say` the snapshot anew."""

    def __init__(self) -> None:
        self.snapshot: Json = {"status": quiet_status(), "positions": [], "orders": []}
        self.answers: Json = {
            "health": {"ok": True, "problems": [], "running_s": 754.0, "ready": True, "unready": []},
            "positions": {"items": []},
            "fills": {"items": []},
            "decisions": {"items": []},
            "equity": {"points": []},
            "calibration": {"forecasts": 0, "bins": []},
            "logs": {"items": []},
        }
        self.acts: list[tuple[str, Json]] = []
        self.refused = 0
        self.silent = False
        self.listeners: list[queue.Queue[str | None]] = []

    def say(self, event: str = "snapshot", data: object = None) -> None:
        """Send an event to every page that listens."""
        told = self.snapshot if event == "snapshot" else data
        for listener in list(self.listeners):
            listener.put(f"event: {event}\ndata: {json.dumps(told)}\n\n")

    def act(self, name: str, body: Json) -> str:
        """Do what a page asked for, as far as it shows."""
        self.acts.append((name, body))
        return f"{name} was done"


def quiet_status() -> Json:
    """A daemon that has just begun."""
    return {
        "number": 1,
        "mode": "sim",
        "account": "0x718b505227a8db9a3bbdd7270ab60f8573512303",
        "version": "0.5.0",
        "running": True,
        "at": "2026-11-02T14:05:00.000Z",
        "told_at": "2026-11-21T20:00:00.000Z",
        "entries_blocked": "",
        "blocks": [],
        "venue_mode": "NORMAL",
        "venue_words": "",
        "venue_until": None,
        "switches": [],
        "kill_switch": False,
        "markets_settled": 0,
        "open_positions": 0,
        "open_orders": 0,
        "orders_in_doubt": 0,
        "oldest_doubt_s": 0,
        "cash": "1000",
        "available": "1000",
        "reserved": "0",
        "claims": "0",
        "positions_value": "0",
        "equity": "1000",
        "runway": "",
        "realised_pnl": "0",
        "realised_pnl_today": "0",
        "unrealised_pnl": "0",
        "day_pnl": "0",
        "day_loss_limit": "25",
        "limits": [
            {"name": "at risk", "used": "0", "limit": "100"},
            {"name": "positions", "used": "0", "limit": "8"},
        ],
        "last_reconcile": "2026-11-02T14:00:15.000Z (start): no differences",
        "reconciled_at": "2026-11-02T14:00:15.000Z",
        "streams": [{"name": name, "connected": True, "quiet_s": 0.4} for name in ("market", "user", "price", "spot")],
        "loop_lag_ms": 0.2,
        "waiting_inputs": 0,
        "stopping": False,
    }


def held_position(outcome: str = "UP", number: int = 1) -> Json:
    """A position with both exits."""
    return {
        "position_id": f"btc-updown-15m-1793628000:{outcome.lower()}:{number}",
        "market": "btc-updown-15m-1793628000",
        "symbol": "BTC",
        "outcome": outcome,
        "status": "OPEN",
        "shares": "16.94",
        "settled_shares": "16.94",
        "reserved_shares": "16.94",
        "average_price": "0.31",
        "mark": "0.365",
        "mark_age_s": 1,
        "fair_value": 0.41,
        "take_profit": "0.56",
        "stop": "0.15",
        "stop_rule": "stop-loss",
        "armed": ["stop-loss at 0.15"],
        "exits": [
            {
                "order": "o000002",
                "rule": "take-profit",
                "price": "0.56",
                "shares": "16.94",
                "age_s": 40,
                "status": "open",
            }
        ],
        "exit_mode": "limit_orders",
        "exit_reason": None,
        "age_s": 60,
        "resolves_in_s": 590,
        "realised_pnl": "-0.15",
        "unrealised_pnl": "0.93",
        "fees": "0.15",
    }


class _Handler(BaseHTTPRequestHandler):
    stage: Stage

    def log_message(self, *_: object) -> None:
        """Nothing: a test's output is its own."""

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if path == "/api/v1/events":
            self._stream()
        elif path.startswith("/api/v1/"):
            name = path.removeprefix("/api/v1/")
            told = self.stage.answers.get(name)
            self._json(200 if told is not None else 404, told if told is not None else {"error": f"no {name} here"})
        else:
            self._file("index.html" if path == "/" else path.removeprefix("/"))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self.stage.refused += 1
            self._json(401, {"error": "the token is wrong"})
            return
        self._json(200, {"done": self.stage.act(self.path.removeprefix("/api/v1/"), body)})

    def _stream(self) -> None:
        self._head(200, "text/event-stream")
        waiting: queue.Queue[str | None] = queue.Queue()
        waiting.put(f"event: snapshot\ndata: {json.dumps(self.stage.snapshot)}\n\n")
        self.stage.listeners.append(waiting)
        with suppress(OSError):
            while True:
                try:
                    line = waiting.get(timeout=1)
                except queue.Empty:
                    line = "" if self.stage.silent else "event: ping\ndata: {}\n\n"
                if line is None:
                    break
                self.wfile.write(line.encode())
                self.wfile.flush()
        self.close_connection = True
        if waiting in self.stage.listeners:
            self.stage.listeners.remove(waiting)

    def _file(self, name: str) -> None:
        file = STATIC / name
        if not file.is_file() or file.parent != STATIC:
            self._json(404, {"error": "no such file"})
            return
        self._head(200, KINDS[file.suffix], file.read_bytes())

    def _json(self, status: int, told: object) -> None:
        self._head(status, "application/json", json.dumps(told).encode())

    def _head(self, status: int, kind: str, body: bytes | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("Cache-Control", "no-store")
        if body is not None:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if body is not None:
            self.wfile.write(body)


@contextmanager
def serve(stage: Stage, port: int = 0) -> Iterator[str]:
    """The page's address while the server runs."""
    handler = type("Handler", (_Handler,), {"stage": stage})
    with ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        server.daemon_threads = True
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            for listener in list(stage.listeners):
                listener.put(None)
            server.shutdown()
            serving.join()
