"""Building what is released, from what git knows. Nothing is installed here."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SECONDS = 300.0


def tracked() -> set[str]:
    """The files that git knows, as paths below the root."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, timeout=SECONDS)
    return set(filter(None, listed.stdout.decode().split("\0")))


def checkout(directory: Path) -> Path:
    """Those files in ``directory``, as in a fresh clone, with the times and modes of just now."""
    for name in tracked():
        target = directory / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target)
    return directory


def build(source: Path, out: Path, *kinds: str, umask: int = 0o022) -> dict[str, Path]:
    """``{"sdist": path, "wheel": path}``: the sdist, and the wheel from it; with ``"--wheel"`` the wheel alone."""
    command = [sys.executable, "-m", "build", "--no-isolation", *kinds, "--outdir", str(out), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS, umask=umask)
    assert done.returncode == 0, done.stdout + done.stderr
    return {"wheel" if path.suffix == ".whl" else "sdist": path for path in out.iterdir() if path.name[0] != "."}
