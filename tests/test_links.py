"""Every link in a page that stays in the project leads to a file, and to a heading where it names one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "examples/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", prose(page))
    assert [link for link in links if not is_elsewhere(link) and not leads_somewhere(page, link)] == []


@pytest.mark.parametrize("link", ["gone.md", "#gone", "distributed.md#gone", "gone.md#what-is-not"])
def test_a_dead_link_is_seen(link: str) -> None:
    assert not leads_somewhere(ROOT / "docs" / "distributed.md", link)


def test_the_map_of_the_code_names_what_there_is() -> None:
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    paths = {
        path
        for path in re.findall(r"`([\w./*-]+)`", prose_of(contributing))
        if re.search(r"/|\.(py|md|yml|toml)$", path)
    }
    made = {"build/site"}
    rooms = (ROOT, ROOT / "src" / "papertiger_shm")
    assert [path for path in sorted(paths - made) if not any([*room.glob(path)] for room in rooms)] == []


def is_elsewhere(link: str) -> bool:
    return link.startswith(("https://", "http://", "mailto:"))


def leads_somewhere(page: Path, link: str) -> bool:
    file, _, heading = link.partition("#")
    target = page.parent / file if file else page
    return target.exists() and (not heading or heading in anchors(target))


def anchors(page: Path) -> set[str]:
    """The ends of addresses that lead to the page's headings, made as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def prose(page: Path) -> str:
    return prose_of(page.read_text(encoding="utf-8"))


def prose_of(text: str) -> str:
    return re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)
