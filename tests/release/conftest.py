"""The sdist and the wheel, built once for all tests of a release, wherever pytest-xdist runs them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from tempfile import mkdtemp

import pytest

from papertiger_shm.testing import shared_fixture
from release.building import build, checkout

VARIABLE = "PAPERTIGER_TEST_RELEASE"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if VARIABLE not in os.environ:
        reason = f"builds and installs for minutes, with build and twine: tox -e release sets {VARIABLE}"
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=reason))


def remove(built: dict[str, str]) -> None:
    shutil.rmtree(built["directory"], ignore_errors=True)


@shared_fixture(reap=remove)
def built():
    """One build: paths of its ``directory``, the ``sdist`` and the ``wheel``."""
    directory = Path(mkdtemp(prefix="pt-release-"))
    out = build(checkout(directory / "checkout"), directory / "dist")
    built = {"directory": str(directory), **{kind: str(path) for kind, path in out.items()}}
    yield built
    remove(built)
