"""`/metrics` of a running daemon: Prometheus' own reader takes it, and its counts are the database's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.chaos.processes import REPO
from tests.e2e.api_daemon import ApiDaemon, running_api


def told(daemon: ApiDaemon) -> dict[str, float]:
    """Values by name, summed over labels."""
    answer = daemon.ask("GET", "/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(answer.body.decode()):
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, 0.0) + sample.value
    return found


def test_a_running_daemon_tells_its_metrics(tmp_path: Path) -> None:
    with running_api(tmp_path, speed="10", WINDOWS="5m") as daemon:
        daemon.process.wait_for("fill.booked")
        values = told(daemon)
        while not values["polystra_fills_total"]:
            daemon.process.wait_for_line()
            values = told(daemon)
        assert values["polystra_alive"] == 1
        assert values["polystra_intents_total"] >= 1
        assert values["polystra_tick_to_order_seconds_count"] >= 1
        assert values["polystra_venue_request_seconds_count"] >= 1
        assert values["polystra_commits_total"] > 5
        assert values["polystra_stream_connected"] >= 3
        assert values["polystra_rate_budget_left"] > 10
        assert values["polystra_look_cost_seconds"] < 0.1
        assert values["polystra_equity_dollars"] > 500


def test_nothing_but_the_web_thread_imports_the_library() -> None:
    asked = "import sys, polystra.app.cli; print('prometheus_client' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", asked], env={"PYTHONPATH": str(REPO / "src")}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
