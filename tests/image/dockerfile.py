"""The Dockerfile, read into stages of instructions: as much of the language as ours uses, and no more.

What lives here: reading. What must not: carrying anything out (`build`). A form that is not known is an error.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

KNOWN = ("FROM", "ENV", "WORKDIR", "COPY", "RUN", "USER", "VOLUME", "STOPSIGNAL", "ENTRYPOINT", "CMD")


@dataclass(frozen=True)
class Instruction:
    """One instruction with the rest of its line, continuations joined."""

    word: str
    rest: str

    def pairs(self) -> dict[str, str]:
        """The pairs of an ENV."""
        return dict(part.split("=", 1) for part in shlex.split(self.rest))

    def copied(self) -> tuple[str, list[str], str]:
        """Of a COPY: the stage it comes from (empty: the context), the sources, the destination."""
        words = self.rest.split()
        stage = ""
        if words[0].startswith("--from="):
            stage = words.pop(0).removeprefix("--from=")
        if any(word.startswith("--") for word in words):
            raise ValueError(f"COPY {self.rest}: an option that is not known")
        return stage, words[:-1], words[-1]

    def exec_form(self) -> list[str]:
        """The words of an ENTRYPOINT or CMD."""
        if not self.rest.startswith("["):
            raise ValueError(f"{self.word} {self.rest}: not in the exec form")
        return [str(word) for word in json.loads(self.rest)]


@dataclass
class Stage:
    """From one FROM to the next."""

    image: str
    name: str
    instructions: list[Instruction] = field(default_factory=list)

    def all(self, word: str) -> list[Instruction]:
        """Every instruction of one kind, in order."""
        return [each for each in self.instructions if each.word == word]

    def env(self) -> dict[str, str]:
        """What the stage's ENV lines set, later ones over earlier ones; $PATH stands."""
        found: dict[str, str] = {}
        for each in self.all("ENV"):
            found |= each.pairs()
        return found


def read(path: Path) -> list[Stage]:
    """Read a Dockerfile; raises ValueError for a form that is not known here."""
    joined = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE))
    stages: list[Stage] = []
    for line in filter(None, (line.strip() for line in joined.splitlines())):
        word, _, rest = line.partition(" ")
        if word not in KNOWN:
            raise ValueError(f"{word} is not known")
        if word == "FROM":
            image, _, name = rest.partition(" AS ")
            stages.append(Stage(image, name))
        else:
            stages[-1].instructions.append(Instruction(word, rest.strip()))
    return stages
