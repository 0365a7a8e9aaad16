"""Search for every planted bug: `python -m tests.simulation.planted`, or with the names of some.

Each patch is applied to a copy of src and seeds of the usual search are run until one breaks an invariant
that the patch names; the seed, the words and the seconds are printed. Exit code 1 when a bug was not found
within the limit. `hints.json` keeps a seed by which each was found, so that a test can show it quickly.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import typer

from tests.simulation.planted.patches import FOLDER, apply, breaks, patches

MINUTES = 7
_ROOT = Path(__file__).parents[3]
_HINTS = FOLDER / "hints.json"
_SEARCH = """
import sys
from tests.simulation.search_plan import draw
from tests.simulation.search_run import run_plan
others = 0
for seed in {seeds}:
    verdict = run_plan(draw(seed, minutes={minutes}, profile="full", markets=2))
    named = [words for words in verdict.broken if words.split(" ", 1)[0] in {breaks}]
    if named:
        print(f"seed {{seed}}: {{named[0][:200]}}")
        sys.exit(1)
    others += bool(verdict.broken)
print(f"not found, {{others}} seeds broke something else" if others else "not found")
"""


def search(patch: Path, seeds: range, *, minutes: int = MINUTES) -> str:
    """Apply a bug to a copy of src and run seeds; what was found begins with "seed ".

    Raises:
        RuntimeError: the search itself failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name in ("src", "alembic"):
            shutil.copytree(_ROOT / name, Path(folder) / name, ignore=shutil.ignore_patterns("__pycache__"))
        apply(patch, Path(folder))
        program = _SEARCH.format(seeds=seeds, minutes=minutes, breaks=sorted(breaks(patch)))
        paths = os.pathsep.join((str(Path(folder) / "src"), str(_ROOT)))
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONPATH": paths},
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode not in (0, 1) or not done.stdout:
        raise RuntimeError(f"{patch.stem}: the search itself failed: {done.stderr[-400:]}")
    return done.stdout.strip()


def hints() -> Mapping[str, int]:
    """A seed by which each bug was found."""
    told: dict[str, int] = json.loads(_HINTS.read_text())
    return told


def main() -> int:
    """Search for each bug in turn."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.planted", description=__doc__)
    parser.add_argument("names", nargs="*", help="names of patches without .patch; all of them when none is given")
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--minutes", type=int, default=MINUTES)
    told = parser.parse_args()
    missed = 0
    for patch in patches():
        if told.names and patch.stem not in told.names:
            continue
        began = time.perf_counter()
        found = search(patch, range(told.first, told.first + told.seeds), minutes=told.minutes)
        missed += not found.startswith("seed ")
        typer.echo(f"{patch.stem}: {found} ({time.perf_counter() - began:.0f} s)")
        sys.stdout.flush()
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
