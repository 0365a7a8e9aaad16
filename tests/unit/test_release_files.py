"""What a release is made of: the workflow, the wheel, the papers for those who change or attack the code."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

import polystra

ROOT = Path(__file__).parents[2]
WORKFLOW = ROOT / ".github" / "workflows" / "ci.yml"


@pytest.fixture(scope="module")
def jobs() -> dict[str, Any]:
    told = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    assert told["permissions"] == {"contents": "read"}
    return dict(told["jobs"])


def steps(jobs: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in jobs.values() for step in job["steps"]]


def commands(jobs: dict[str, Any]) -> str:
    return "\n".join(step["run"] for step in steps(jobs) if "run" in step)


def test_the_workflow_tests_every_python_that_the_project_names(jobs: dict[str, Any]) -> None:
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    named = [each.rpartition(" ")[2] for each in classifiers if re.search(r":: 3\.\d+$", each)]
    assert jobs["test"]["strategy"]["matrix"]["python"] == named


def test_every_action_is_named_by_commit_and_keeps_no_credentials(jobs: dict[str, Any]) -> None:
    used = [step for step in steps(jobs) if "uses" in step]
    assert used
    for step in used:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", step["uses"]), step["uses"]
        if step["uses"].startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_every_job_ends_by_itself(jobs: dict[str, Any]) -> None:
    assert all(job["timeout-minutes"] <= 180 for job in jobs.values())


def test_the_workflow_calls_targets_and_files_that_exist(jobs: dict[str, Any]) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    called = re.findall(r"\bmake ([a-z-]+)", commands(jobs))
    assert {"test", "test-all"} <= set(called) <= targets
    for name in re.findall(r"-r (\S+\.lock)", commands(jobs)):
        assert (ROOT / name).is_file(), name


def test_the_image_is_built_with_its_bill_of_materials(jobs: dict[str, Any]) -> None:
    assert "--sbom=true" in commands(jobs)
    assert (ROOT / "Dockerfile").is_file()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert built.returncode == 0, built.stderr
    [path] = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_bears_the_version_of_the_code(wheel: zipfile.ZipFile) -> None:
    [about] = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    assert f"\nVersion: {polystra.__version__}\n" in wheel.read(about).decode()
    assert Path(str(wheel.filename)).name.startswith(f"polystra-{polystra.__version__}-")


def test_the_wheel_carries_every_migration_and_no_test(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    for path in (ROOT / "alembic").rglob("*.py"):
        assert f"polystra/migrations/{path.relative_to(ROOT / 'alembic').as_posix()}" in names
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/"))]


def test_the_wheel_carries_every_file_of_the_package(wheel: zipfile.ZipFile) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "src/polystra"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
    if not tracked:
        pytest.skip("not a git checkout: the files of the package are not known")
    missing = {path.removeprefix("src/") for path in tracked} - set(wheel.namelist())
    assert not missing


def test_the_changelog_has_the_version_or_the_next_one() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [{polystra.__version__}]" in text or "## [Unreleased]" in text


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "SECURITY.md"])
def test_what_the_papers_name_exists(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert (ROOT / link).is_file(), link
    for path in re.findall(r"`((?:src|tests|docs|alembic/versions|\.github)/[\w./-]+)`", text):
        assert (ROOT / path).exists(), path
    for path in re.findall(r"`((?:ports|app|adapters|engine)/[\w./-]*)`", text):
        assert (ROOT / "src" / "polystra" / path).exists(), path


def test_contributing_tells_how_to_add_what_people_add() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert {"Add a migration", "Add a signal", "Add a venue"} <= set(headings)
