"""The compose file, by the rules of the Compose Specification that matter here, and by its own promises.

No engine is needed. Where the package `compose-spec` is installed, the file is read by that too.
"""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from polystra.app.cli import app
from polystra.app.health import LOOP_LIMIT_S
from polystra.app.settings import default_text
from polystra.engine import shutdown
from polystra.runtime import alert_thread

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("polystra", "migrate")
CONDITIONS = {"service_started", "service_healthy", "service_completed_successfully"}
KNOWN_KEYS = {
    "build",
    "cap_drop",
    "command",
    "depends_on",
    "environment",
    "healthcheck",
    "image",
    "init",
    "logging",
    "mem_limit",
    "pids_limit",
    "ports",
    "profiles",
    "read_only",
    "restart",
    "security_opt",
    "stop_grace_period",
    "tmpfs",
    "volumes",
}
"""Keys of a service that the file uses, each looked up in the specification."""


def seconds(text: str) -> int:
    found = re.fullmatch(r"(?:(\d+)m)?(?:(\d+)s)?", text)
    assert found is not None, text
    assert text, "a duration needs a number and a unit"
    return int(found[1] or 0) * 60 + int(found[2] or 0)


def test_every_key_is_one_of_the_specification() -> None:
    assert {key for key in COMPOSE if not key.startswith("x-")} == {"services", "volumes"}
    for name, service in SERVICES.items():
        assert set(service) <= KNOWN_KEYS, name
        assert set(service.get("healthcheck", {})) <= {"test", "interval", "timeout", "retries", "start_period"}
        assert set(service["logging"]) == {"driver", "options"}


def test_types_are_those_of_the_specification() -> None:
    for name, service in SERVICES.items():
        assert all(isinstance(service[key], bool) for key in ("init", "read_only") if key in service), name
        assert isinstance(service["restart"], str), "an unquoted no is a boolean"
        assert re.fullmatch(r"[0-9]+[bkmg]", service["mem_limit"]), name
        assert all(isinstance(value, str) for value in service["logging"]["options"].values()), name
        for key in ("interval", "timeout", "start_period"):
            assert seconds(service.get("healthcheck", {}).get(key, "1s")) > 0


def test_what_a_service_waits_for_exists_and_can_come_true() -> None:
    for name, service in SERVICES.items():
        for other, rule in service.get("depends_on", {}).items():
            assert set(rule) <= {"condition", "required"}, name
            assert rule["condition"] in CONDITIONS
            if rule["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[other], f"{name} waits for the health of {other}"
            if rule["condition"] == "service_completed_successfully":
                assert SERVICES[other]["restart"] == "no", f"{other} would never be complete"
            if "profiles" in SERVICES[other]:
                assert rule["required"] is False, f"{other} is not there without its profile"


def test_every_volume_that_is_mounted_is_declared() -> None:
    for service in SERVICES.values():
        for volume in service["volumes"]:
            if isinstance(volume, str):
                assert volume.split(":")[0] in COMPOSE["volumes"]
            else:
                assert set(volume) == {"type", "source", "target", "read_only", "bind"}


@pytest.mark.parametrize("name", OURS)
def test_our_containers_can_change_nothing_but_their_data(name: str) -> None:
    service = SERVICES[name]
    assert service["init"] is True
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["tmpfs"] == ["/tmp"]
    assert not {"user", "privileged", "cap_add", "network_mode"} & set(service)
    data, env = service["volumes"]
    assert data == "data:/data"
    assert (env["target"], env["read_only"], env["bind"]["create_host_path"]) == ("/app/.env", True, False)


def test_only_this_machine_reaches_the_api_and_the_server_listens_where_the_container_is_reached() -> None:
    assert SERVICES["polystra"]["ports"] == ["127.0.0.1:${API_PORT:-8787}:${API_PORT:-8787}"]
    assert [name for name in SERVICES if "ports" in SERVICES[name]] == ["polystra"]
    assert default_text("API_PORT") == "8787"
    assert re.search(r"^ +API_HOST=0\.0\.0\.0$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("name", list(SERVICES))
def test_logs_rotate_and_memory_ends(name: str) -> None:
    assert SERVICES[name]["logging"] == {"driver": "json-file", "options": {"max-size": "10m", "max-file": "5"}}
    assert SERVICES[name]["mem_limit"]


def test_no_setting_and_no_secret_passes_by_the_environment() -> None:
    for name in OURS:
        assert not {"env_file", "environment"} & set(SERVICES[name])
    assert SERVICES["postgres"]["environment"]["POSTGRES_PASSWORD"] == "${POSTGRES_PASSWORD:-}"


def test_the_stop_is_waited_for() -> None:
    """The longest wait of the engine, the last alerts, and as much again as those for what a busy machine adds."""
    longest = max(shutdown._SIGNAL_WAIT_S, shutdown._FLATTEN_WAIT_S) + alert_thread.LAST_WORDS_S
    assert seconds(SERVICES["polystra"]["stop_grace_period"]) >= longest + 30
    assert SERVICES["polystra"]["restart"] == "unless-stopped"


def test_the_health_check_and_the_migration_are_commands_that_exist() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    check = SERVICES["polystra"]["healthcheck"]
    assert check["test"][0] == "CMD"
    assert check["test"][1] in scripts
    assert seconds(check["interval"]) * check["retries"] >= LOOP_LIMIT_S
    group, command = SERVICES["migrate"]["command"]
    [database] = [each.typer_instance for each in app.registered_groups if each.name == group]
    assert database is not None
    assert command in {each.name for each in database.registered_commands}


def test_the_daemon_starts_after_the_migration() -> None:
    assert SERVICES["polystra"]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    assert SERVICES["polystra"]["image"] == SERVICES["migrate"]["image"]


def test_a_validator_of_the_specification_takes_the_file() -> None:
    reason = "compose-spec is not installed: pip install compose-spec"
    compose_spec = pytest.importorskip("compose_spec", reason=reason)
    read = compose_spec.PyCompose.from_json(json.dumps(COMPOSE))
    assert read.service_names() == list(SERVICES)
