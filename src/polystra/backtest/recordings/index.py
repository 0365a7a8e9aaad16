"""The index of a folder of recordings: one line for each file that is whole.

What lives here: the line, entering one, and entering those that a recorder which died could not. What must not: the
writing of recordings (`writer`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from polystra.backtest.recordings.blocks import Damage, Head, read_blocks, read_head
from polystra.backtest.recordings.rows import Recorded, decode
from polystra.domain.errors import RecordingError
from polystra.domain.events import MarketsListed

SUFFIX: Final = ".rec"
INDEX: Final = "index.jsonl"


class IndexLine(msgspec.Struct, frozen=True, kw_only=True):
    """One closed file. `kinds` counts its inputs by kind."""

    file: str
    origin: str
    mode: str
    first_ns: int
    last_ns: int
    inputs: int
    bytes: int
    kinds: dict[str, int]
    markets: tuple[str, ...] = ()
    """Slugs of the markets that are in it."""


def slugs(inputs: Iterable[Recorded]) -> Iterator[str]:
    """The markets that are listed in them."""
    for _, event in inputs:
        if isinstance(event, MarketsListed):
            yield from (market.slug for market in event.markets)


def enter(folder: Path, line: IndexLine) -> None:
    """Append a line to the index.

    Raises:
        RecordingError: the disk did not take it.
    """
    try:
        with (folder / INDEX).open("ab") as index:
            index.write(msgspec.json.encode(line) + b"\n")
    except OSError as error:
        raise RecordingError(
            f"{folder / INDEX}: cannot be written ({error.strerror}); the recording itself is whole"
        ) from error


def read_index(folder: Path) -> list[IndexLine]:
    """The lines that can be read; none where there is no index."""
    try:
        lines = (folder / INDEX).read_bytes().splitlines()
    except OSError:
        return []
    found: list[IndexLine] = []
    for line in lines:
        try:
            found.append(msgspec.json.decode(line, type=IndexLine))
        except msgspec.MsgspecError:
            continue
    return found


def complete_index(folder: Path, origin: str) -> list[str]:
    """Enter the files of this origin that no line names; says one sentence for each.

    Raises:
        RecordingError: the index cannot be written.
    """
    named = {line.file for line in read_index(folder)}
    said: list[str] = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        if path.name in named:
            continue
        try:
            head, _ = read_head(path)
            line, torn = _examined(path, head)
        except RecordingError as error:
            said.append(str(error))
            continue
        if head.origin != origin:
            continue
        words = f"; its last {torn} bytes are an unfinished block, which readers leave out" if torn else ""
        if line is None:
            said.append(f"{path.name}: was not closed and holds no whole block{words}")
            continue
        enter(folder, line)
        said.append(f"{path.name}: was not closed; {line.inputs} inputs are whole and in the index now{words}")
    return said


def _examined(path: Path, head: Head) -> tuple[IndexLine | None, int]:
    """The line of a file, None when it has no whole block, and how many bytes at its end are torn."""
    damage = Damage()
    kinds: Counter[str] = Counter()
    markets: dict[str, None] = {}
    first_ns = last_ns = 0
    for block in read_blocks(path, damage):
        inputs = list(decode(block.content()))
        kinds.update(type(each.event).__name__ for each in inputs)
        markets.update(dict.fromkeys(slugs(inputs)))
        first_ns, last_ns = first_ns or block.first_ns, block.last_ns
    if not kinds:
        return None, damage.torn_bytes
    line = IndexLine(
        file=path.name,
        origin=head.origin,
        mode=head.mode,
        first_ns=first_ns,
        last_ns=last_ns,
        inputs=kinds.total(),
        bytes=path.stat().st_size,
        kinds=dict(sorted(kinds.items())),
        markets=tuple(markets),
    )
    return line, damage.torn_bytes
