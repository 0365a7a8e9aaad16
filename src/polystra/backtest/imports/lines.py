"""Lines of a text file, plain or gzipped, as far as they can be read.

What lives here: opening, unpacking, the end of a cut-off file, rows of tables. What must not: what they mean.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from polystra.domain.errors import RecordingError

_MOST_KINDS: Final = 5
"""So many reasons are told of one file."""


@dataclass(slots=True)
class ImportReport:
    """What an import came to. `notes` has one sentence for each kind of thing that was left out, per file."""

    files: int = 0
    messages: int = 0
    """Lines that were used."""
    left_out: int = 0
    """Lines that were not."""
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Faults:
    """Faults of one file, counted by what is wrong, with the first place of each."""

    report: ImportReport
    name: str
    _seen: dict[str, tuple[int, int]] = field(default_factory=dict)

    def count(self, what: str, line: int) -> None:
        """Leave one line out."""
        number, first = self._seen.get(what, (0, line))
        self._seen[what] = (number + 1, first)
        self.report.left_out += 1

    def tell(self) -> None:
        """Add the sentences to the report."""
        for what, (number, first) in list(self._seen.items())[:_MOST_KINDS]:
            lines = f"line {first} is" if number == 1 else f"{number} lines (the first is {first}) are"
            self.report.notes.append(f"{self.name}: {lines} left out: {what}")
        more = len(self._seen) - _MOST_KINDS
        if more > 0:
            self.report.notes.append(f"{self.name}: further lines are left out for {more} other reasons")


def lines_of(path: Path, report: ImportReport) -> Iterator[tuple[int, bytes]]:
    """Yield the number and content of every line that is not blank; a cut-off file ends with a note.

    Raises:
        RecordingError: the file cannot be opened or holds no line at all.
    """
    number = 0
    found = False
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.isspace():
                    found = True
                    yield number, line
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        if number == 0:
            raise RecordingError(f"{path}: cannot be unpacked ({error}); nothing of it can be used") from error
        report.notes.append(f"{path.name}: is cut off or damaged after line {number}; what comes before it is used")
    except OSError as error:
        raise RecordingError(f"{path}: cannot be read ({error.strerror or error})") from error
    if not found:
        raise RecordingError(f"{path}: is empty; there is nothing to import")


def table_rows(
    path: Path, report: ImportReport, faults: Faults, needed: Sequence[str]
) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Yield the number and columns of every whole row; rows that are cut off or no text are left out and counted.

    Raises:
        RecordingError: as `lines_of`, or a needed column is missing.
    """
    names: list[str] | None = None
    for number, line in lines_of(path, report):
        try:
            values = next(csv.reader([line.decode("utf-8-sig")]), [])
        except (csv.Error, UnicodeDecodeError):
            values = []
        if names is None:
            names = values
            missing = [name for name in needed if name not in names]
            if missing:
                raise RecordingError(f"{path}: has no column {missing[0]!r}; expected a table with {', '.join(needed)}")
        elif len(values) == len(names):
            yield number, dict(zip(names, values, strict=True))
        else:
            faults.count("not a whole row of the table", number)
