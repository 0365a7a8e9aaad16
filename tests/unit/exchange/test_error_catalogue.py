"""Every documented refusal can be produced, with its status and its very text."""

import json
import os
import re
from pathlib import Path

import pytest

from tests.unit.exchange.error_cases import CASES, Case
from tests.unit.exchange.http_desk import http_desk

SHARED = Path(os.environ.get("POLYSTRA_SHARED", Path(__file__).resolve().parents[4] / "shared"))
CATALOGUE = SHARED / "data" / "api_fixtures" / "documented_clob_errors.json"


def pattern(text: str) -> str:
    """Return the regular expression of a text with variable parts in braces."""
    return ".+".join(re.escape(part) for part in re.split(r"\{\w+\}", text))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.endpoint}:{case.status}:{str(case.text)[:50]}")
async def test_refusal(case: Case) -> None:
    async with http_desk(**case.market) as desk:
        status, reply = await case.how(desk)
        assert status == case.status, reply
        if case.text is not None:
            assert re.fullmatch(pattern(case.text), reply["error"]), reply


def test_no_documented_refusal_is_missing() -> None:
    if not CATALOGUE.is_file():
        pytest.skip(f"the recording {CATALOGUE} is not there")
    documented = json.loads(CATALOGUE.read_text())
    ours = {(case.endpoint, case.status, _plain(case.text)) for case in CASES}
    missing = [
        row
        for row in documented["errors"]
        if (row["endpoint"] or "", row["http_status"], _plain(row["error"])) not in ours
    ]
    assert missing == []
    words = {case.text for case in CASES}
    assert [row["code"] for row in documented["insert_statuses"] if row["code"] not in words] == []


def _plain(text: str | None) -> str | None:
    """Return a text without the tail that the docs do not mention."""
    return None if text is None else text.removesuffix("{tail}")
