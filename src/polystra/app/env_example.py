"""Writes `.env.example` from the settings class: `python -m polystra.app.env_example [--check FILE]`.

What lives here: the layout of that file. What must not: names, defaults or explanations;
they stand in `settings`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from polystra.app.setting_secrets import SECRETS
from polystra.app.settings import default_text, known_names, note

HEADER = """\
# Settings of polystra: copy this file to .env and change what you need.
# Each line shows the default; an empty value means the default. Booleans: YES/NO, true/false, 1/0.
# A name that is not known is an error. The environment wins over this file.
# This file is generated from the settings class (make env-example)."""


def render() -> str:
    """Return the whole text of `.env.example`."""
    lines = [HEADER]
    section = ""
    for name in known_names():
        base = name.removesuffix("_FILE")
        if name != base and base in SECRETS:
            lines += [f"# or the path of a file that holds {base} as its only line", f"{name}="]
            continue
        about = note(name)
        if about.section != section:
            section = about.section
            lines += ["", f"# === {section} ==="]
        lines += [f"# {about.text} ({about.rule})", f"{name}={default_text(name)}"]
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Print the file, or with `--check FILE` say whether that file is current (exit code 1 if not)."""
    if not arguments:
        print(render(), end="")
        return 0
    if len(arguments) != 2 or arguments[0] != "--check":  # the two words of `--check FILE`
        print("usage: python -m polystra.app.env_example [--check FILE]", file=sys.stderr)
        return 2
    path = Path(arguments[1])
    if path.is_file() and path.read_text(encoding="utf-8") == render():
        return 0
    print(f"{path} is not what the settings class says: run make env-example and commit it", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
