"""Reading recordings back: many files as one sequence of inputs, with a count of what was left out and why.

What lives here: which files are read in which order, what is left out. What must not: bytes (`blocks`), shapes
(`rows`), what is done with the inputs.

Files are read in the order of their first input, those of one recorder by their number. A file that was already
given, is empty, damaged at its head or of another kind is left out with a line; damaged or torn blocks likewise;
where a file begins before the one before it has ended, the inputs of the doubled span are left out. Time never
runs backwards in what is yielded. Memory: one block.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from polystra.backtest.recordings.blocks import Block, Damage, Head, read_blocks, read_head
from polystra.backtest.recordings.index import SUFFIX
from polystra.backtest.recordings.rows import Recorded, decode
from polystra.domain.errors import RecordingError
from polystra.domain.units import NS_PER_S, Nanos

_SAME: Final = 1 << 16
"""So many first bytes (and the length) tell whether two files are the same recording."""


@dataclass(slots=True)
class ReadingReport:
    """What a reading came to. `notes` has one sentence for each thing that was left out."""

    files: int = 0
    inputs: int = 0
    left_out: int = 0
    """Inputs of doubled blocks and spans, of blocks that cannot be read, and those whose time ran backwards."""
    first_ns: Nanos = 0
    last_ns: Nanos = 0
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Source:
    path: Path
    head: Head
    first_ns: Nanos

    def place(self) -> tuple[Nanos, Nanos, int]:
        """Where it stands among the others."""
        return self.first_ns, self.head.created_ns, self.head.part


def recording_files(places: Iterable[Path]) -> list[Path]:
    """The recordings that are meant: files as they are named, folders by what is in them, sorted.

    Raises:
        RecordingError: a place does not exist, or a folder holds no recording.
    """
    found: list[Path] = []
    for place in places:
        if place.is_dir():
            inside = sorted(place.glob(f"*{SUFFIX}"))
            if not inside:
                raise RecordingError(f"{place}: holds no recording (files that end in {SUFFIX})")
            found += inside
        elif place.is_file():
            found.append(place)
        else:
            raise RecordingError(f"{place}: does not exist; name a recording or a folder of them")
    return found


class RecordingReader:
    """Several files as one sequence; `heads` and `report` tell what they were. Iterate once."""

    def __init__(self, paths: Iterable[Path]) -> None:
        """Look at every head.

        Raises:
            RecordingError: none of the files can be used.
        """
        self.report: Final = ReadingReport()
        self._sources: Final = sorted(self._usable(paths), key=_Source.place)
        if not self._sources:
            raise RecordingError("; ".join(self.report.notes) or "no recording was named")

    @property
    def heads(self) -> tuple[Head, ...]:
        """What the files say of themselves, in the order in which they are read."""
        return tuple(source.head for source in self._sources)

    def __iter__(self) -> Iterator[Recorded]:
        report = self.report
        before: Head | None = None
        for source in self._sources:
            damage = Damage()
            left_out = 0
            read_ns = report.last_ns + (0 if _goes_on(before, source.head) else 1)
            before = source.head
            for block in self._blocks(source.path, damage):
                for recorded in self._inputs(source.path, block):
                    if recorded.now_ns < max(read_ns, report.last_ns):
                        left_out += 1
                        continue
                    report.first_ns = report.first_ns or recorded.now_ns
                    report.last_ns = recorded.now_ns
                    report.inputs += 1
                    yield recorded
            report.files += 1
            report.left_out += left_out
            self._note(source.path, damage, left_out)

    def _blocks(self, path: Path, damage: Damage) -> Iterator[Block]:
        """The blocks of one file, each once."""
        seen: set[bytes] = set()
        doubled = 0
        for block in read_blocks(path, damage):
            mark = hashlib.blake2b(block.stored, digest_size=16).digest()
            if mark in seen:
                doubled += 1
                self.report.left_out += block.rows
            else:
                seen.add(mark)
                yield block
        if doubled:
            self.report.notes.append(f"{path.name}: {doubled} blocks are in it twice; they are read once")

    def _inputs(self, path: Path, block: Block) -> Iterator[Recorded]:
        """The inputs of one block; a whole block that cannot be read is left out from there on."""
        given = 0
        try:
            for recorded in decode(block.content()):
                given += 1
                yield recorded
        except RecordingError as error:
            at_s = block.first_ns // NS_PER_S
            self.report.left_out += block.rows - given
            self.report.notes.append(f"{path.name}: the block of {block.rows} inputs at {at_s} s is left out: {error}")

    def _usable(self, paths: Iterable[Path]) -> Iterator[_Source]:
        seen: dict[bytes, Path] = {}
        for path in paths:
            try:
                head, _ = read_head(path)
                mark = _mark(path)
                first = next(read_blocks(path, Damage()), None)
            except RecordingError as error:
                self.report.notes.append(str(error))
                continue
            if mark in seen:
                self.report.notes.append(f"{path.name}: is the same recording as {seen[mark].name}; it is read once")
            elif first is None:
                self.report.notes.append(f"{path.name}: holds no whole block; nothing of it can be used")
            else:
                seen[mark] = path
                yield _Source(path, head, first.first_ns)

    def _note(self, path: Path, damage: Damage, left_out: int) -> None:
        notes = self.report.notes
        if damage.torn_bytes:
            notes.append(f"{path.name}: its last {damage.torn_bytes} bytes are an unfinished block; they are left out")
        if damage.skipped_places:
            notes.append(
                f"{path.name}: {damage.skipped_bytes} damaged bytes in {damage.skipped_places} places are left out"
            )
        if left_out:
            notes.append(f"{path.name}: {left_out} inputs are older than what came before them; they are left out")


def _goes_on(before: Head | None, head: Head) -> bool:
    """Whether a file continues the one before it: then inputs of one instant may be in both."""
    if before is None:
        return True
    return (before.origin, before.created_ns, before.part + 1) == (head.origin, head.created_ns, head.part)


def _mark(path: Path) -> bytes:
    with path.open("rb") as file:
        digest = hashlib.sha256(file.read(_SAME))
    digest.update(str(path.stat().st_size).encode())
    return digest.digest()
