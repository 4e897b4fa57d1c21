"""Shared memory used up to the last byte: StoreFull, nothing half done, and room again after a clear.

Functions named ``in_...`` run in fresh interpreters: they import what they need and know nothing of this module.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from interpreters import run
from papertiger_shm import Events, Manager, StoreFull
from papertiger_shm.transfer import MAX_BATCH_ITEMS

from .filling import fill_and_empty, told_what_to_do
from .fresh import PYTHONPATH
from .sizes import FULL_TURNS, TMPFS_MEBIBYTES, TORTURE


def in_small_memory(mebibytes: int, turns: int) -> dict[str, Any]:
    from torture.private_memory import mount_small_memory

    denied = mount_small_memory(mebibytes)
    if denied is not None:
        return {"denied": denied}

    from papertiger_shm import Manager
    from torture.filling import fill_and_empty

    # Far more than there is, so that it is the kernel that says no.
    with Manager(max_size="4 GiB") as manager:
        return fill_and_empty(manager, turns)


def in_no_memory() -> dict[str, Any]:
    """Somebody else has taken all of it before the store, and then all that is left."""
    import os

    from torture.private_memory import mount_small_memory

    denied = mount_small_memory(16)
    if denied is not None:
        return {"denied": denied}

    from papertiger_shm import Events, Manager, StoreFull

    def take_everything(name: str) -> None:
        with open(f"/dev/shm/{name}", "wb", buffering=0) as file:
            try:
                while file.write(b"x" * 4096):
                    pass
            except OSError:
                pass

    said = []
    take_everything("theirs")
    try:
        with Manager():
            pass
    except StoreFull as full:
        said.append(str(full))
    os.unlink("/dev/shm/theirs")
    left = os.listdir("/dev/shm")
    with Manager(max_size="1 GiB") as manager, manager.connect() as connection:
        events = Events(connection, "few")
        events.insert({"id": "first", "created": 1})
        take_everything("theirs")
        count = 1
        try:
            while True:
                events.insert({"id": f"evt_{count}", "created": 1, "data": "x" * 5000})
                count += 1
        except StoreFull as full:
            said.append(str(full))
        assert len(events) == count
        assert connection.verify()
        os.unlink("/dev/shm/theirs")
        events.insert_many({"id": f"new_{n}", "created": 1, "data": "x" * 5000} for n in range(1000))
        assert len(events) == count + 1000
        connection.verify()
    return {"said": said, "left": left, "count": count}


def in_a_namespace_of_its_own(function: Any, *arguments: Any) -> Any:
    answer = run(function, *arguments, PYTHONPATH=PYTHONPATH)
    if "denied" in answer:
        assert not TORTURE, f"a /dev/shm of its own is needed: {answer['denied']}"
        pytest.skip(f"a /dev/shm of its own is needed: {answer['denied']}")
    return answer


def test_the_machines_memory_is_full(record_property: Any) -> None:
    figures = in_a_namespace_of_its_own(in_small_memory, TMPFS_MEBIBYTES, FULL_TURNS)
    record_property("figures", figures)
    print(figures)
    assert figures["reserved"] <= TMPFS_MEBIBYTES << 20
    assert min(figures["taken"]) > 0.6 * (TMPFS_MEBIBYTES << 20), figures


def test_somebody_else_takes_the_memory() -> None:
    answer = in_a_namespace_of_its_own(in_no_memory)
    before, during = answer["said"]
    assert "/dev/shm" in before
    told_what_to_do(StoreFull(during))
    assert answer["left"] == []


def test_max_size_is_used_up(record_property: Any) -> None:
    size = TMPFS_MEBIBYTES << 19
    with Manager(max_size=size) as manager:
        figures = fill_and_empty(manager, FULL_TURNS)
    record_property("figures", figures)
    print(figures)
    assert figures["reserved"] <= size
    assert min(figures["taken"]) > 0.6 * size, figures


def test_a_file_too_large_for_the_store_goes_in_batch_by_batch(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text("".join(f'{{"id": "evt_{n}", "created": 1, "data": "{"x" * 200}"}}\n' for n in range(9_000)))
    with Manager(max_size="1 MiB") as manager, manager.connect() as connection:
        events = Events(connection, "loaded")
        with pytest.raises(StoreFull) as full:
            events.load(file)
        assert len(events) > 0
        assert len(events) % MAX_BATCH_ITEMS == 0, "half a batch went in"
        assert f"{len(events):,}" in str(full.value)
        connection.verify()


@pytest.mark.parametrize("kibibytes", [64, 96, 128, 192, 256, 512])
def test_the_smallest_stores_can_be_filled_and_cleared(kibibytes: int) -> None:
    with Manager(max_size=f"{kibibytes} KiB") as manager, manager.connect() as connection:
        events = Events(connection, "small")
        for turn in range(3):
            count = 0
            try:
                while True:
                    events.insert({"id": f"evt_{turn}_{count}", "created": turn, "type": f"kind.{count}"})
                    count += 1
            except StoreFull as full:
                told_what_to_do(full)
            assert len(events) == count > 20
            assert sum(1 for _ in events) == count
            connection.verify()
            if turn % 2:
                for item in events:
                    events.delete(item["id"])
            else:
                events.clear()
            assert len(events) == 0
            connection.verify()
