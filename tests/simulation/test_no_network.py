"""A simulated run leaves the machine's network alone: no socket, no name, no host of the venue."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from polystra.app.sessions import RunOptions, run_session
from polystra.app.settings import load_settings


def test_a_simulated_run_reaches_no_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*args: object, **_: object) -> None:
        raise AssertionError(f"the operating system's network was used: {args}")

    for name in ("bind", "connect", "connect_ex", "listen", "sendto"):
        monkeypatch.setattr(socket.socket, name, forbidden, raising=False)
    for name in ("getaddrinfo", "gethostbyname", "create_connection"):
        monkeypatch.setattr(socket, name, forbidden)
    settings = load_settings({"SYMBOLS": "BTC", "WINDOWS": "5m", "DATA_DIR": str(tmp_path), "LOG_LEVEL": "ERROR"}, None)
    summary = run_session(settings, RunOptions(seed=7, markets=1, speed=None))
    assert summary.facts > 0
