"""The image's build without an engine: the Dockerfile's own lines, carried out on a root of their own.

What lives here: a root for each stage and the instructions on it. What must not: knowledge of what our image is.

Each stage's root is this machine's file system under an overlay, entered by chroot in a mount namespace: what is
written goes into a folder of ours, the machine is not changed. What the base image promises (a `python` of the
version it names in /usr/local/bin) is linked into place; the rest of the base is this machine's Debian instead.
pip finds packages as this machine is configured to. Needs root.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path

from tests.image.dockerfile import Instruction, Stage, read

REPO = Path(__file__).resolve().parents[2]
_KEPT_ENVIRONMENT = re.compile(r"PIP_|SSL_CERT|REQUESTS_CA|NIX_SSL|https?_proxy$|no_proxy$|LANG$", re.IGNORECASE)
"""How this machine reaches its packages: the build may use it, the container may not."""


def why_not() -> str:
    """Why no image can be built here; empty when one can."""
    if os.geteuid() != 0:
        return "needs root: overlay and chroot are only root's"
    for tool in ("unshare", "chroot", "mount", "setpriv"):
        if shutil.which(tool) is None:
            return f"needs the program {tool}"
    probe = (
        "mount -t tmpfs none /mnt && mkdir /mnt/u /mnt/w /mnt/m && "
        "mount -t overlay o -o lowerdir=/,upperdir=/mnt/u,workdir=/mnt/w /mnt/m"
    )
    done = subprocess.run(["unshare", "--mount", "sh", "-c", probe], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"needs overlay mounts: {done.stderr.strip()}"


class Root:
    """One stage's file system: the machine's under an overlay whose upper folder is ours."""

    def __init__(self, folder: Path) -> None:
        self.upper, self._work, self._merged = folder / "upper", folder / "work", folder / "merged"
        for each in (self.upper, self._work, self._merged):
            each.mkdir(parents=True)

    def run(
        self,
        command: Sequence[str],
        *,
        env: dict[str, str],
        cwd: str = "/",
        user: str = "",
        setup: str = "",
        timeout_s: float = 900,
        binds: Sequence[tuple[Path, str, bool]] = (),
        read_only: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        """Carry out a command in the root. `binds` are (source, target, writable); `user` is uid:gid."""
        with self.process(command, env=env, cwd=cwd, user=user, setup=setup, binds=binds, read_only=read_only) as made:
            out, err = made.communicate(timeout=timeout_s)
            return subprocess.CompletedProcess(made.args, made.returncode, out, err)

    @contextmanager
    def process(
        self,
        command: Sequence[str],
        *,
        env: dict[str, str],
        cwd: str = "/",
        user: str = "",
        setup: str = "",
        binds: Sequence[tuple[Path, str, bool]] = (),
        read_only: bool = False,
    ) -> Iterator[subprocess.Popen[str]]:
        """The same, while it runs. A user runs without any capability and without new privileges."""
        merged = self._merged
        options = f"lowerdir=/,upperdir={self.upper},workdir={self._work}"
        script = [
            "set -e",
            f"mount -t overlay overlay -o {options} {merged}",
            f"mount -t proc proc {merged}/proc",
            f"mount --rbind /dev {merged}/dev",
            setup.replace("{root}", str(merged)),
        ]
        for source, target, writable in binds:
            place = f"{merged}{target}"
            make = f"mkdir -p {place}" if source.is_dir() else f"mkdir -p $(dirname {place}) && touch {place}"
            script += [make, f"mount --bind {source} {place}"]
            script += [] if writable else [f"mount -o remount,bind,ro {place}"]
        if read_only:
            script += [f"mount -t tmpfs tmpfs {merged}/tmp", f"mount -o remount,ro {merged}"]
        shell = 'cd "$0" && exec "$@"'
        enter = ["chroot", str(merged)]
        if user:
            uid, _, gid = user.partition(":")
            enter += ["setpriv", f"--reuid={uid}", f"--regid={gid or uid}", "--clear-groups", "--no-new-privs"]
            enter += ["--inh-caps=-all", "--bounding-set=-all"]
        script.append('exec "$@"')
        whole = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", "\n".join(script), "build"]
        process = subprocess.Popen(
            [*whole, *enter, "sh", "-c", shell, cwd, *command],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            for pipe in (process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()


def build(folder: Path, dockerfile: Path = REPO / "Dockerfile") -> tuple[Stage, Root]:
    """Build every stage; returns the last one with its root. Raises RuntimeError with the step that failed."""
    context = folder / "context"
    _take_context(context)
    roots: dict[str, Root] = {}
    last: tuple[Stage, Root] | None = None
    for number, stage in enumerate(read(dockerfile)):
        root = Root(folder / f"stage{number}")
        _lay_base(stage, root)
        _carry_out(stage, root, context, roots)
        roots[stage.name] = root
        last = stage, root
    if last is None:
        raise RuntimeError("the Dockerfile has no stage")
    return last


def _carry_out(stage: Stage, root: Root, context: Path, roots: dict[str, Root]) -> None:
    env = _build_environment()
    cwd = "/"
    for step in stage.instructions:
        sys.stderr.write(f"{stage.name or stage.image}: {step.word} {step.rest}\n")
        if step.word == "ENV":
            env |= {name: value.replace("$PATH", env["PATH"]) for name, value in step.pairs().items()}
        elif step.word == "WORKDIR":
            cwd = step.rest
            (root.upper / cwd.lstrip("/")).mkdir(parents=True, exist_ok=True)
        elif step.word == "COPY":
            _copy(step, root, cwd, context, roots)
        elif step.word == "RUN":
            done = root.run(["sh", "-c", step.rest], env=env, cwd=cwd)
            if done.returncode:
                raise RuntimeError(f"RUN {step.rest} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")


def _copy(step: Instruction, root: Root, cwd: str, context: Path, roots: dict[str, Root]) -> None:
    stage, sources, destination = step.copied()
    base = roots[stage].upper if stage else context
    place = root.upper / (destination if destination.startswith("/") else f"{cwd}/{destination}").lstrip("/")
    for source in sources:
        found = base / source.lstrip("/")
        if not found.exists():
            raise RuntimeError(f"COPY {step.rest}: {source} is not there")
        if found.is_dir():
            shutil.copytree(found, place, symlinks=True, dirs_exist_ok=True)
        else:
            target = place / found.name if destination.endswith("/") or len(sources) > 1 else place
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(found, target)


def _build_environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if _KEPT_ENVIRONMENT.match(name)}
    return {"PATH": "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"} | kept


def _lay_base(stage: Stage, root: Root) -> None:
    """What the base image promises: its python, and none of this machine's people."""
    found = re.fullmatch(r"python:(3\.\d+)-slim(@sha256:[0-9a-f]{64})?", stage.image)
    if found is None:
        raise RuntimeError(f"FROM {stage.image}: not a base that is known here")
    python = _python(found[1])
    place = root.upper / "usr" / "local" / "bin"
    place.mkdir(parents=True)
    for name in ("python", "python3"):
        (place / name).symlink_to(python)
    for each in python.parents:  # the way to it must be open for everybody, as in the base image
        if str(each) != "/" and not each.stat().st_mode & 0o001:
            laid = root.upper / str(each).lstrip("/")
            laid.mkdir(parents=True, exist_ok=True)
            laid.chmod(0o755)
    hidden = root.upper / "etc"
    hidden.mkdir()
    (hidden / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n")
    (hidden / "group").write_text("root:x:0:\nnogroup:x:65534:\n")
    (hidden / "shadow").write_text("root:*:1::::::\n")
    (hidden / "gshadow").write_text("root:*::\n")


def _python(version: str) -> Path:
    """An interpreter of that version on this machine, else the one that runs this."""
    candidates = [shutil.which(f"python{version}"), str(Path(sys.base_prefix) / "bin" / f"python{version}")]
    candidates += [str(path) for path in Path(sys.base_prefix).parent.glob(f"{version}.*/bin/python{version}")]
    candidates.append(os.path.realpath(sys.executable))
    for each in (name for name in candidates if name and Path(name).exists()):
        show = "import sys, os, ensurepip; print(os.path.realpath(sys.executable))"
        done = subprocess.run([each, "-c", show], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return Path(done.stdout.strip())
    raise RuntimeError(f"no Python {version} with ensurepip on this machine")


def _take_context(context: Path) -> None:
    """What `.dockerignore` lets through, of the files that git knows."""
    lines = [line for line in (REPO / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    if lines[0] != "*":
        raise RuntimeError(".dockerignore does not begin with *")
    through = [line[1:] for line in lines if line.startswith("!")]
    names = [line.removeprefix("**/") for line in lines[1:] if not line.startswith("!")]
    patterns = [name.replace("[co]", "?") for name in names]

    def skipped(_folder: str, entries: list[str]) -> set[str]:
        return {entry for entry in entries if any(fnmatch(entry, pattern) for pattern in patterns)}

    context.mkdir(parents=True)
    for name in through:
        source = REPO / name
        if source.is_dir():
            shutil.copytree(source, context / name, ignore=skipped)
        else:
            shutil.copy2(source, context / name)
