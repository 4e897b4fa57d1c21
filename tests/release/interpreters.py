"""The Pythons at hand, and empty environments of theirs with one distribution file installed. No test enters here."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

LOWEST = (3, 10)
SECONDS = 300.0


def at_hand() -> dict[str, str]:
    """Path by version, as ``{"3.11": "/usr/bin/python3.11"}``: of each version the first on PATH that runs."""
    found: dict[str, str] = {}
    for directory in os.environ["PATH"].split(os.pathsep):
        for path in sorted(Path(directory).glob("python3.*")):
            version = path.name.removeprefix("python")
            if re.fullmatch(r"3\.\d+", version) and version not in found and _runs(path, version):
                found[version] = str(path)
    return dict(sorted(found.items(), key=lambda item: _number(item[0])))


def _runs(path: Path, version: str) -> bool:
    """Whether it is what its name says, for us, and makes environments; a shim of pyenv's may refuse to start."""
    if _number(version) < LOWEST:
        return False
    # A test environment's own Python is no good: what is installed in it would be in the new one's way.
    code = "import ensurepip, sys, venv; print('%d.%d' % sys.version_info[:2], sys.prefix == sys.base_prefix)"
    done = subprocess.run([path, "-c", code], capture_output=True, text=True, timeout=SECONDS, check=False)
    return done.returncode == 0 and done.stdout.split() == [version, "True"]


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


class Environment:
    """An empty environment in ``directory``, into which ``requirement`` was installed as a user would."""

    def __init__(self, python: str, directory: Path, requirement: str) -> None:
        self._bin = directory / "bin"
        self._home = directory
        subprocess.run([python, "-m", "venv", directory], check=True, timeout=SECONDS)
        self._run(self._bin / "pip", "install", "-q", requirement, environment=dict(os.environ))

    def python(self, script: str) -> str:
        """What the script prints. Nothing is inherited: no variable of the shell, and no current directory."""
        return self._run(self._bin / "python", "-W", "error", "-c", script)

    def command(self, name: str, *arguments: str) -> str:
        """What the installed command prints."""
        return self._run(self._bin / name, *arguments)

    def _run(self, *command: str | Path, environment: dict[str, str] | None = None) -> str:
        done = subprocess.run(
            command,
            cwd=self._home,
            env=environment or {"PATH": "/usr/bin:/bin", "HOME": str(self._home)},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout
