"""ARCHITECTURE.md and the tree agree: every folder named exists, every folder that exists is named."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "ARCHITECTURE.md").read_text()
PACKAGE = ROOT / "src" / "polystra"


def code_map() -> list[str]:
    block = TEXT.split("```")[1]
    return re.findall(r"^\s+([a-z]+)/\s", block, flags=re.MULTILINE)


def folders() -> set[str]:
    return {path.parent.name for path in PACKAGE.rglob("__init__.py")} - {"polystra"}


def test_the_code_map_names_exactly_the_folders_that_exist() -> None:
    named = code_map()
    assert sorted(named) == sorted(set(named))
    assert set(named) == folders()


def test_every_module_that_the_text_names_exists() -> None:
    named = set(re.findall(r"`([a-z_/]+\.py)`", TEXT))
    assert named
    homes = (PACKAGE, ROOT, ROOT / "tests")
    missing = [name for name in named if not any((home / name).is_file() for home in homes)]
    assert missing == []


def test_every_invariant_names_guards_that_exist() -> None:
    rows = re.findall(r"^\| (I\d+) \|.*\| (.*) \|$", TEXT, flags=re.MULTILINE)
    assert [row[0] for row in rows] == [f"I{number}" for number in range(1, 16)]
    for invariant, cell in rows:
        guards = re.findall(r"`([\w/]+\.py)(?:::(\w+))?`", cell)
        assert guards, f"{invariant} names no guard"
        for path, test in guards:
            file = ROOT / "tests" / path
            assert file.is_file(), f"{invariant}: {path} does not exist"
            assert not test or f"def {test}(" in file.read_text(), f"{invariant}: {test} is not in {path}"
