"""The recorder: inputs in, files of blocks out, rotating, with an index.

What lives here: when a block and a file are full, how files are called, the index of a folder. What must not:
bytes (`blocks`), shapes (`rows`), where inputs come from (the application taps them).

A block is closed when it has `block_rows` inputs or its first input is `block_s` seconds old: that much, and no
more, is lost when the process dies. A file is closed when it is `file_bytes` long or `file_s` seconds old; then
a line in `index.jsonl` tells its span and counts. The index is a convenience: a file without a line (the process
died) is read all the same, and `index.complete_index` enters it later. Files are called by their first input's time:
`20261121T173300Z-0001.rec`. With an `opening` every file begins with what was known by then and stands alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

from polystra.backtest.recordings.blocks import BlockFile, Head
from polystra.backtest.recordings.index import SUFFIX, IndexLine, enter, slugs
from polystra.backtest.recordings.rows import Recorded, encode
from polystra.domain.errors import RecordingError
from polystra.domain.events import WorldEvent
from polystra.domain.units import NS_PER_S, Nanos

_MOST_NAMES: Final = 9_999


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """When blocks and files are closed."""

    block_rows: int = 4_096
    block_s: int = 5
    file_bytes: int = 64 * 1024 * 1024
    file_s: int = 3_600


@dataclass(slots=True)
class _Open:
    """The file being written."""

    file: BlockFile
    first_ns: Nanos
    last_ns: Nanos
    kinds: Counter[str] = field(default_factory=Counter)
    markets: dict[str, None] = field(default_factory=dict)

    def line(self, head: Head) -> IndexLine:
        """What the index says of it."""
        return IndexLine(
            file=self.file.path.name,
            origin=head.origin,
            mode=head.mode,
            first_ns=self.first_ns,
            last_ns=self.last_ns,
            inputs=self.kinds.total(),
            bytes=self.file.size,
            kinds=dict(sorted(self.kinds.items())),
            markets=tuple(self.markets),
        )


class RecordingWriter:
    """Takes inputs one by one; see the module docstring. Not thread-safe: one owner."""

    def __init__(
        self,
        folder: Path,
        head: Head,
        sizes: Sizes | None = None,
        *,
        opening: Callable[[Nanos], Sequence[WorldEvent]] | None = None,
        on_closed: Callable[[IndexLine], None] | None = None,
    ) -> None:
        """Make the folder where it is missing.

        Args:
            folder: where the files go.
            head: what each says of itself.
            sizes: when blocks and files are closed.
            opening: what every file but the first begins with, asked at that moment.
            on_closed: hears of every file that is whole and in the index.

        Raises:
            RecordingError: it cannot be made.
        """
        self._folder: Final = folder
        self._head: Final = head
        self._sizes: Final = sizes or Sizes()
        self._opening: Final = opening
        self._on_closed: Final = on_closed
        self._waiting: list[Recorded] = []
        self._known = 0
        """How many of those that wait are an opening: alone they are no reason for a file."""
        self._open: _Open | None = None
        self.inputs = 0
        self.bytes = 0
        self.files = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RecordingError(f"{folder}: cannot be made ({error.strerror}); name a folder that can") from error

    def add(self, event: WorldEvent, now_ns: Nanos) -> None:
        """Keep one input; `now_ns` is when it was taken.

        Raises:
            RecordingError: a block was due and could not be written; what was not written is lost.
        """
        self._waiting.append(Recorded(now_ns, event))
        first_ns = self._waiting[0].now_ns
        sizes = self._sizes
        if len(self._waiting) >= sizes.block_rows or now_ns - first_ns >= sizes.block_s * NS_PER_S:
            self.flush()

    def flush(self) -> None:
        """Write what waits as a block, durable when this returns; starts and ends files as they are due.

        Raises:
            RecordingError: as `add`.
        """
        if len(self._waiting) <= self._known:
            return
        waiting, self._waiting, self._known = self._waiting, [], 0
        first_ns, last_ns = waiting[0].now_ns, waiting[-1].now_ns
        current = self._current(first_ns)
        before = current.file.size
        current.file.append(encode(waiting), rows=len(waiting), first_ns=first_ns, last_ns=last_ns)
        current.last_ns = last_ns
        current.kinds.update(type(recorded.event).__name__ for recorded in waiting)
        current.markets.update(dict.fromkeys(slugs(waiting)))
        self.inputs += len(waiting)
        self.bytes += current.file.size - before
        sizes = self._sizes
        if current.file.size >= sizes.file_bytes or last_ns - current.first_ns >= sizes.file_s * NS_PER_S:
            self._finish()
            self._open_scene(last_ns)

    def flush_due(self, now_ns: Nanos) -> None:
        """Write what waits if its first input is old enough; for whoever may hear nothing for long.

        Raises:
            RecordingError: as `add`.
        """
        if self._waiting and now_ns - self._waiting[0].now_ns >= self._sizes.block_s * NS_PER_S:
            self.flush()

    @property
    def is_open(self) -> bool:
        """Whether a file is being written."""
        return self._open is not None

    def abandon(self) -> None:
        """After an error: let go of the file as it is (its whole blocks stay) and forget what waits."""
        self._waiting, self._known = [], 0
        with suppress(RecordingError):
            self._finish()

    def begin_anew(self, now_ns: Nanos) -> None:
        """Begin a file with the opening, durable when this returns.

        Raises:
            RecordingError: as `add`.
        """
        self._open_scene(now_ns)
        self._known = 0
        if not self._waiting:
            self._current(now_ns)
        self.flush()

    def _open_scene(self, now_ns: Nanos) -> None:
        """The next file shall stand alone: it begins with what is known now."""
        if self._opening is not None:
            self._waiting = [Recorded(now_ns, event) for event in self._opening(now_ns)]
            self._known = len(self._waiting)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Write what waits, close the file and enter it in the index; doing it again is harmless.

        Raises:
            RecordingError: as `add`.
        """
        try:
            self.flush()
        finally:
            self._finish()

    def _current(self, first_ns: Nanos) -> _Open:
        if self._open is None:
            path = self._free_name(first_ns)
            head = msgspec.structs.replace(self._head, part=self.files + 1)
            self._open = _Open(BlockFile(path, head), first_ns, first_ns)
            self.files += 1
            self.bytes += self._open.file.size
        return self._open

    def _free_name(self, first_ns: Nanos) -> Path:
        stamp = datetime.fromtimestamp(first_ns // NS_PER_S, UTC).strftime("%Y%m%dT%H%M%SZ")
        for number in range(1, _MOST_NAMES + 1):
            path = self._folder / f"{stamp}-{number:04d}{SUFFIX}"
            if not path.exists():
                return path
        raise RecordingError(f"{self._folder}: {_MOST_NAMES} files are called {stamp}; move them away")

    def _finish(self) -> None:
        current, self._open = self._open, None
        if current is None:
            return
        current.file.close()
        if not current.kinds:  # not one block of it could be written
            current.file.path.unlink(missing_ok=True)
            return
        line = current.line(self._head)
        enter(self._folder, line)
        if self._on_closed is not None:
            self._on_closed(line)
