"""What an installation of the package consists of, and what importing it costs."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution, requires
from importlib.resources import files
from pathlib import Path

import pytest

from papertiger_shm import Events

ROOT = Path(__file__).resolve().parent.parent
DISTRIBUTION = "papertiger-shm"

try:
    distribution(DISTRIBUTION)
except PackageNotFoundError:
    pytestmark = pytest.mark.skip(reason="runs on an installed package: tox, or pip install -e .")


def names_required() -> set[str]:
    """The names of everything the installed package may ask for, extras included."""
    return {re.split(r"[^A-Za-z0-9._-]", requirement)[0].lower() for requirement in requires(DISTRIBUTION) or []}


@pytest.mark.parametrize(
    "name", ["py.typed", "data/stripe_events.jsonl", "data/NOTICE", "ui/templates/page.html", "ui/static/ui.js"]
)
def test_data_is_shipped_inside_the_package(name: str) -> None:
    assert files("papertiger_shm").joinpath(*name.split("/")).is_file()


def test_the_command_is_installed() -> None:
    scripts = {
        entry.name: entry.value for entry in distribution(DISTRIBUTION).entry_points.select(group="console_scripts")
    }
    assert scripts == {"papertiger-shm": "papertiger_shm.cli:main"}


def test_the_command_tells_the_version_of_the_package() -> None:
    command = [sys.executable, "-m", "papertiger_shm", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["papertiger-shm", distribution(DISTRIBUTION).version]


def test_every_dependency_has_its_reason_on_paper() -> None:
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    unexplained = {name for name in names_required() if f"[{name}](" not in page}
    assert not unexplained


def test_importing_the_package_loads_nothing_that_talks_to_a_person_or_starts_processes() -> None:
    script = "import papertiger_shm, sys; print(*sorted(sys.modules))"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    loaded = set(done.stdout.split())
    assert "papertiger_shm" in loaded
    assert not loaded & {
        "rich",
        "click",
        "subprocess",
        "multiprocess",
        "multiprocessing",
        "sortedcontainers",
        "asyncio",
    }


def test_connecting_and_reading_loads_nothing_that_only_managers_and_writers_need() -> None:
    script = (
        "import sys; from papertiger_shm import Events, connect; events = Events(connect(sys.argv[1]));"
        "events.get('evt_1'), events.list(), 'x' in events, events.count(), events.find_by_type('x');"
        "print(*sorted(sys.modules))"
    )
    with Events.start_link() as events:
        events.insert({"id": "evt_1", "type": "x"})
        command = [sys.executable, "-c", script, events.connection.url]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    loaded = set(done.stdout.split())
    assert "papertiger_shm.engine.reader" in loaded
    assert not loaded & {
        "asyncio",
        "click",
        "dill",
        "filelock",
        "multiprocess",
        "multiprocessing",
        "papertiger_shm.engine.writer",
        "papertiger_shm.shm.launch",
        "rich",
        "sortedcontainers",
    }
