"""The command line as a person sees it: on a real terminal, with keys, sizes and colours."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from command_line import COMMAND
from papertiger_shm import Connection, Events, Manager, stores
from papertiger_shm.cli.completion import INSTALLED
from suites import plugin
from terminal import SECONDS, Terminal, papertiger_shm, terminal

ENTERS, LEAVES = b"\x1b[?1049h", b"\x1b[?1049l"
HIDES, SHOWS = b"\x1b[?25l", b"\x1b[?25h"
COOKED = termios.ICANON | termios.ECHO
DEEP = {"a": {"b": {"c": {"d": 1}}}, "many": list(range(50)), "long": "x" * 500}


pytestmark = pytest.mark.usefixtures("apart_from_all")


@pytest.fixture
def manager() -> Iterator[Manager]:
    with Manager("ci", max_size="64 MiB") as manager:
        yield manager


@pytest.fixture
def connection(manager: Manager) -> Iterator[Connection]:
    with manager.connect() as connection:
        yield connection


@pytest.fixture
def events(connection: Connection) -> Events:
    events = Events(connection, "global")
    events.insert({"id": "evt_1", "type": "charge.refunded", "created": 1, **DEEP})
    return events


def is_restored(screen: Terminal) -> bool:
    """Whether the terminal is as the command found it."""
    return (
        screen.written.rfind(LEAVES) > screen.written.rfind(ENTERS)
        and screen.written.rfind(SHOWS) > screen.written.rfind(HIDES)
        and screen.modes & COOKED == COOKED
    )


def pace(screen: Terminal, of: str) -> int:
    found = re.search(rf"{of}/s ([\d,]+)", screen.text)
    return int(found[1].replace(",", "")) if found else 0


# --- top ------------------------------------------------------------------------------------------------------------


def test_top_follows_what_goes_on(events: Events) -> None:
    with papertiger_shm("top", "ci", "--interval", "0.2") as screen:
        screen.see("1 item in 1 collection")
        screen.see("paper_tiger_events  global")
        assert ENTERS in screen.written
        events.insert({"id": "evt_2"})
        screen.see("2 items in 1 collection")
        Events(events.connection, "gw0/test_a").insert_many([{} for _ in range(7)])
        screen.see("    7  paper_tiger_events  gw0/test_a")
        screen.press("q")
        assert screen.end() == 0
        assert is_restored(screen)


def test_top_tells_what_other_processes_read(events: Events) -> None:
    with papertiger_shm("top", "ci", "--interval", "0.2") as screen:
        screen.see("retries/s")

        def reads() -> int:
            for _ in range(1_000):
                events.get("evt_1")
            return pace(screen, "reads")

        screen.wait(lambda: reads() > 1_000, "the reads were never shown")
        screen.wait(lambda: pace(screen, "reads") == 0, "reads are shown where there are none")

        def commits() -> int:
            events.insert({"id": "evt_2"})
            return pace(screen, "commits")

        screen.wait(commits, "the commits were never shown")
        screen.press("q")
        assert screen.end() == 0


@pytest.mark.parametrize("how", ["Ctrl-C", "SIGTERM", "SIGHUP"])
def test_top_restores_the_terminal_whatever_ends_it(how: str, events: Events) -> None:
    with papertiger_shm("top", "ci", "--interval", "60") as screen:
        screen.see("q ends")
        if how == "Ctrl-C":
            screen.press("\x03")
        else:
            os.kill(screen.process.pid, getattr(signal, how))
        assert screen.end() == 0
        assert is_restored(screen)
        assert b"Traceback" not in screen.written


def test_top_goes_on_at_keys_that_mean_nothing_to_it(events: Events) -> None:
    with papertiger_shm("top", "ci", "--interval", "0.2") as screen:
        screen.see("1 item in 1 collection")
        for number, key in enumerate(("\x1bOQ", "\x1b[A", "\x1b", "x"), 2):  # F2, an arrow, Escape, x
            screen.press(key)
            events.insert({"id": f"evt_{number}"})
            screen.see(f"{number} items in 1 collection")
        screen.press("q")
        assert screen.end() == 0


def test_top_fits_the_terminal_when_that_changes(connection: Connection) -> None:
    with connection.transaction():
        for number in range(40):
            Events(connection, f"a-namespace-with-a-name-of-some-length-{number:02}").insert({"id": "evt_1"})
    with papertiger_shm("top", "ci", "--interval", "60", columns=100, rows=20) as screen:
        screen.see("in 27 more")
        screen.resize(40, 12)
        screen.see("in 35 more")
        assert "a-namespace-with-a-name-of-some-length-00" not in screen.text
        screen.resize(120, 60)
        screen.see("a-namespace-with-a-name-of-some-length-39")
        screen.press("q")
        assert screen.end() == 0


def test_top_says_that_the_store_has_stopped(manager: Manager) -> None:
    with papertiger_shm("top", "ci", "--interval", "0.2") as screen:
        screen.see("0 items in 0 collections")
        manager.stop()
        assert screen.end() == 1
        assert is_restored(screen)
        assert "shm://ci has stopped while top looked at it" in screen.text.replace("\n", "")


def test_top_goes_on_with_the_next_writer(manager: Manager) -> None:
    with papertiger_shm("top", "ci", "--interval", "0.2") as screen:
        screen.see("generation 1")
        os.kill(manager.pid, signal.SIGKILL)
        screen.see("generation 2")
        screen.press("q")
        assert screen.end() == 0


def test_top_stops_and_goes_on(events: Events) -> None:
    top = " ".join([*COMMAND, "top", "ci", "--interval", "0.2"])
    with terminal("sh", "-mc", f"{top}; echo stopped; read line; fg") as screen:  # as a shell at its prompt does
        screen.see("1 item in 1 collection")
        screen.press("\x1a")
        screen.wait(lambda: LEAVES in screen.written, "Ctrl-Z leaves the screen")
        screen.see("stopped")
        assert COOKED & termios.tcgetattr(screen.process.child_fd)[3] == COOKED
        screen.press("\n")
        screen.wait(lambda: screen.written.rfind(ENTERS) > screen.written.rfind(LEAVES), "it never went on")
        events.insert({"id": "evt_2"})
        screen.see("2 items in 1 collection")
        screen.press("q")
        assert screen.end() == 0
        assert is_restored(screen)


def test_top_goes_on_where_no_shell_could_bring_it_back(events: Events) -> None:
    with papertiger_shm("top", "ci", "--interval", "0.2") as screen:
        screen.see("1 item in 1 collection")
        screen.press("\x1a")
        screen.wait(lambda: LEAVES in screen.written, "Ctrl-Z leaves the screen")
        events.insert({"id": "evt_2"})
        screen.see("2 items in 1 collection")
        screen.press("q")
        assert screen.end() == 0
        assert is_restored(screen)


SUITE = """
import pathlib, time

