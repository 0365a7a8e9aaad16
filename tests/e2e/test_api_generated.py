"""Generated requests, fitting and not, to every operation: no 5xx, and every answer is one that the document tells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from polystra.app.web.openapi import document
from tests.e2e.api_daemon import TOKEN, ApiDaemon, running_api

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
BESIDE = ["/api/v1/events", "/livez", "/readyz"]
"""A stream has no end; a probe's 503 is its answer, and other tests ask for it."""
READS = schemathesis.openapi.from_dict(document("0")).include(method="GET").exclude(path=BESIDE)
ACTIONS = schemathesis.openapi.from_dict(document("0")).include(method="POST")

few = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiDaemon]:
    with running_api(tmp_path_factory.mktemp("generated")) as running:
        running.process.wait_for("fill.booked")
        yield running


@pytest.mark.slow
@READS.parametrize()
@few
def test_reading(case: Any, daemon: ApiDaemon) -> None:
    response = case.call(base_url=daemon.url)
    case.validate_response(response, checks=CHECKS)


@pytest.mark.slow
@ACTIONS.parametrize()
@few
def test_acting(case: Any, daemon: ApiDaemon) -> None:
    response = case.call(base_url=daemon.url, headers={"Authorization": f"Bearer {TOKEN}"})
    case.validate_response(response, checks=CHECKS)
