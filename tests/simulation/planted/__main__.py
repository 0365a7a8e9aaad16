"""Search for every planted bug: `python -m tests.simulation.planted`, or with the names of some.

Each patch is applied to a copy of src and seeds are run until one breaks an invariant; the seed and the
words are printed. Exit code 1 when a bug was not found within the limit.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import typer

from tests.simulation.planted.patches import apply, patches

_ROOT = Path(__file__).parents[3]
_SEARCH = """
import sys
from tests.simulation.search_plan import draw
from tests.simulation.search_run import run_plan
for seed in range({first}, {first} + {seeds}):
    verdict = run_plan(draw(seed, minutes={minutes}, profile="full"))
    if verdict.broken:
        print(f"seed {{seed}}: {{verdict.broken[0][:240]}}")
        sys.exit(1)
"""


def search(patch: Path, *, first: int, seeds: int, minutes: int) -> str:
    """Apply a bug to a copy of src and run seeds; what was found, or the empty string."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("src", "alembic"):
            shutil.copytree(_ROOT / name, Path(folder) / name)
        apply(patch, Path(folder))
        program = _SEARCH.format(first=first, seeds=seeds, minutes=minutes)
        paths = os.pathsep.join((str(Path(folder) / "src"), str(_ROOT)))
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONPATH": paths},
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode not in (0, 1) or (done.returncode and not done.stdout):
            return f"the search itself failed: {done.stderr[-400:]}"
        return done.stdout.strip()


def main() -> int:
    """Search for each bug in turn."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.planted", description=__doc__)
    parser.add_argument("names", nargs="*", help="names of patches without .patch; all of them when none is given")
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--minutes", type=int, default=10)
    told = parser.parse_args()
    missed = 0
    for patch in patches():
        if told.names and patch.stem not in told.names:
            continue
        found = search(patch, first=told.first, seeds=told.seeds, minutes=told.minutes)
        missed += not found.startswith("seed ")
        typer.echo(f"{patch.stem}: {found or f'NOT FOUND in {told.seeds} seeds'}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
