"""docs/command-line.md: every command has its place there, and whatever is typed there can be typed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from papertiger_shm.cli.commands import papertiger_shm

PAGE = Path(__file__).resolve().parent.parent / "docs" / "command-line.md"

if not PAGE.exists():
    pytest.skip("the documentation is not here", allow_module_level=True)

TYPED = re.findall(r"^\$ papertiger-shm (.+)$", PAGE.read_text(), re.MULTILINE)


@pytest.mark.parametrize("typed", TYPED)
def test_what_is_typed_is_a_command_with_such_arguments(typed: str) -> None:
    name, *arguments = shlex.split(typed.partition("|")[0])
    command = papertiger_shm.commands[name]
    assert command.make_context(name, arguments, parent=click.Context(papertiger_shm)).command is command


def test_every_command_is_told_of() -> None:
    headings = " ".join(re.findall(r"^## .*$", PAGE.read_text(), re.MULTILINE))
    assert [name for name in papertiger_shm.commands if f"`{name}`" not in headings] == []


def test_every_picture_is_there() -> None:
    pictures = re.findall(r"\((pictures/[^)]+)\)", PAGE.read_text())
    assert len(pictures) == 3
    assert [picture for picture in pictures if "<svg" not in (PAGE.parent / picture).read_text()] == []
