"""docs/reference: every public name has its place there, and so has every environment variable that is read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import papertiger_shm
from papertiger_shm import Store, http, testing, ui
from papertiger_shm.testing import plugin

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted((ROOT / "docs" / "reference").glob("*.md"))
DIRECTIVE = re.compile(r"^::: (papertiger_shm(?:\.\w+)+)((?:\n    .*)*)", re.MULTILINE)


def directives() -> list[tuple[str, str]]:
    """The dotted names that are rendered, each with its options."""
    return [found for page in PAGES for found in DIRECTIVE.findall(page.read_text(encoding="utf-8"))]


@pytest.mark.parametrize(
    ("room", "names"),
    [
        ("papertiger_shm", papertiger_shm.__all__),
        ("papertiger_shm.testing", testing.__all__),
        ("papertiger_shm.http", http.__all__),
        ("papertiger_shm.ui", ui.__all__),
    ],
)
def test_each_public_name_is_on_one_page(room: str, names: list[str]) -> None:
    # namespace is the class, and the module that it lives in.
    shown = [name.replace("papertiger_shm.namespace.namespace", "papertiger_shm.namespace") for name, _ in directives()]
    assert sorted(name.rpartition(".")[2] for name in shown if name.rpartition(".")[0] == room) == sorted(names)


def test_each_finder_of_a_resource_is_shown() -> None:
    for name, options in directives():
        kind = getattr(papertiger_shm, name.removeprefix("papertiger_shm."), None)
        if isinstance(kind, type) and issubclass(kind, Store) and hasattr(kind, "table_name"):
            finders = {finder for finder in dir(kind) if finder.startswith("find_") and finder != "find_by"}
            told = re.findall(r"^ +(?:inherited_)?members: \[(.*)\]$", options, re.MULTILINE)
            assert [{*filter(None, members.split(", "))} for members in told] == [finders, finders], name


def test_each_fixture_is_shown() -> None:
    room = "papertiger_shm.testing.plugin."
    assert {name.removeprefix(room) for name, _ in directives() if name.startswith(room)} == plugin._FIXTURES


def test_each_environment_variable_has_a_row() -> None:
    read = {
        name
        for file in (ROOT / "src").rglob("*.py")
        for name in re.findall(r"\bPAPERTIGER_[A-Z_]+\b", file.read_text(encoding="utf-8"))
    }
    page = (ROOT / "docs" / "reference" / "environment.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(PAPERTIGER_\w+)` \|", page, re.MULTILINE) == sorted(
        read, key=lambda name: page.find(f"| `{name}` |")
    )
