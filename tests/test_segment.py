"""Shared memory blocks: private, sparse, reserved in steps, and nothing the resource tracker knows of."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory

import pytest

from papertiger_shm.errors import AccessDenied, ManagerUnavailable
from papertiger_shm.shm import segment as segments

linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /dev/shm")


@pytest.fixture
def name() -> Iterator[str]:
    name = segments.fresh_name()
    yield name
    segments.unlink(name)


def test_what_the_writer_writes_a_reader_reads(name: str) -> None:
    writer = segments.create(name, 1 << 20)
    writer.reserve(4096)
    writer.buffer[10:15] = b"hello"
    reader = segments.attach(name)
    assert bytes(reader.buffer[10:15]) == b"hello"
    assert reader.size == writer.size == 1 << 20
    reader.close()
    writer.close()


@linux
def test_a_reader_cannot_write(name: str) -> None:
    segments.create(name, 1 << 20).close()
    reader = segments.attach(name)
    with pytest.raises(TypeError):
        reader.buffer[0:1] = b"x"
    reader.close()


@linux
def test_a_block_is_private_from_its_first_moment_and_takes_no_memory(name: str) -> None:
    block = segments.create(name, 1 << 40)
    status = os.stat(f"/dev/shm/{name}")
    assert status.st_mode & 0o777 == 0o600
    assert status.st_blocks == 0
    block.close()


@linux
def test_memory_is_reserved_in_steps(name: str) -> None:
    block = segments.create(name, 64 << 20)
    assert block.reserve(1) == segments.STEP
    assert block.reserve(segments.STEP) == segments.STEP
    assert block.reserve(segments.STEP + 1) == 2 * segments.STEP
    assert os.stat(f"/dev/shm/{name}").st_blocks * 512 == 2 * segments.STEP
    assert block.reserve(64 << 20) == 64 << 20
    block.close()


@linux
def test_where_a_step_does_not_fit_the_bytes_that_are_needed_do(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    block = segments.create(name, 64 << 20)
    real = os.posix_fallocate

    def tight(descriptor: int, offset: int, length: int) -> None:
        if offset + length > 1 << 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor, offset, length)

    monkeypatch.setattr(os, "posix_fallocate", tight)
    assert block.reserve(100_000) == 102_400
    with pytest.raises(OSError, match="No space left") as caught:
        block.reserve((1 << 20) + 1)
    assert caught.value.errno == errno.ENOSPC
    assert block.reserve(1 << 20) == 1 << 20
    block.close()


def test_past_the_end_is_no_space(name: str) -> None:
    block = segments.create(name, 1 << 20)
    with pytest.raises(OSError, match="past the end") as caught:
        block.reserve((1 << 20) + 1)
    assert caught.value.errno == errno.ENOSPC
    block.close()


def test_a_next_writer_finds_what_was_written(name: str) -> None:
    first = segments.create(name, 1 << 20)
    first.reserve(8)
    first.buffer[0:3] = b"abc"
    first.close()
    second = segments.attach_writable(name)
    assert bytes(second.buffer[0:3]) == b"abc"
    second.buffer[0:1] = b"x"
    second.close()


def test_a_taken_name_is_refused_and_kept(name: str) -> None:
    block = segments.create(name, 1 << 20)
    with pytest.raises(FileExistsError):
        segments.create(name, 1 << 20)
    assert segments.exists(name)
    block.close()


def test_what_is_not_there_is_unavailable() -> None:
    with pytest.raises(ManagerUnavailable, match="not there any more"):
        segments.attach(segments.fresh_name())
    segments.unlink(segments.fresh_name())


@linux
def test_a_planted_link_is_refused(name: str) -> None:
    segments.create(name, 1 << 20).close()
    link = segments.fresh_name()
    os.symlink(f"/dev/shm/{name}", f"/dev/shm/{link}")
    try:
        with pytest.raises(AccessDenied):
            segments.attach(link)
    finally:
        segments.unlink(link)
    assert segments.exists(name)


@linux
def test_a_failed_attach_does_not_unlink(name: str) -> None:
    with open(f"/dev/shm/{name}", "wb"):
        pass
    os.chmod(f"/dev/shm/{name}", 0o600)
    with pytest.raises(ValueError, match="empty"):
        segments.attach_writable(name)
    assert segments.exists(name)


def test_other_blocks_are_tracked_as_ever(name: str) -> None:
    original = resource_tracker.register
    tracked = SharedMemory(create=True, size=100)
    blocks = []
    threads = [
        threading.Thread(target=lambda: blocks.append(segments.create(segments.fresh_name(), 1 << 20)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert resource_tracker.register == original
    for block in blocks:
        block.close()
        segments.unlink(block.name)
    tracked.close()
    tracked.unlink()


def test_no_tracker_process_is_started() -> None:
    script = """
from multiprocessing import resource_tracker
from papertiger_shm.shm import segment as segments
block = segments.create(segments.fresh_name(), 1 << 20)
again = segments.attach(block.name)
again.close(); block.close(); segments.unlink(block.name)
assert resource_tracker._resource_tracker._pid is None
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
