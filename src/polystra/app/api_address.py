"""The file that names the control API of a running daemon, so that commands on this machine find it.

What lives here: writing, reading and removing `DATA_DIR/api-{mode}.json`. What must not: HTTP. It is readable by its
owner alone and holds no secret; one that a killed daemon left is worth nothing without that daemon's lock.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Final


class AddressFile:
    """Where commands find the server of a running daemon."""

    def __init__(self, data_dir: Path, mode: str) -> None:
        self.path: Final = data_dir / f"api-{mode}.json"

    def write(self, url: str) -> None:
        """Name the server; raises OSError."""
        unfinished = self.path.with_suffix(".tmp")
        unfinished.unlink(missing_ok=True)
        body = json.dumps({"url": url, "process": os.getpid()}) + "\n"
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(body)
        unfinished.replace(self.path)

    def read(self) -> str | None:
        """The address of the server that was started last and has not ended; None when none has."""
        try:
            told: Any = json.loads(self.path.read_bytes())
        except (OSError, ValueError):
            return None
        url = told.get("url") if isinstance(told, dict) else None
        return url if isinstance(url, str) else None

    def clear(self) -> None:
        """There is no server any more."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)
