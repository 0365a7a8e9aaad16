"""The file of inbound hooks."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest

from polystra.app.hook_file import read_hooks
from polystra.domain.errors import ConfigError
from polystra.domain.wishes import SignalAct

A, B = "a" * 20, "b" * 20


def written(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "hooks.yaml"
    path.write_text(text)
    path.chmod(mode)
    return path


def refusal(folder: Path, text: str, mode: int = 0o600) -> str:
    with pytest.raises(ConfigError) as caught:
        read_hooks(written(folder, text, mode))
    words = str(caught.value)
    assert "\n" not in words
    assert A not in words
    return words


def test_a_hook_with_its_defaults_is_not_live(tmp_path: Path) -> None:
    [hook] = read_hooks(written(tmp_path, f"tv:\n  secret: {A}\n  path_secret: {B}\n"))
    assert (hook.name, hook.secret, hook.path_secret) == ("tv", A, B)
    assert not hook.live
    assert hook.acts == tuple(SignalAct)
    assert (hook.max_budget, hook.per_minute, hook.max_age_s) == (5_000_000, 6, 60)
    assert A not in repr(hook)


def test_every_field_is_read(tmp_path: Path) -> None:
    text = f"""
tv:
  secret: {A}
  path_secret: {B}
  live: yes
  actions: [close]
  markets: [BTC/15m]
  allow: [203.0.113.7, "2001:db8::/32"]
  max_dollars: 0.1
  per_minute: 60
  max_age_seconds: 10
"""
    [hook] = read_hooks(written(tmp_path, text))
    assert hook.live
    assert hook.acts == (SignalAct.CLOSE,)
    assert hook.markets == ("BTC/15m",)
    assert hook.allow == (ip_network("203.0.113.7/32"), ip_network("2001:db8::/32"))
    assert (hook.max_budget, hook.per_minute, hook.max_age_s) == (100_000, 60, 10)


GOOD = f"secret: {A}, path_secret: {B}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names no hook"),
        ("- tv\n", "names no hook"),
        ("tv: [\n", "is not YAML"),
        ("tv:\n", "the first two are needed"),
        (f"tv: {{secret: {A}}}", "the first two are needed"),
        (f"Tv!: {{{GOOD}}}", "small letters"),
        (f"tv: {{{GOOD}, lve: yes}}", "it takes"),
        (f"tv: {{{GOOD}, live: perhaps}}", "live does not fit, expected yes or no"),
        (f"tv: {{{GOOD}, actions: [buy]}}", "actions does not fit, expected some of open, add, close"),
        (f"tv: {{{GOOD}, allow: [nobody]}}", "allow does not fit"),
        (f"tv: {{{GOOD}, max_dollars: -1}}", "max_dollars does not fit"),
        (f"tv: {{{GOOD}, max_dollars: lots}}", "max_dollars does not fit"),
        (f"tv: {{{GOOD}, per_minute: 0}}", "per_minute does not fit"),
        (f"tv: {{secret: short, path_secret: {B}}}", "secret does not fit"),
        (f"tv: {{secret: {A}, path_secret: {A}}}", "uses one secret twice"),
        (f"tv: {{{GOOD}}}\nother: {{secret: {A}, path_secret: {'c' * 20}}}", "uses one secret twice"),
    ],
)
def test_what_does_not_fit_is_one_sentence_without_a_secret(tmp_path: Path, text: str, words: str) -> None:
    assert words in refusal(tmp_path, text)


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    assert "chmod 600" in refusal(tmp_path, f"tv: {{{GOOD}}}", mode)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_hooks(tmp_path / "none.yaml")


@pytest.mark.parametrize("text", ["tv: 2026-13-45\n", "[" * 5_000])
def test_what_the_reader_of_yaml_stumbles_over_is_a_sentence_too(tmp_path: Path, text: str) -> None:
    words = refusal(tmp_path, text)
    assert "cannot be read" in words or "is not YAML" in words  # brackets end the stack or the reader's patience


def test_an_amount_without_end_and_a_secret_with_a_line_break_are_refused(tmp_path: Path) -> None:
    assert "max_dollars" in refusal(tmp_path, f"tv: {{secret: {A}, path_secret: {B}, max_dollars: 1e{'9' * 18}}}\n")
    assert "secret does not fit" in refusal(tmp_path, f"tv:\n  path_secret: {B}\n  secret: |\n    {A}\n")
