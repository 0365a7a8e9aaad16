"""The health file: one small JSON object in the data folder, replaced as a whole every second.

What lives here: its name, its writing and its reading. What must not: verdicts. Nothing is synced to the disk:
after a power cut there is no daemon to tell of.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from polystra.ports.health import HealthReading

_LONGEST: Final = 65_536


class HealthFile:
    """`ports.health.HealthBoard` on `DATA_DIR/health-{mode}.json`; also what reads it."""

    def __init__(self, data_dir: Path, mode: str) -> None:
        self.path: Final = data_dir / f"health-{mode}.json"
        self._unfinished = data_dir / f".health-{mode}.tmp"

    def post(self, reading: HealthReading) -> None:
        """Write beside, then rename; raises OSError."""
        self._unfinished.write_bytes(msgspec.json.encode(reading) + b"\n")
        self._unfinished.replace(self.path)

    def clear(self) -> None:
        """Remove the file."""
        for path in (self.path, self._unfinished):
            path.unlink(missing_ok=True)

    def read(self) -> HealthReading | None:
        """The last word of a daemon, None when there is none.

        Raises:
            OSError: the file cannot be read.
            ValueError: the file is no health file.
        """
        try:
            with self.path.open("rb") as file:
                text = file.read(_LONGEST)
        except FileNotFoundError:
            return None
        try:
            return msgspec.json.decode(text, type=HealthReading)
        except msgspec.MsgspecError as error:
            raise ValueError(f"{self.path} is no health file ({error})") from error
