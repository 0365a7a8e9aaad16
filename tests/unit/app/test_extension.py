"""Loading a user's strategy: every way in which it fails is one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from polystra.app.extension import load_advisor
from polystra.domain.errors import ConfigError

GOOD = "class Mine:\n    def decide(self, view, fused, signals):\n        return None\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.py"
    path.write_text(text)
    return path


def test_a_class_is_made_anew_for_each_run(tmp_path: Path) -> None:
    named = f"{written(tmp_path, GOOD)}:Mine"
    first, second = load_advisor(named), load_advisor(named)
    assert type(first).__name__ == "Mine"
    assert first is not second


def test_the_example_of_the_documentation_is_one() -> None:
    example = Path(__file__).parents[3] / "docs" / "examples" / "late_leader.py"
    assert callable(load_advisor(f"{example}:LateLeader").decide)


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        (GOOD, "Other", "does not have"),
        ("raise OSError('no disk\\nat all')", "Mine", "OSError: no disk at all"),
        ("def (:", "Mine", "SyntaxError"),
        ("class Mine:\n    def __init__(self, x): pass\n", "Mine", "TypeError"),
        ("class Mine: pass\n", "Mine", "has no decide"),
        ("import nothing_like_this\n", "Mine", "ModuleNotFoundError"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_sentence(tmp_path: Path, text: str, name: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        load_advisor(f"{written(tmp_path, text)}:{name}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "named", ["Mine", "mine.py", "mine.py:", ":Mine", "mine.py:1x", "nowhere.py:Mine", "/tmp:Mine"]
)
def test_a_name_that_is_none(named: str) -> None:
    with pytest.raises(ConfigError, match="STRATEGY"):
        load_advisor(named)
