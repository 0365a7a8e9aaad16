"""The Dockerfile as the build without an engine reads it, and that build itself where it is possible."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.image.build import REPO, build, why_not
from tests.image.container import Container
from tests.image.dockerfile import read


def written(folder: Path, text: str) -> Path:
    path = folder / "Dockerfile"
    path.write_text(text)
    return path


def test_the_dockerfile_is_read_into_stages() -> None:
    first, last = read(REPO / "Dockerfile")
    assert (first.name, first.image, last.name) == ("build", last.image, "")
    assert [each.word for each in last.instructions if each.word in ("USER", "ENTRYPOINT", "CMD")] == [
        "USER",
        "ENTRYPOINT",
        "CMD",
    ]
    assert last.env()["DATA_DIR"] == "/data"
    assert last.all("ENTRYPOINT")[0].exec_form() == ["polystra"]
    [copied] = [each.copied() for each in last.all("COPY")]
    assert copied == ("build", ["/opt/polystra"], "/opt/polystra")


def test_continuations_and_comments_are_joined_and_dropped(tmp_path: Path) -> None:
    text = '# a comment\nFROM x AS one\nRUN a \\\n # inside\n && b\nENV A=1 \\\n    B="two words"\n'
    [stage] = read(written(tmp_path, text))
    run = stage.instructions[0]
    assert (run.word, run.rest.split()) == ("RUN", ["a", "&&", "b"])
    assert stage.env() == {"A": "1", "B": "two words"}


@pytest.mark.parametrize(
    ("line", "words"),
    [("ADD x y", "ADD is not known"), ("COPY --chown=1 x y", "an option"), ("CMD run", "not in the exec form")],
)
def test_a_form_that_is_not_known_is_an_error(tmp_path: Path, line: str, words: str) -> None:
    path = written(tmp_path, f"FROM x\n{line}\n")

    def use() -> None:
        for each in read(path)[0].instructions:
            each.copied() if each.word == "COPY" else each.exec_form()

    with pytest.raises(ValueError, match=words):
        use()


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_the_image_builds_and_its_command_lives_as_its_user(tmp_path: Path) -> None:
    """The Dockerfile's own lines on a root of their own, then the container's commands as compose starts them."""
    if why_not():
        pytest.skip(why_not())
    stage, root = build(tmp_path)
    container = Container(stage, root, tmp_path)
    assert container.exec("id", "-u").stdout.strip() == "1000"
    for place in ("/opt/polystra/x", "/app/x", "/app/.env", "/etc/x"):
        done = container.exec("sh", "-c", f"echo x >> {place}")
        assert done.returncode != 0, place
        assert "Read-only" in done.stderr or "denied" in done.stderr
    for place in ("/data/x", "/tmp/x"):
        assert container.exec("sh", "-c", f"echo x > {place}").returncode == 0, place
    assert "CapEff:\t0000000000000000" in container.exec("cat", "/proc/self/status").stdout
    told = list(container.live())
    assert told[0].startswith("migrate: migrated from an empty database")
    assert told[1].startswith("healthy: ")
    assert "shutdown.completed" in told[-1]
