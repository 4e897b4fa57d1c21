"""A page of documentation taken apart: its code blocks, and the projects that they belong to.

What is done with a block is not known here.

- A block whose first line is ``# name.ext`` is that file. So a reader sees its name wherever the page is rendered.
- Blocks are one project with those that share their directory. In a tutorial, and on the page of the command
  line, that is all of it, from its first block to its last; on any other page each section, whatever its level, is a
  project of its own.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ONE_PROJECT = {*(ROOT / "docs" / "tutorials").glob("*.md"), ROOT / "docs" / "command-line.md"}

PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "examples").glob("*.md"))]

_FENCE = re.compile(r"^ *(`{3,}|~{3,})(.*)$")
_HEADING = re.compile(r"^#{1,6} (.*)$")
_FILE = re.compile(r"# ([\w.-]+\.\w+)\n")


@dataclass(frozen=True)
class Block:
    page: str
    """As ``docs/testing.md``."""
    line: int
    section: str
    language: str
    text: str

    @property
    def file(self) -> str | None:
        """The name of the file that the block is, if it is one."""
        name = _FILE.match(self.text)
        return name[1] if name and self.language != "console" else None

    @property
    def first_line(self) -> str:
        return self.text.partition("\n")[0]

    def __str__(self) -> str:
        return f"{self.page}, line {self.line}"


@dataclass(frozen=True)
class Command:
    """One command of a console block, without its prompt, and the lines that are shown below it."""

    words: str
    shown: str


def blocks(page: Path) -> Iterator[Block]:
    name = page.relative_to(ROOT).as_posix()
    section, opened, lines = "", None, []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        fence = _FENCE.match(line)
        if opened is None:
            if fence:
                opened, lines = (number, *fence.groups()), []
            elif heading := _HEADING.match(line):
                section = heading[1]
        elif fence and fence[1] == opened[1] and not fence[2].strip():
            yield Block(name, opened[0], section, opened[2].strip(), textwrap.dedent("\n".join([*lines, ""])))
            opened = None
        else:
            lines.append(line)
    assert opened is None, f"{name}, line {opened[0]}: a code block that does not end"


def projects() -> dict[str, list[Block]]:
    """All blocks of all pages, by the project they belong to."""
    found: dict[str, list[Block]] = {}
    for page in PAGES:
        for block in blocks(page):
            name = block.page if page in ONE_PROJECT else f"{block.page}: {block.section}"
            found.setdefault(name, []).append(block)
    return found


def commands(block: Block) -> list[Command]:
    """What a console block has behind ``$ ``; a line that ends with a backslash goes on in the next."""
    text = block.text.replace("\\\n", "")
    parts = re.split(r"^\$ (.*)\n", text, flags=re.MULTILINE)
    assert not parts[0], f"{block}: a console block begins with '$ ' and a command, not with {parts[0]!r}"
    return [Command(words, shown) for words, shown in zip(parts[1::2], parts[2::2])]
