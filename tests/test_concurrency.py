"""One process writes the same keys as fast as it can, three read them: nothing torn, mixed, missing, stale or slow.

``PAPERTIGER_TEST_SECONDS`` says for how long, 4 if it is not set. Functions named ``in_...`` run in fresh
interpreters: they import what they need and know nothing of this module.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from interpreters import Interpreter
from papertiger_shm import Connection, Events, Manager

SECONDS = float(os.environ.get("PAPERTIGER_TEST_SECONDS", "4"))
READERS = 3
KEYS = 40
KINDS = 4
SLOWEST = 20.0
"""Seconds: far beyond what a busy machine takes, and far below for ever."""


def in_writer(url: str, keys: int, kinds: int) -> dict[str, int]:
    """Write until told to stop: rounds of all keys in one commit, and single updates within a round."""
    from hashlib import blake2b

    from papertiger_shm import Events, connect

    def item(key: int, round: int, sequence: int) -> dict[str, object]:
        # Of ever changing size, type and place, so that records move in memory, in lists and between lists.
        filler = f"{sequence}." * (sequence * 7919 % 400 + key)
        digest = blake2b(f"{key} {round} {sequence} {filler}".encode()).hexdigest()
        return {
            "id": f"evt_{key}",
            "created": (key * 31 + round) % 7,
            "sequence": sequence,
            "round": round,
            "type": f"kind.{(key + round) % kinds}",
            "data": {"round": round, "filler": filler, "sequence": sequence},
            "digest": digest,
            "last": sequence,
        }

    with connect(url, timeout=60) as connection:
        events, scratch, told = Events(connection), Events(connection, "scratch"), Events(connection, "told")
        round = sequence = 0
        while "stop" not in told:
            round += 1
            sequence += 1
            if round % 2:
                events.insert_many(item(key, round, sequence) for key in range(keys))
            else:
                with events.transaction():
                    for key in reversed(range(keys)):
                        events.update(item(key, round, sequence))
            for _ in range(20):
                sequence += 1
                events.update(item(sequence * 17 % keys, round, sequence))
            # What comes and goes beside them makes the directory grow and the epoch move.
            scratch.insert_many({"id": f"{round}.{n}", "data": "x" * (n * 40)} for n in range(20))
            if round % 25 == 0:
                scratch.clear_namespace("scratch")
            if round == 2:
                told.insert({"id": "go"})
        return {"rounds": round, "writes": sequence - round + round * keys}


def in_reader(url: str, seconds: float, keys: int, kinds: int, seed: int, checked: bool) -> dict[str, Any]:
    """Read in every way and look closely at what comes; raises at the first thing that is wrong."""
    import platform

    if checked:
        platform.machine = lambda: "aarch64"  # before the engine looks, so that it takes the processor for one

    import time
    from hashlib import blake2b

    from papertiger_shm import Events, connect

    newest = dict.fromkeys(range(keys), 0)

    def examine(item: dict[str, Any], key: int | None = None) -> int:
        found, round, sequence, filler = int(item["id"][4:]), item["round"], item["sequence"], item["data"]["filler"]
        assert key is None or key == found, (key, item)
        assert item["last"] == item["data"]["sequence"] == sequence, item
        assert item["data"]["round"] == round, item
        assert item["type"] == f"kind.{(found + round) % kinds}", item
        assert item["digest"] == blake2b(f"{found} {round} {sequence} {filler}".encode()).hexdigest(), item
        assert newest[found] <= sequence, (newest[found], item)
        newest[found] = sequence
        return int(round)

    def examine_several(items: list[dict[str, Any]], number: int) -> int:
        assert len({item["id"] for item in items}) == len(items) == number, [item["id"] for item in items]
        rounds = {examine(item) for item in items}
        assert len(rounds) == 1, rounds
        return rounds.pop()

    def in_order(items: list[dict[str, Any]]) -> None:
        seconds = [item["created"] for item in items]
        assert seconds == sorted(seconds, reverse=True), seconds

    counts = {"get": 0, "get_many": 0, "list": 0, "find_by_type": 0, "count": 0}
    slowest = 0.0
    with connect(url, timeout=60) as connection:
        reader = connection._backend._attached.reader  # type: ignore[attr-defined]
        assert reader.checked or not checked
        events, told = Events(connection), Events(connection, "told")
        told.wait_for(60)
        wanted = [f"evt_{key}" for key in range(keys)]
        # Reads of several items see whole rounds, one after the other. A get sees its one item at once, before or after
        # the round, so of two gets in the midst of a commit the second may find what the first has found replaced.
        whole, newest_round, turn = 0, 0, seed
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            turn += 1
            key = turn * 7 % keys
            begun = time.perf_counter()
            if turn % 8 == 0:
                way, items = "get_many", events.get_many(wanted)
            elif turn % 8 == 2:
                way, items = "list", events.list(limit=100).data
            elif turn % 8 == 4:
                way, items = "find_by_type", events.find_by_type(f"kind.{turn // 8 % kinds}")
            elif turn % 8 == 6:
                way, items = "count", events.count()
            else:
                way, items = "get", events.get(wanted[key])
            slowest = max(slowest, time.perf_counter() - begun)
            counts[way] += 1
            if way == "get":
                round = examine(items, key)
                assert round >= whole, (round, whole)
            elif way == "count":
                assert items == keys
                continue
            else:
                assert None not in items
                round = examine_several(items, keys // kinds if way == "find_by_type" else keys)
                if way == "get_many":
                    assert [item["id"] for item in items] == wanted
                else:
                    in_order(items)
                assert round >= newest_round, (round, newest_round)
                whole = round
            newest_round = max(newest_round, round)
        retries = reader.retries
        connection.stats()
    return {**counts, "retries": retries, "slowest": slowest, "rounds": newest_round}


@pytest.fixture
def connection() -> Iterator[Connection]:
    # Small, so that memory is used again and again under the readers' eyes.
    with Manager(max_size="8 MiB") as manager, manager.connect() as connection:
        yield connection


@pytest.mark.parametrize("checked", [False, True], ids=["as this processor orders", "as if weakly ordered"])
def test_readers_beside_a_writer(connection: Connection, checked: bool, record_property: Any) -> None:
    told = Events(connection, "told")
    url = connection.url
    with ExitStack() as stack:
        writer = stack.enter_context(Interpreter(in_writer, url, KEYS, KINDS))
        readers = [
            stack.enter_context(Interpreter(in_reader, url, SECONDS, KEYS, KINDS, seed, checked))
            for seed in range(READERS)
        ]
        reports = [reader.result(SECONDS + 120) for reader in readers]
        assert writer.is_running(), writer.result()
        told.insert({"id": "stop"})
        written = writer.result()
    figures = connection.stats()
    summary = {"written": written, "readers": reports, "epoch": figures["epoch"], "commits": figures["commits"]}
    record_property("figures", summary)
    print(summary)
    for report in reports:
        assert report["slowest"] < SLOWEST, summary
        assert all(report[way] > 0 for way in ("get", "get_many", "list", "find_by_type", "count")), summary
        assert report["rounds"] > 2, summary
    assert figures["epoch"] > 2, summary
    assert Events(connection).count() == KEYS
    connection.verify()
