"""What is uploaded: the same bytes whoever builds it, complete, with nothing in it that git does not know."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from release.building import build, checkout, tracked

PACKAGE = "src/papertiger_shm/"


def test_whoever_builds_it_gets_the_same_bytes(built: dict[str, str], tmp_path: Path) -> None:
    elsewhere = checkout(tmp_path / "a checkout of another name")
    for path in elsewhere.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
        path.chmod(0o700 if path.is_dir() else 0o600)  # as whoever works with umask 077 has them
    again = build(elsewhere, tmp_path / "dist", umask=0o077)
    assert again.keys() == {"sdist", "wheel"}
    for kind, path in again.items():
        assert path.read_bytes() == Path(built[kind]).read_bytes(), kind


def test_the_wheel_of_the_sdist_is_the_wheel_of_the_tree(built: dict[str, str], tmp_path: Path) -> None:
    straight = build(checkout(tmp_path / "tree"), tmp_path / "dist", "--wheel")
    assert straight["wheel"].read_bytes() == Path(built["wheel"]).read_bytes()


def test_the_index_would_accept_it(built: dict[str, str]) -> None:
    command = [sys.executable, "-m", "twine", "check", "--strict", built["sdist"], built["wheel"]]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout.count("PASSED")) == (0, 2), done.stdout + done.stderr


def test_the_wheel_holds_the_package_and_nothing_else(built: dict[str, str]) -> None:
    with zipfile.ZipFile(built["wheel"]) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
        licences = {Path(name).name for name in wheel.namelist() if ".dist-info/licenses/" in name}
    assert names == {name.removeprefix("src/") for name in tracked() if name.startswith(PACKAGE)}
    assert licences == {"LICENSE", "NOTICE"}


def test_the_sdist_holds_all_that_git_knows(built: dict[str, str]) -> None:
    with tarfile.open(built["sdist"]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert names == tracked() | {"PKG-INFO"}
