"""The container's commands in the root that was built, as the compose file would start them.

What lives here: user, environment and volumes of the image, and one life: migrate, run, probe, stop. What must
not: building. The root is read-only, /tmp is a tmpfs, /data the only place that may be written; the user is the
image's, without capabilities and without a way to new ones.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tests.image.build import REPO, Root
from tests.image.dockerfile import Stage

DEADLINE_S = 180.0


class Container:
    """The built image with a volume and the example settings."""

    def __init__(self, stage: Stage, root: Root, folder: Path) -> None:
        self._root = root
        self.user = stage.all("USER")[-1].rest
        self.cwd = stage.all("WORKDIR")[-1].rest
        path = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
        self.env = {"PATH": path, "HOME": "/data"}
        self.env |= {name: value.replace("$PATH", path) for name, value in stage.env().items()}
        self.entrypoint = stage.all("ENTRYPOINT")[-1].exec_form()
        self.command = stage.all("CMD")[-1].exec_form()
        self.data = folder / "data"
        self.data.mkdir()
        uid, _, gid = self.user.partition(":")
        os.chown(self.data, int(uid), int(gid))
        self.data.chmod(0o700)
        env_file = folder / "env"
        env_file.write_bytes((REPO / ".env.example").read_bytes())
        self._binds = [(self.data, "/data", True), (env_file, f"{self.cwd}/.env", False)]

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """`docker compose run --rm polystra COMMAND`."""
        return self.exec(*self.entrypoint, *command)

    def exec(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Any program in the container."""
        return self._root.run(
            command, env=self.env, cwd=self.cwd, user=self.user, binds=self._binds, read_only=True, timeout_s=DEADLINE_S
        )

    def live(self) -> Iterator[str]:
        """Migrate, run the image's own command until it is healthy, stop it; yields what was seen.

        Raises RuntimeError with what went wrong.
        """
        yield self._ended_well("migrate", self.run("db", "upgrade"))
        command = [*self.entrypoint, *self.command]
        with self._root.process(
            command, env=self.env, cwd=self.cwd, user=self.user, binds=self._binds, read_only=True
        ) as daemon:
            reading = threading.Thread(target=lambda: lines.extend(daemon.stdout or ()), daemon=True)
            lines: list[str] = []
            reading.start()
            yield self._healthy(daemon, lines)
            yield self._ended_well("backup under the daemon", self.run("db", "backup"))
            _terminate(daemon.pid)
            code = daemon.wait(DEADLINE_S)
            reading.join(DEADLINE_S)
            if code != 0 or not any("shutdown.completed" in line for line in lines):
                raise RuntimeError(f"the daemon ended with {code}: {''.join(lines[-5:])}")
            yield next(line.strip() for line in reversed(lines) if "shutdown.completed" in line)

    def _healthy(self, daemon: subprocess.Popen[str], lines: list[str]) -> str:
        deadline = time.monotonic() + DEADLINE_S
        while True:
            told = self.exec("polystra-health")
            if told.returncode == 0 and "(away)" not in told.stdout:
                return told.stdout.strip()
            if daemon.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"not healthy: {told.stdout} {told.stderr} {''.join(lines[-5:])}")

    @staticmethod
    def _ended_well(name: str, done: subprocess.CompletedProcess[str]) -> str:
        if done.returncode:
            raise RuntimeError(f"{name} ended with {done.returncode}: {done.stdout} {done.stderr}")
        return f"{name}: {done.stdout.strip()}"


def _terminate(unshared: int) -> None:
    """SIGTERM to the first process of the new namespace, which is the daemon, as `docker stop` would send it."""
    children = Path(f"/proc/{unshared}/task/{unshared}/children").read_text().split()
    os.kill(int(children[0]), signal.SIGTERM)
