"""What all tests share: the same Hypothesis examples each time, no deadline, and a log that ends with its test."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from polystra.app.logs import release_logs

settings.register_profile(
    "quick", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("long", deadline=None, max_examples=2_000, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile(
    "nightly", deadline=None, max_examples=10_000, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


@pytest.fixture(autouse=True)
def _log_ends_with_the_test() -> Iterator[None]:
    """A run in this process leaves no handler behind that reads the clock of its ended loop."""
    yield
    release_logs()
