"""The operator's pages: a section for every kind of alert and none for others, links and commands that exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from polystra.app.cli import app
from polystra.app.settings import known_names
from polystra.ports.logbook import LogEvent
from polystra.runtime.alert_words import NOTICES
from polystra.runtime.fact_log import _NOTICES as NOTICE_EVENTS

ROOT = Path(__file__).parents[2]
RUNTIME = ROOT / "src" / "polystra" / "runtime"
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
PARTS = ("Means", "Look at", "Do", "Over")


def sections(part: str) -> dict[str, str]:
    found = re.split(r"^### (.+)$", part, flags=re.MULTILINE)[1:]
    return dict(zip(found[::2], found[1::2], strict=True))


ALERTS, OTHERS = (sections(part) for part in RUNBOOK.split("## Alerts")[1].split("## Other alarms"))


def kinds() -> set[str]:
    """Every kind of alert that the code can tell."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(RUNTIME.glob("alert*.py"))]
    texts.append((ROOT / "src" / "polystra" / "app" / "alert_test.py").read_text(encoding="utf-8"))
    spoken = {kind for text in texts for kind in re.findall(r'(?:_made\(|_tell\(|kind=)"([a-z ]+)"', text)}
    return spoken | {kind for kind, _ in NOTICES.values()}


def test_every_kind_of_alert_has_its_section_and_every_section_its_kind() -> None:
    assert len(kinds()) > 25
    assert set(ALERTS) == kinds()


@pytest.mark.parametrize("name", [*ALERTS, *OTHERS])
def test_a_section_says_what_it_means_what_to_look_at_what_to_do_and_when_it_is_over(name: str) -> None:
    text = (ALERTS | OTHERS)[name]
    assert re.findall(r"^- \*\*([A-Za-z ]+)\*\*", text, flags=re.MULTILINE) == list(PARTS)


def test_the_log_event_of_every_notice_stands_in_the_section_of_its_alert() -> None:
    for notice, (kind, _) in NOTICES.items():
        assert f"`{NOTICE_EVENTS[notice]}`" in ALERTS[kind], (notice, kind)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_what_a_page_names_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (page.parent / link).exists(), link
    events = {str(event) for event in LogEvent}
    nouns = {event.partition(".")[0] for event in events}
    for word in re.findall(r"`([a-z_]+\.[a-z_]+)`", text):
        if word.partition(".")[0] in nouns and not word.endswith((".py", ".md", ".db")):
            assert word in events, word


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_a_command_that_a_page_names_exists(page: Path) -> None:
    commands = {each.name or (each.callback.__name__ if each.callback else "") for each in app.registered_commands}
    groups = {str(each.name) for each in app.registered_groups}
    for word in re.findall(r"(?:`|^)polystra ([a-z_-]+)", page.read_text(encoding="utf-8"), flags=re.MULTILINE):
        assert word in commands | groups, word


OTHERS_IN_CAPITALS = {
    "POLYSTRA_ENV_FILE",
    "HYPOTHESIS_PROFILE",
    "RLIMIT_CORE",
    "IN_DOUBT",
    "TAKE_PROFIT",
    "POLY_PROXY",
    "POSTGRES_PASSWORD",
    "PATH_SECRET",
}
"""Words of programs beside ours, states of an order, purposes, headers."""


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_a_setting_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    words = set(re.findall(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b", text))
    assert words - OTHERS_IN_CAPITALS - set(known_names()) == set()
    for word in re.findall(r"`([A-Z]{3,})=", text):
        assert word in {*known_names(), "ARGS"}, word


def options_of(command: Any) -> set[str]:
    own = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    return own.union(*(options_of(each) for each in getattr(command, "commands", {}).values()))


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_an_option_that_a_page_names_exists(page: Path) -> None:
    others = {"--rm", "--no-deps", "--help", "--only"}
    text = page.read_text(encoding="utf-8").partition("## For developers")[0]
    words = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))
    assert words - options_of(get_command(app)) - others == set()
