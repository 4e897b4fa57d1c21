"""The built site loads nothing from elsewhere: no font, script, style or picture. Links that a reader follows may."""

from __future__ import annotations

import logging
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

__all__ = ["loaded_by_html", "loaded_by_style", "on_post_build"]

# By element: the attribute whose address a browser loads by itself. Of <link> it depends on rel.
_LOADING = {
    "audio": "src",
    "embed": "src",
    "iframe": "src",
    "img": "src",
    "input": "src",
    "object": "data",
    "script": "src",
    "source": "src",
    "track": "src",
    "video": "src",
}
_FOLLOWED = {"alternate", "author", "canonical", "help", "license", "next", "prev", "search"}

log = logging.getLogger("mkdocs.hooks.self_contained")


def on_post_build(*, config: Any, **_: Any) -> None:
    """MkDocs calls this when all files of the site are there."""
    site = Path(config.site_dir)
    for file in sorted(site.rglob("*")):
        if file.suffix in {".html", ".css"}:
            text = file.read_text(encoding="utf-8")
            for address in (loaded_by_html if file.suffix == ".html" else loaded_by_style)(text):
                log.warning("%s loads %s, which is not part of the site", file.relative_to(site), address)


def loaded_by_html(text: str) -> list[str]:
    """The addresses on other hosts that a browser loads to show the page."""
    parser = _Elements()
    parser.feed(text)
    parser.close()
    return [address for address in parser.loaded if _is_elsewhere(address)] + loaded_by_style(text)


def loaded_by_style(text: str) -> list[str]:
    """The addresses on other hosts in ``url(...)`` and ``@import "..."``."""
    found = re.findall(r"""url\(\s*["']?([^"')\s]+)|@import\s+["']([^"']+)""", text)
    return [address for pair in found for address in pair if _is_elsewhere(address)]


class _Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "link" and not set(given.get("rel", "").split()) <= _FOLLOWED:
            self.loaded.append(given.get("href", ""))
        elif tag in _LOADING:
            self.loaded.append(given.get(_LOADING[tag], ""))
        self.loaded += [part.split()[0] for part in given.get("srcset", "").split(",") if part.strip()]


def _is_elsewhere(address: str) -> bool:
    return re.match(r"(?:[a-z][a-z0-9+.-]*:)?//", address, re.IGNORECASE) is not None
