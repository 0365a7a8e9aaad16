"""The page's files: nothing in them can run what comes from outside, or ask another machine; colours can be read."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import polystra.app

STATIC = Path(polystra.app.__path__[0]) / "web" / "static"
SCRIPTS = sorted(STATIC.glob("*.js"))
STYLE = (STATIC / "style.css").read_text()
PAGE = (STATIC / "index.html").read_text()
PARSES_TEXT = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser|srcdoc"


class Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.ids: list[str] = []
        self.feed(PAGE)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id" and value]


def test_there_is_a_page_with_scripts():
    assert {path.name for path in SCRIPTS} >= {"app.js", "feed.js", "controls.js"}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_no_script_makes_markup_of_text_and_each_says_what_lives_in_it(path: Path):
    text = path.read_text()
    assert not re.search(PARSES_TEXT, text)
    assert text.startswith("// ")
    assert "What must not:" in text.split("\n\nimport")[0]
    assert len(text.splitlines()) <= 400


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_import_their_neighbours_alone_and_ask_no_other_machine(path: Path):
    text = path.read_text()
    for name in re.findall(r'from "([^"]+)"', text):
        assert (STATIC / name).is_file()
    assert set(re.findall(r"https?://[^\s\"'`]+", text)) <= {"http://www.w3.org/2000/svg"}


def test_the_markup_has_no_script_style_or_handler_in_it():
    for tag, attributes in Elements().found:
        assert tag != "style"
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        assert tag != "script" or attributes.get("src", "")
        for name in ("src", "href"):
            place = attributes.get(name) or "#"
            assert place.startswith(("/api/v1/", "/metrics", "#")) or (STATIC / place).is_file()
    assert not re.search(r"url\(|@import", STYLE)


def test_ids_are_unique_and_every_one_that_scripts_want_exists():
    ids = Elements().ids
    assert len(ids) == len(set(ids))
    wanted = {name for path in SCRIPTS for name in re.findall(r'\bthe\("([\w-]+)"\)', path.read_text())}
    assert wanted <= set(ids)


# --- contrast (WCAG 2: 4.5 for text) --------------------------------------------------------


def tokens(dark: bool) -> dict[str, str]:
    light, _, rest = STYLE.partition("@media (prefers-color-scheme: dark)")
    found = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", light))
    if dark:
        found |= dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", rest.split("\n}\n")[0]))
    return found


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize(
    ("ink", "ground"),
    [
        *((ink, ground) for ink in ("ink", "quiet", "gain", "loss", "warn", "blue") for ground in ("card", "sunk")),
        ("quiet", "page"),
        ("ink", "warn-ground"),
        ("quiet", "warn-ground"),
        ("loss", "bad-ground"),
        ("danger-ink", "danger"),
        ("blue-ink", "blue"),
    ],
)
def test_text_stands_out_from_its_ground(dark: bool, ink: str, ground: str):
    known = tokens(dark)
    assert contrast(known[ink], known[ground]) >= 4.5


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("mode", ["live", "paper", "sim"])
def test_the_banner_of_each_mode_can_be_read(dark: bool, mode: str):
    assert contrast("#ffffff", tokens(dark)[mode]) >= 4.5
