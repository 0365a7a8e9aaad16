"""Reads a report as a browser would: what it asks the network for, which ids and references it has."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

_NAMES_OF_OTHERS = {"src", "href", "xlink:href", "data", "srcset", "action", "poster", "background"}
_ASKS = {"script", "link", "iframe", "object", "embed", "img", "image", "audio", "video", "form"}


@dataclass
class Reading(HTMLParser):
    """What a page holds; made by `read_page`."""

    outside: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    inner: set[str] = field(default_factory=set)
    figures: int = 0
    text: list[str] = field(default_factory=list)
    _style: bool = False

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.figures += tag == "svg"
        self._style = tag == "style"
        if tag in _ASKS:
            self.outside.append(f"<{tag}>")
        for name, value in attrs:
            told = value or ""
            if name == "id":
                self.ids.append(told)
            elif name in _NAMES_OF_OTHERS:
                self._refers(told)
            elif name == "style" or name.startswith("on"):
                self._looks(told)
            if name == "clip-path":
                self._looks(told)

    def handle_data(self, data: str) -> None:
        if self._style:
            self._looks(data)
            self._style = False
        else:
            self.text.append(data)

    def _refers(self, told: str) -> None:
        if told.startswith("#"):
            self.inner.add(told[1:])
        else:
            self.outside.append(told)

    def _looks(self, style: str) -> None:
        self.outside += re.findall(r"@import[^;]*", style)
        for told in re.findall(r"url\(([^)]*)\)", style):
            self._refers(told.strip("'\""))

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


def read_page(text: str) -> Reading:
    reading = Reading()
    reading.feed(text)
    return reading
