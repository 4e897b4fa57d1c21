"""Lets tox find the Pythons of pyenv that are installed but not active.

pyenv keeps one interpreter per version under its root and puts shims on PATH, which refuse every version that is
not active just then; tox would skip those. Their directories are added at the end of PATH, so that whatever PATH
finds by itself still comes first. Without pyenv this file does nothing.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def pyenv_roots() -> list[Path]:
    """The places where pyenv's root may be, likeliest first."""
    roots = [Path(os.environ["PYENV_ROOT"])] if os.environ.get("PYENV_ROOT") else []
    if pyenv := shutil.which("pyenv"):
        # <root>/bin/pyenv is a link to <root>/libexec/pyenv; a pyenv of the system's has no versions beside it.
        roots.append(Path(pyenv).resolve().parent.parent)
    return [*roots, Path.home() / ".pyenv"]


def add_pyenv_versions() -> None:
    """Append the directories of pyenv's interpreters, the newest version first, to PATH."""
    for root in pyenv_roots():
        directories = [str(python.parent) for python in (root / "versions").glob("3.*/bin/python")]
        if directories:
            os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), *sorted(directories)[::-1]])
            return


add_pyenv_versions()
