"""Scenario files: the examples are read, wrong ones are named by file, entry, key, value and remedy."""

from pathlib import Path

import pytest

from polystra.domain.errors import ConfigError
from polystra.exchange.faults.catalogue import CATALOGUE
from polystra.exchange.faults.plan import read_plan
from polystra.exchange.faults.scenario import load_scenario

EXAMPLES = Path(__file__).resolve().parents[4] / "docs" / "scenarios"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_examples_can_be_read(path: Path) -> None:
    assert load_scenario(path)


def test_there_are_examples() -> None:
    assert len(list(EXAMPLES.glob("*.yaml"))) >= 3


@pytest.mark.parametrize("kind", CATALOGUE)
def test_every_kind_has_defaults(kind: str) -> None:
    plan = read_plan({"fault": kind}, "entry")
    assert set(plan.parameters) == set(CATALOGUE[kind].parameters)
    assert plan.family


WRONG = {
    "no yaml": ("faults: [", "is not YAML (line 1", "mend"),
    "a list": ("- 1", "holds no mapping", "faults:"),
    "no faults": ("name: x", "faults is None", "at least one"),
    "another key": ("faults: [{fault: half_open}]\nspeed: 3", "key 'speed'", "choose name"),
    "an unknown kind": ("faults: [{fault: rain}]", "entry 1: fault is 'rain'", "choose one of request_dropped"),
    "no kind": ("faults: [{count: 1}]", "entry 1: fault is None", "choose one of"),
    "text for an entry": ("faults: [rain]", "entry 1 is 'rain'", "expected a mapping"),
    "an unknown entry key": ("faults: [{fault: half_open, often: 2}]", "'often' (value 2)", "choose fault"),
    "a probability above one": (
        "faults: [{fault: half_open}, {fault: half_open, probability: 30}]",
        "entry 2 (half_open): probability is 30",
        "from 1e-06 to 1",
    ),
    "no whole count": ("faults: [{fault: half_open, count: 1.5}]", "count is 1.5", "a whole number"),
    "a truth for a number": ("faults: [{fault: half_open, count: yes}]", "count is True", "a whole number"),
    "no number": ("faults: [{fault: half_open, from: .nan}]", "from is nan", "expected a number"),
    "an empty window": ("faults: [{fault: half_open, from: 9, until: 9}]", "until is 9", "more than from"),
    "another place": ("faults: [{fault: half_open, where: {path: /order}}]", "where: 'path'", "choose stream"),
    "another stream": ("faults: [{fault: half_open, where: {stream: news}}]", "stream is 'news'", "market, user"),
    "a number for a place": ("faults: [{fault: half_open, where: {stream: 3}}]", "stream is 3", "in quotes"),
    "another parameter": ("faults: [{fault: empty_body, with: {status: 500}}]", "with: 'status'", "leave it out"),
    "a wrong word": ("faults: [{fault: http_error, with: {when: now}}]", "when is 'now'", "before, after"),
    "a status that is no error": ("faults: [{fault: http_error, with: {status: 200}}]", "status is 200", "400 to 599"),
    "text that is none": ("faults: [{fault: http_error, with: {text: 3}}]", "text is 3", "in quotes"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said_in_one_line(name: str, tmp_path: Path) -> None:
    text, found, remedy = WRONG[name]
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_scenario(path)
    sentence = str(caught.value)
    assert sentence.startswith(f"--scenario {path}")
    assert found in sentence
    assert remedy in sentence
    assert "\n" not in sentence


def test_a_file_that_is_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_scenario(tmp_path / "none.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_scenario(tmp_path / "bytes.yaml")
