"""The one command: `python -m benchmarks [--only NAME ...] [--quick] [--json FILE]`, or `make bench`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter
from typing import Final

from benchmarks import decode, durability, hygiene, memory, scale, sign, throughput, tick
from benchmarks.figures import Report, say
from benchmarks.rounds import be_urgent

SECTIONS: Final[Mapping[str, Callable[..., None]]] = {
    "sign": sign.measure,
    "decode": decode.measure,
    "tick": tick.measure,
    "durability": durability.measure,
    "scale": scale.measure,
    "throughput": throughput.measure,
    "memory": memory.measure,
    "hygiene": hygiene.measure,
}


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", action="append", choices=[*SECTIONS], help="this part alone; may be repeated")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    options = parser.parse_args()
    be_urgent()
    report = Report()
    begun = perf_counter()
    for name in options.only or SECTIONS:
        SECTIONS[name](report, quick=options.quick)
    seconds = perf_counter() - begun
    say(f"\n{report.summary()}; {seconds:.0f} s")
    if options.json is not None:
        report.write(options.json, seconds=seconds)


if __name__ == "__main__":
    main()
