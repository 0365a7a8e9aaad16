"""Alert rules and the board ask for metrics and labels that the daemon has, and nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from polystra.app.web.metric_table import METRICS, PREFIX, exposed_names

DEPLOY = Path(__file__).parents[2] / "deploy"
LABELS = {PREFIX + metric.name: set(metric.labels) for metric in METRICS} | {
    f"{PREFIX}{metric.name}_bucket": {*metric.labels, "le"} for metric in METRICS if metric.kind == "histogram"
}


def rules() -> list[dict[str, Any]]:
    [group] = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def board() -> dict[str, Any]:
    told: dict[str, Any] = json.loads((DEPLOY / "grafana" / "polystra.json").read_text())
    return told


def expressions() -> list[str]:
    return [rule["expr"] for rule in rules()] + [
        target["expr"] for panel in board()["panels"] for target in panel["targets"]
    ]


@pytest.mark.parametrize("text", expressions())
def test_every_metric_and_label_of_an_expression_exists(text: str) -> None:
    used = re.findall(r"(polystra_\w+)(?:\{([^}]*)\})?", text)
    assert used or text.startswith("up{")
    for name, selector in used:
        assert name in exposed_names(), name
        for label in re.findall(r"(\w+)\s*[=!]", selector):
            assert label in LABELS[name], (name, label)
    grouped = {label.strip() for group in re.findall(r"by \(([^)]*)\)", text) for label in group.split(",")}
    assert grouped <= {label for name, _ in used for label in LABELS.get(name, set())}
    if "_total" in text and "increase(" not in text and "rate(" not in text:
        assert text == "polystra_fee_error_dollars_total"
    assert text.count("(") == text.count(")")


def test_values_of_labels_in_the_rules_exist() -> None:
    from_code = {"market", "user", "price", "AUTH", "STOP", "KILLED", "normal"}
    switches = {"daily_loss", "drawdown", "consecutive_losses", "kill", "crash_loop", "second_daemon", "venue_refused"}
    for rule in rules():
        for values in re.findall(r'\w+[=!]~?"([^"]+)"', rule["expr"]):
            assert set(values.split("|")) <= from_code | switches | {"polystra"}, values


def test_every_rule_says_how_grave_it_is_and_what_it_means() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names)) >= 12
    for rule in rules():
        assert rule["labels"]["severity"] in ("critical", "warning"), rule["alert"]
        assert rule["annotations"]["summary"], rule["alert"]


def test_the_board_is_one_that_can_be_imported() -> None:
    told = board()
    assert told["uid"] == "polystra"
    ids = [panel["id"] for panel in told["panels"]]
    assert len(ids) == len(set(ids)) >= 10
    assert all(panel["datasource"]["uid"] == "${datasource}" for panel in told["panels"])


def test_prometheus_is_pointed_at_the_rules() -> None:
    told = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    assert told["rule_files"] == ["alerts.yml"]
    [job] = told["scrape_configs"]
    assert job["job_name"] == "polystra"
