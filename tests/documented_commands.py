"""Commands of the documentation that are read and not run, since they install or take minutes.

Each is held to what there is: packages and extras, environments of tox, and options of the benchmarks.
"""

from __future__ import annotations

import configparser
import contextlib
import io
import re
import shlex
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

from packaging.requirements import Requirement

from documented_page import ROOT


def trouble_with(command: str) -> str | None:
    """What is wrong with a command that is not run, "" if nothing is; None if it is one to be run."""
    parts = [shlex.split(part, comments=True) for part in command.split("&&")]
    if parts[0][:1] == ["cd"] and parts[0][1].startswith("examples/"):
        return _example(ROOT / parts[0][1], parts[1:])
    checks = [_check_of(words) for words in parts]
    if None in checks:
        return None
    return "; ".join(filter(None, (check(words) for check, words in zip(checks, parts) if check is not None)))


def _example(directory: Path, commands: list[list[str]]) -> str:
    """tests/test_examples.py runs the examples, and looks closer at what they do."""
    scripts = [directory / word for words in commands for word in words if word.endswith(".py")]
    return "; ".join(f"there is no {path}" for path in (directory, *scripts) if not path.exists())


def _check_of(words: list[str]) -> Callable[[list[str]], str] | None:
    program = words[0].rpartition("/")[2]
    if program in {"pip", "tox"}:
        return {"pip": _pip, "tox": _tox}[program]
    if words[:3] in (["python3", "-m", "venv"], ["python", "-m", "venv"]) or words[0] in {".", "source"}:
        return _environment
    if program == "python" and (ROOT / words[1]).is_file():
        return _script
    return None


def _environment(words: list[str]) -> str:
    return "" if words[-1].startswith(".venv") else "the documentation's environments are in .venv"


def _script(words: list[str]) -> str:
    return ""


def _pip(words: list[str]) -> str:
    """Whether what is installed is a dependency of the tests, and has the extras."""
    # A clone is installed as ``.``, with or without extras.
    wanted = [re.sub(r"^\.", "papertiger-shm", word) for word in words[2:] if not word.startswith("-")]
    if words[1] != "install" or not wanted:
        return f"only 'pip install' of packages can be checked, not {' '.join(words)!r}"
    troubles = []
    for requirement in map(Requirement, wanted):
        if requirement.name == "tox":  # is what runs these tests, and not installed beside them
            continue
        try:
            known = metadata(requirement.name).get_all("Provides-Extra") or []
        except PackageNotFoundError:
            troubles.append(f"{requirement.name} is not among what the tests install, so nobody knows that it is right")
            continue
        troubles += [f"{requirement.name} has no extra {extra}" for extra in requirement.extras if extra not in known]
    return "; ".join(troubles)


def _tox(words: list[str]) -> str:
    tox = configparser.ConfigParser()
    tox.read(ROOT / "tox.ini")
    ours, _, further = " ".join(map(shlex.quote, words)).partition(" -- ")
    named = re.fullmatch(r"\S*tox run(?: -e (\S+))?", ours)
    if named is None:
        return f"only 'tox run' and 'tox run -e' can be checked, not {ours!r}"
    if named[1] is None:
        return ""
    if not tox.has_section(f"testenv:{named[1]}") and named[1] not in tox["tox"]["env_list"].split(", "):
        return f"tox.ini has no environment {named[1]}"
    arguments = shlex.split(further)
    if named[1] == "bench":
        return _benchmarks(arguments)
    return "; ".join(f"there is no {path}" for path in arguments if "/" in path and not (ROOT / path).exists())


def _benchmarks(arguments: list[str]) -> str:
    from benchmarks.__main__ import parser

    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            parser().parse_args(arguments)
    except SystemExit:
        return said.getvalue()
    return ""
