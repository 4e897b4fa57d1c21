"""Does what a page of documentation says, block by block, as its reader would, in a directory of its own."""

from __future__ import annotations

import configparser
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import yaml

from conftest import short_directory
from documented_commands import trouble_with
from documented_output import is_as_shown
from documented_page import Block, Command, commands
from suites import surroundings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PATIENCE = 120
ENDLESS = ("papertiger-shm serve", "papertiger-shm ui")
"""What runs until it is told to end, and is left running while the rest of the project is read."""

PLUGINS = {"": "papertiger_shm.testing.plugin", "anyio": "anyio.pytest_plugin"}
"""Plugins of pytest that a project has installed, by what stands in it if it has."""

_ADDRESS = re.compile(r"127\.0\.0\.1:\d+")


class Reader:
    """Works through one project. ``other_names``: what stands in the page, and what it is called here."""

    def __init__(self, directory: Path, not_run: Mapping[str, str], other_names: Mapping[str, str]) -> None:
        self._directory = directory
        self._not_run = not_run
        self._other_names = dict(other_names)
        self._rendezvous = short_directory()
        self._running: list[subprocess.Popen[str]] = []
        self._unused: dict[str, Block] = {}
        self._environment = surroundings(
            {
                "PAPERTIGER_DIR": self._rendezvous,
                "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
                # A reader has not installed what the other tests need; in five processes it is most of a short run.
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
                "COLUMNS": "120",
            }
        )

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._end_what_runs()
        shutil.rmtree(self._rendezvous, ignore_errors=True)

    def read(self, blocks: list[Block]) -> None:
        plugins = [module for name, module in PLUGINS.items() if any(name in block.text for block in blocks)]
        options = ["-W error -p no:cacheprovider -p xdist.plugin", *(f"-p {plugin}" for plugin in plugins)]
        self._environment["PYTEST_ADDOPTS"] = " ".join(options)
        for block in blocks:
            if block.first_line not in self._not_run:
                self._follow(block)
        self._use_what_no_command_used()
        self._end_what_runs()
        left = self._stores_left()
        assert not left, f"{blocks[0].page}: what its code has started is still there at the end: {', '.join(left)}"

    def _follow(self, block: Block) -> None:
        text = self._as_called_here(block.text)
        self._parse(block, text)
        if block.language == "console":
            for command in commands(block):
                if command.words not in self._not_run:
                    self._carry_out(block, command)
        elif block.file is not None:
            self._use_what_would_be_replaced(block.file)
            (self._directory / block.file).write_text(text, encoding="utf-8")
            self._unused[block.file] = block
        elif block.language == "python":
            (self._directory / "unnamed.py").write_text(text, encoding="utf-8")
            self._succeed(block, f"{sys.executable} -W error unnamed.py", silent=True)

    def _parse(self, block: Block, text: str) -> None:
        if block.language == "toml":
            tomllib.loads(text)
        elif block.language == "ini":
            configparser.ConfigParser().read_string(text)
        elif block.language == "json":
            json.loads(text)
        elif block.language == "yaml":
            yaml.safe_load(text)
        elif block.language not in {"console", "python", "text", "mermaid"}:
            raise AssertionError(
                f"{block}: nobody knows how to try a block of {block.language or 'no language'!r}; use console, "
                "python, toml, ini, json, yaml or text"
            )

    # --- commands -----------------------------------------------------------------------------------------------

    def _carry_out(self, block: Block, command: Command) -> None:
        words = self._as_called_here(command.words)
        trouble = trouble_with(words)
        if trouble is not None:
            assert not trouble, f"{block}: {trouble}"
        elif words.startswith(ENDLESS):
            self._leave_running(block, words, command.shown)
        else:
            self._see(block, words, command.shown)
        self._note_use(words)

    def _see(self, block: Block, words: str, shown: str) -> None:
        if not shown:
            self._succeed(block, words)
            return
        status, said = self._run(words)
        fails = re.search(r"^Error|^[\w.]+\.(?:[A-Z]\w+): |\bfailed\b", shown, re.MULTILINE) is not None
        assert is_as_shown(shown, said), f"{block}: $ {words}\nshown:\n{shown}\nsaid:\n{said}"
        assert (status != 0) == fails, f"{block}: $ {words}\nended with {status}, having said:\n{said}"

    def _succeed(self, block: Block, words: str, *, silent: bool = False) -> None:
        status, said = self._run(words)
        assert status == 0, f"{block}: $ {words}\nended with {status}, having said:\n{said}"
        assert not (silent and "Warning" in said), f"{block}:\n{said}"

    def _run(self, words: str) -> tuple[int, str]:
        done = subprocess.run(
            words,
            shell=True,
            cwd=self._directory,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return done.returncode, done.stdout

    def _leave_running(self, block: Block, words: str, shown: str) -> None:
        server = subprocess.Popen(
            f"exec {words}",
            shell=True,
            cwd=self._directory,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._running.append(server)
        assert server.stdout is not None
        said = "".join(server.stdout.readline() for _ in shown.splitlines())
        assert is_as_shown(shown, said), f"{block}: $ {words}\nshown:\n{shown}\nsaid:\n{said}"
        # What the page says after this of an address is said of the one that the server has here.
        self._other_names.update(zip(_ADDRESS.findall(shown), _ADDRESS.findall(said)))

    def _as_called_here(self, text: str) -> str:
        for there, here in self._other_names.items():
            text = text.replace(there, here)
        return text

    def _end_what_runs(self) -> None:
        while self._running:
            server = self._running.pop()
            server.send_signal(signal.SIGTERM)
            server.communicate(timeout=PATIENCE)

    def _stores_left(self) -> list[str]:
        """A store removes itself after the end of its owner, which may take a moment."""
        deadline = time.monotonic() + 20
        while (left := os.listdir(self._rendezvous)) and time.monotonic() < deadline:
            time.sleep(0.05)
        return left

    # --- files ---------------------------------------------------------------------------------------------------

    def _note_use(self, words: str) -> None:
        """pytest has used all files; any other command those that it names, and those that they import."""
        if "pytest" in words.split():
            self._unused.clear()
        named = [name for name in self._unused if name in words]
        while named:
            text = self._unused.pop(named.pop()).text
            named += [name for name in self._unused if re.search(rf"\b{Path(name).stem}\b", text) and name not in named]

    def _use_what_would_be_replaced(self, file: str) -> None:
        if file in self._unused:
            self._use_what_no_command_used()

    def _use_what_no_command_used(self) -> None:
        """A suite that the page leaves to its reader to run, or a script."""
        if any(name.startswith(("test_", "conftest")) for name in self._unused):
            block = next(iter(self._unused.values()))
            status, said = self._run(f"{sys.executable} -m pytest -n 2")
            counts = said.rstrip().splitlines()[-1]
            assert status == 0, f"{block}: {said}"
            assert "passed" in counts, f"{block}: {said}"
            self._unused.clear()
        scripts = [name for name in self._unused if name.endswith(".py")]
        while scripts:
            self._succeed(self._unused[scripts[0]], f"{sys.executable} -W error {scripts[0]}")
            self._note_use(scripts[0])
            scripts = [name for name in self._unused if name.endswith(".py")]
        self._unused.clear()
