"""`python -m tests.image [FOLDER]`: build the image without an engine and run its command as its user.

Prints each step; ends with 0 when the daemon ran, was healthy, and stopped in order. As root, without a container
engine; pip finds packages as this machine is configured to.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.image.build import build, why_not
from tests.image.container import Container


def main() -> int:
    """Build, migrate, run, probe, stop."""
    reason = why_not()
    if reason:
        sys.stderr.write(f"not possible here: {reason}\n")
        return 2
    with TemporaryDirectory(prefix="polystra-image-") as made:
        folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(made)
        stage, root = build(folder)
        container = Container(stage, root, folder)
        for line in container.live():
            sys.stderr.write(f"{line}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
