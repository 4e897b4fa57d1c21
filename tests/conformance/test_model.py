"""The store beside plain dicts, on a small segment that is used again and again, with each codec."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import settings

from interpreters import run
from papertiger_shm import codec

EXAMPLES = max(2, settings.default.max_examples // 2)  # type: ignore[union-attr]
STEPS = 40

CODECS = [each.name for each in (codec.MSGPACK, codec.MSGSPEC) if each is not None]


def play(tests: str, examples: int, steps: int, derandomize: bool) -> tuple[str, Any]:
    import sys

    sys.path.insert(0, tests)
    from conformance.machine import check
    from papertiger_shm import Manager, codec

    name = next(each.name for each in (codec.MSGPACK, codec.MSGSPEC) if each and each.decode is codec.decode)
    with Manager(max_size="1 MiB") as manager, manager.connect() as connection:
        return name, check(connection, examples, steps, derandomize=derandomize)


@pytest.mark.parametrize("name", CODECS)
def test_a_store_is_what_plain_dicts_are(name: str) -> None:
    tests = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    derandomize = settings.default.derandomize  # type: ignore[union-attr]
    used, figures = run(play, tests, EXAMPLES, STEPS, derandomize, PAPERTIGER_CODEC=name)
    assert used == name
    before, after = figures["before"], figures["after"]
    assert after["commits"] - before["commits"] >= EXAMPLES
    assert after["epoch"] > before["epoch"], "no memory was used twice: the store is too large for the test"