def test_one(papertiger_run):
    hold(papertiger_run)

def test_other(papertiger_run):
    hold(papertiger_run)

def hold(run):
    with run.lock("printer"):
        deadline = time.monotonic() + 60
        while not pathlib.Path("go").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
"""


def test_top_shows_who_waits_for_whom(tmp_path: Path) -> None:
    (tmp_path / "test_printer.py").write_text(SUITE)
    options = ["-p", "no:cacheprovider", "-p", "no:asyncio", *plugin(), "-n2", "--papertiger-run=mine"]
    running = subprocess.Popen(
        [sys.executable, "-m", "pytest", *options],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST")},
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + SECONDS
        while "shm://pytest-mine" not in stores():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        with papertiger_shm("top", "pytest-mine", "--interval", "0.2", columns=160) as screen:
            screen.see("run mine")
            screen.wait(lambda: re.search(r"test_(one|other) .*lock printer, held by gw", screen.text), "nobody waits")
            (tmp_path / "go").touch()
            assert screen.end() == 1  # the run's store has gone with it
        assert running.wait(SECONDS) == 0
    finally:
        running.kill()
        running.wait()


# --- colours, folding, widths ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["get", "ci", "evt_1"], ["top", "ci"]])
def test_colours_are_for_those_who_want_them(arguments: list[str], events: Events) -> None:
    for variables, wanted in (({}, True), ({"NO_COLOR": "1"}, False)):
        with papertiger_shm(*arguments, **variables) as screen:
            screen.see("commits/s 0" if arguments[0] == "top" else "charge.refunded")
            assert (screen.colours() > {"default"}) is wanted
            if arguments[0] == "top":
                screen.press("q")
            assert screen.end() == 0


def test_get_folds_for_a_person(events: Events) -> None:
    with papertiger_shm("get", "ci", "evt_1") as screen:
        assert screen.end() == 0
        assert '"c": {… 1 key}' in screen.text
        assert "… 42 more items" in screen.text
        assert '… 500 characters"' in screen.text
        assert screen.text.endswith("folded; --full prints all of it")
    with papertiger_shm("get", "ci", "evt_1", "--full", rows=120) as screen:
        assert screen.end() == 0
        assert json.loads(re.sub(r"\n(?=x)", "", screen.text)) == events["evt_1"]


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_ls_keeps_each_item_on_one_line(columns: int, events: Events) -> None:
    events.insert_many(
        [{"id": f"evt_1NG8Du2eZvKYlo2CUI79vX{n:02}", "type": "payment_intent.succeeded"} for n in range(3)]
    )
    with papertiger_shm("ls", "ci", "--table", events.table_name, columns=columns) as screen:
        assert screen.end() == 0
        shown = screen.text.splitlines()
        assert len(shown) == 5
        assert shown[0].split()[0] == "id"
        assert shown[1].startswith("evt_1NG8")
        assert shown[-1].startswith("evt_1 ")
        assert shown[-1].endswith("…")
        assert ("evt_1NG8Du2eZvKYlo2CUI79vX02" in screen.text) is (columns >= 80)
        assert "s ago" in screen.text or columns == 40


# --- progress -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["load", "dump"])
def test_a_bar_is_seen_while_items_go(command: str, connection: Connection, tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text("".join(f'{{"id": "evt_{number}", "text": "{"x" * 300}"}}\n' for number in range(20_000)))
    if command == "dump":
        Events(connection, "global").load(file)
    with papertiger_shm(command, "ci", str(file)) as screen:
        assert screen.end() == 0
        assert re.search(r"events\.jsonl .*━.*\d+%", screen.written.decode())
        assert "20,000 items" in screen.text.replace("\n", "")
        assert "━" not in screen.text
        assert screen.written.rfind(SHOWS) > screen.written.rfind(HIDES)


def test_a_bar_is_seen_while_a_store_is_checked(connection: Connection) -> None:
    events = Events(connection, "global")
    for start in range(0, 30_000, 1_000):
        events.insert_many([{"id": f"evt_{start + number}"} for number in range(1_000)])
    with papertiger_shm("check", "ci") as screen:
        assert screen.end() == 0
        assert re.search(r"checking shm://ci .*━.*[1-9]\d*%", screen.written.decode())
        assert "is sound" in screen.text
        assert screen.written.rfind(SHOWS) > screen.written.rfind(HIDES)


# --- completion -----------------------------------------------------------------------------------------------------


STARTS = {
    "bash": (".bashrc", 'PS1="ready> "\n'),
    "zsh": (".zshrc", 'PS1="ready> "\nautoload -Uz compinit; compinit -u\n'),
    "fish": (".config/fish/config.fish", 'set -g fish_greeting\nfunction fish_prompt; echo -n "ready> "; end\n'),
}
"""What a shell runs at its start, and what is in it beside the line that its user is told to put there."""


@pytest.fixture(params=STARTS)
def shell(request: pytest.FixtureRequest, events: Events, tmp_path: Path) -> Iterator[Terminal]:
    """An interactive shell that has loaded the script as its user is told to."""
    if shutil.which(request.param) is None:
        pytest.skip(f"there is no {request.param}")
    command = tmp_path / "bin" / "papertiger-shm"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {" ".join(COMMAND)} "$@"\n')
    command.chmod(0o755)
    name, prompt = STARTS[request.param]
    start = tmp_path / name
    start.parent.mkdir(parents=True, exist_ok=True)
    start.write_text(prompt + INSTALLED[request.param].partition("   in ")[0] + "\n")
    options = ["--noprofile", "--rcfile", str(start)] if request.param == "bash" else []
    variables = dict.fromkeys(("HOME", "ZDOTDIR"), str(tmp_path)) | {"XDG_CONFIG_HOME": str(tmp_path / ".config")}
    path = f"{command.parent}:{os.environ['PATH']}"
    with terminal(request.param, *options, "-i", PATH=path, INPUTRC="/dev/null", **variables) as screen:
        screen.see("ready>")
        yield screen


@pytest.fixture
def behind(shell: Terminal) -> str:
    """What stands between a completed word and the ``|`` that is typed next."""
    return "" if shell.process.command.endswith("/zsh") else " "  # zsh takes its own space away again before a ``|``


@pytest.mark.parametrize(
    ("typed", "becomes"),
    [
        ("papertiger-shm che", "papertiger-shm check"),
        ("papertiger-shm ls --starting", "papertiger-shm ls --starting-after"),
        ("papertiger-shm stats c", "papertiger-shm stats ci"),
        ("papertiger-shm get c", "papertiger-shm get ci"),
        ("papertiger-shm ls ci --table pap", "papertiger-shm ls ci --table paper_tiger_events"),
        ("papertiger-shm ls ci --namespace glo", "papertiger-shm ls ci --namespace global"),
        ("papertiger-shm get ci evt_1 --table pap", "papertiger-shm get ci evt_1 --table paper_tiger_events"),
        ("papertiger-shm completion f", "papertiger-shm completion fish"),
    ],
)
def test_a_shell_completes(typed: str, becomes: str, shell: Terminal, behind: str) -> None:
    shell.press(f"{typed}\t")
    shell.see(f"ready> {becomes}")
    shell.press("|")  # which shows whether there is a space
    shell.see(f"ready> {becomes}{behind}|")


def test_a_shell_completes_files_where_a_file_is_asked_for(shell: Terminal, behind: str, tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text("")
    shell.press(f"papertiger-shm load ci {tmp_path}/ev\t|")
    completed = f"{tmp_path}/events.jsonl{behind}|"
    shell.wait(lambda: completed in shell.text.replace("\n", ""), "the file was not completed")
