"""A run that uses nothing of the plugin pays nothing: no manager, no part of the package that is not needed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from testing.suite import Suite

# The store's and the manager's modules, what they stand on, and what only set-up and teardown need.
HEAVY = ["papertiger_shm.shm", "papertiger_shm.engine", "papertiger_shm.connection", "papertiger_shm.store"]
HEAVY += ["msgpack", "msgspec", "multiprocess", "dill", "filelock", "rich", "click", "asyncio", "xxhash", "xdist"]


@pytest.mark.parametrize("arguments", ["-n0", "-n2", "-p no:xdist"])
def test_nothing_is_started_or_imported(suite: Suite, arguments: str) -> None:
    suite.write(
        "test_plain.py",
        """
        import os, sys
        import pytest
        from helpers import log

        @pytest.mark.parametrize("number", range(4))
        def test_it(number, tmp_path):
            assert "PAPERTIGER_URL" not in os.environ
            assert "PAPERTIGER_NAMESPACE" not in os.environ
            assert not os.listdir(os.environ["PAPERTIGER_DIR"])
            assert "papertiger_shm.testing.plugin" in sys.modules
            assert not [name for name in sys.modules if name.split(".")[:2] == ["papertiger_shm", "shm"]]
            log("used")
        """,
    )
    # Whoever ended it later would have started it; and the directory would be there already while it runs.
    result = suite.run(*arguments.split())
    result.assert_ended(0, passed=4)
    assert " papertiger " not in result.output


def test_a_shared_fixture_that_is_never_used_starts_nothing(suite: Suite) -> None:
    suite.write(
        "test_plain.py",
        """
        import os
        from papertiger_shm.testing import shared_fixture

        @shared_fixture
        def server(): return 1

        def test_it(): assert not os.listdir(os.environ["PAPERTIGER_DIR"])
        """,
    )
    result = suite.run("-n2")
    result.assert_ended(0, passed=1)


def test_importing_the_plugin(suite: Suite) -> None:
    """On top of pytest itself. The time is printed, not asserted: it is the machine's as much as ours."""
    program = """
import sys, time
import pytest
before = set(sys.modules)
begin = time.perf_counter()
import papertiger_shm.testing.plugin
print(time.perf_counter() - begin)
print(*sorted(set(sys.modules) - before))
"""
    answers = [
        subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=suite.path)
        for _ in range(3)
    ]
    print(f"importing the plugin takes {min(float(answer.stdout.split()[0]) for answer in answers) * 1e3:.1f} ms")
    loaded = answers[0].stdout.split()[1:]
    assert "papertiger_shm.testing.plugin" in loaded
    print(*loaded)
    heavy = [name for name in loaded if any(name == root or name.startswith(root + ".") for root in HEAVY)]
    assert not heavy
