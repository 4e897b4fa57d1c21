"""Where managers and clients meet: private, verified, and safe to remove while others arrive."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from papertiger_shm.errors import AccessDenied, InvalidRequest
from papertiger_shm.shm import rendezvous
from papertiger_shm.shm.launch import launch
from papertiger_shm.shm.rendezvous import Card, Place


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A rendezvous root of this test's own, not made yet."""
    above = tempfile.mkdtemp(prefix="pt-", dir="/tmp")
    monkeypatch.setenv("PAPERTIGER_DIR", above + "/r")
    yield Path(above, "r")
    shutil.rmtree(above)


CARD = Card(1, 2, "owned", "shm://ci", "ptshm_x", 1 << 20, 3, True, 4.5)


def mode(path: Path | str) -> int:
    return os.lstat(path).st_mode & 0o777


def test_directories_and_files_are_private_from_the_start(root: Path) -> None:
    old = os.umask(0)
    try:
        place = Place("ci")
        lock = place.hold("lock", 0)
        assert lock is not None
        place.make_key()
        place.write_card(CARD)
    finally:
        os.umask(old)
    assert mode(root) == mode(root / "ci") == 0o700
    assert {mode(file) for file in (root / "ci").iterdir()} == {0o600}
    lock.release()


def test_key_and_card_come_back(root: Path) -> None:
    place = Place("ci")
    place.open()
    assert place.card() is None
    with pytest.raises(FileNotFoundError):
        place.key()
    key = place.make_key()
    assert place.key() == key
    assert len(key) == rendezvous.KEY_BYTES
    assert place.make_key() != key
    place.write_card(CARD)
    assert place.card() == CARD
    assert rendezvous.names() == ["ci"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', "null"])
def test_a_card_that_makes_no_sense_is_none(root: Path, text: str) -> None:
    place = Place("ci")
    place.open()
    path = root / "ci" / "card"
    path.touch(0o600)
    path.write_text(text)
    assert place.card() is None


def test_a_lock_is_held_once(root: Path) -> None:
    lock = Place("ci").hold("lock", 0)
    assert lock is not None
    assert Place("ci").hold("lock", 0) is None
    lock.release()
    again = Place("ci").hold("lock", 0)
    assert again is not None
    again.release()


def test_a_removed_lock_is_nobody_s(root: Path) -> None:
    """Who waits for the lock of a manager that removes it gets a new one, not the removed file's."""
    place = Place("ci")
    lock = place.hold("lock", 0)
    assert lock is not None
    script = """
import sys
from papertiger_shm.shm.rendezvous import Place
print("waiting", flush=True)
lock = Place("ci").hold("lock", 20)
print("held", Place("ci").hold("lock", 0) is None, flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as waiter:
        assert waiter.stdout is not None
        assert waiter.stdin is not None
        assert waiter.stdout.readline() == "waiting\n"
        place.write_card(CARD)
        place.remove(lock)
        assert waiter.stdout.readline() == "held True\n"
        assert place.hold("lock", 0) is None
        waiter.stdin.close()


def test_a_directory_that_goes_before_its_lock_is_taken_is_made_private_again(root: Path) -> None:
    """A manager that stops may remove it right after it was verified; no one else may make it, with another mode."""
    gone: list[int] = []

    class Stopping(Place):
        def open(self) -> None:
            super().open()
            if not gone:
                os.rmdir(self.directory)
                os.rmdir(self.root)
                gone.append(1)

    lock = Stopping("ci").hold("lock", 5)
    assert lock is not None
    assert gone
    assert mode(root) == mode(root / "ci") == 0o700
    lock.release()


def test_a_forked_child_does_not_keep_its_parent_s_lock(root: Path) -> None:
    lock = Place("ci").hold("lock", 0)
    assert lock is not None
    parent_released, released = os.pipe()
    child = os.fork()
    if child == 0:
        kept = lock.is_held
        os.read(parent_released, 1)
        os._exit(1 if kept else 0)
    lock.release()
    again = Place("ci").hold("lock", 0)
    os.write(released, b".")
    assert os.waitpid(child, 0)[1] == 0
    assert again is not None
    again.release()
    os.close(parent_released)
    os.close(released)


def test_remove_leaves_nothing_but_a_root_that_its_user_named(root: Path) -> None:
    place = Place("ci")
    lock = place.hold("lock", 0)
    start = place.hold("start", 0)
    assert lock is not None
    assert start is not None
    place.make_key()
    place.write_card(CARD)
    place.remove(lock)
    start.release()
    assert list(root.iterdir()) == []
    assert not place.exists()


def test_remove_leaves_what_is_not_ours(root: Path) -> None:
    place = Place("ci")
    lock = place.hold("lock", 0)
    assert lock is not None
    (root / "ci" / "precious").touch()
    place.remove(lock)
    assert (root / "ci" / "precious").exists()


@pytest.mark.parametrize("which", ["root", "store"])
@pytest.mark.parametrize("how", ["link", "open", "file", "foreign"])
def test_what_is_no_private_directory_of_ours_is_refused(
    root: Path, which: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if which == "store":
        root.mkdir(0o700)
    path = root if which == "root" else root / "ci"
    if how == "link":
        real = root.parent / "real"
        real.mkdir(0o700)
        path.symlink_to(real)
    elif how == "file":
        path.touch()
    else:
        path.mkdir(0o700)
        if how == "open":
            path.chmod(0o750)
    if how == "foreign":
        lstat = os.lstat

        def foreign(name: str, **options: int) -> os.stat_result:
            found = list(lstat(name, **options))
            if str(name) == str(path):
                found[4] += 1
            return os.stat_result(found)

        monkeypatch.setattr(os, "lstat", foreign)
    place = Place("ci")
    for attempt in (
        place.open,
        place.exists,
        place.key,
        lambda: place.hold("lock", 0),
        lambda: launch(place, kind="owned", max_size=1 << 20),
    ):
        with pytest.raises(AccessDenied, match=str(path)) as caught:
            attempt()
        assert "PAPERTIGER_DIR" in str(caught.value)
    assert os.path.lexists(path)


def test_an_empty_directory_in_a_root_that_is_refused_stays(root: Path) -> None:
    """``PAPERTIGER_DIR`` may be its user's home, and the name that of a directory there."""
    root.mkdir(0o700)
    root.chmod(0o750)
    (root / "ci").mkdir(0o700)
    with pytest.raises(AccessDenied, match=str(root)):
        launch(Place("ci"), kind="owned", max_size=1 << 20)
    assert (root / "ci").is_dir()


@pytest.mark.parametrize("file", ["key", "card"])
@pytest.mark.parametrize("how", ["link", "open"])
def test_planted_files_are_refused(root: Path, file: str, how: str) -> None:
    place = Place("ci")
    place.open()
    path = root / "ci" / file
    if how == "link":
        path.symlink_to("/etc/passwd")
    else:
        path.touch(0o644)
        path.chmod(0o644)
    with pytest.raises(AccessDenied, match=str(path)):
        place.key() if file == "key" else place.card()


def test_a_planted_lock_link_is_refused(root: Path) -> None:
    place = Place("ci")
    place.open()
    victim = root / "victim"
    victim.write_text("precious")
    (root / "ci" / "lock").symlink_to(victim)
    with pytest.raises(AccessDenied, match="lock"):
        place.hold("lock", 0)
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "-x", "a b", "x" * 65, "a\n", "ä", None, 5])
def test_names_that_cannot_be_used(name: str) -> None:
    with pytest.raises(InvalidRequest, match="1 to 64 letters"):
        Place(name)


@pytest.mark.parametrize("name", ["a", "9", "A.b_c-d", "x" * 64])
def test_names_that_can(root: Path, name: str) -> None:
    assert Place(name).url == "shm://" + name


def test_a_path_too_long_for_a_socket_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPERTIGER_DIR", "/tmp/" + "x" * 100)
    with pytest.raises(InvalidRequest, match="PAPERTIGER_DIR"):
        Place("ci")


def test_the_default_place_depends_on_the_user_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PAPERTIGER_DIR")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/12345")
    monkeypatch.setenv("TMPDIR", "/var/tmp")
    assert rendezvous.runtime_directory() == f"/tmp/papertiger-shm-{os.geteuid()}"
    assert len(Place("x" * 64).socket) <= 103
