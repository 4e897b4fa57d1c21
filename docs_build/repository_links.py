"""Links from the pages to files that are no pages, as ``../examples``: GitHub follows them, a built site cannot.

They become links to the repository where ``extra.repository`` in ``mkdocs.yml`` says where that is, and plain text with
the file's path where it does not. A file that is not there is a warning, which the strict build takes for an error.
"""

from __future__ import annotations

import logging
import posixpath
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["on_page_markdown", "rewritten"]

PAGES = "docs"

# Code comes first: what looks like a link in it is none.
_CODE_OR_LINK = re.compile(
    r"^(?P<fence>```|~~~).*?^(?P=fence)|`[^`\n]+`(?!\])|(?<!!)\[(?P<text>[^\]]+)\]\((?P<target>\.\.?/[^)\s]*)\)",
    re.MULTILINE | re.DOTALL,
)

log = logging.getLogger("mkdocs.hooks.repository_links")


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: Any) -> str:
    """MkDocs calls this with the text of each page before it is made HTML."""
    root = Path(config.config_file_path).parent
    repository = config.extra.get("repository") or None
    missing: list[str] = []

    def kind(path: str) -> str:
        file = root / path
        if not file.exists():
            missing.append(path)
        return "tree" if file.is_dir() else "blob"

    text = rewritten(markdown, page.file.src_uri, repository, kind)
    for path in missing:
        log.warning("%s has a link to %s, which is not in the repository", page.file.src_uri, path)
    return text


def rewritten(markdown: str, page: str, repository: str | None, kind: Callable[[str], str]) -> str:
    """The page's text with its links to files outside of ``docs/`` changed, and no others.

    ``page``: its path below ``docs/``; ``repository``: the repository's address, or None; ``kind``: asked for each
    path, from the root of the repository, whether it is a "blob" or a "tree".
    """
    here = posixpath.join(PAGES, posixpath.dirname(page))

    def replaced(match: re.Match[str]) -> str:
        text, target = match["text"], match["target"]
        if target is None:
            return match[0]
        file, hash_, anchor = target.partition("#")
        path = posixpath.normpath(posixpath.join(here, file))
        if path == PAGES or path.startswith(f"{PAGES}/"):
            return match[0]
        form = kind(path)
        if repository is not None:
            return f"[{text}]({repository.rstrip('/')}/{form}/HEAD/{path}{hash_}{anchor})"
        return text if path in text else f"{text} (`{path}`)"

    return _CODE_OR_LINK.sub(replaced, markdown)
