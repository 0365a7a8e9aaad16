"""Applying a planted bug: a unified diff against src, found by its lines and not by their numbers.

What lives here: reading and applying patches. What must not: running what was patched (`__main__`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).parent


def patches() -> list[Path]:
    """Every planted bug, by name."""
    return sorted(FOLDER.glob("*.patch"))


def breaks(patch: Path) -> frozenset[str]:
    """The invariants by whose name a bug is to be found."""
    line = next(line for line in patch.read_text().splitlines() if line.startswith("Breaks: "))
    return frozenset(line.removeprefix("Breaks: ").split(", "))


def patched(text: str) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """The files that a patch changes, each with its hunks as (before, after)."""
    for part in text.split("\n--- ")[1:]:
        lines = part.split("\n")
        path = lines[1].removeprefix("+++ b/")
        hunks: list[tuple[str, str]] = []
        before: list[str] = []
        after: list[str] = []
        for line in [*lines[2:], "@@"]:
            if line.startswith("@@"):
                if before or after:
                    hunks.append(("\n".join(before), "\n".join(after)))
                before, after = [], []
                continue
            if line[:1] in (" ", "-"):
                before.append(line[1:])
            if line[:1] in (" ", "+"):
                after.append(line[1:])
        yield path, hunks


def apply(patch: Path, root: Path) -> None:
    """Change the files under `root`.

    Raises:
        ValueError: a hunk's lines are not there, or are there more than once: the patch must be written anew.
    """
    for name, hunks in patched("\n" + patch.read_text()):
        path = root / name
        text = path.read_text()
        for before, after in hunks:
            if text.count(before) != 1:
                raise ValueError(
                    f"{patch.name}: a hunk fits {text.count(before)} places of {name}, expected one; write it anew:\n"
                    f"{before}"
                )
            text = text.replace(before, after)
        path.write_text(text)
