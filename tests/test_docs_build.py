"""What the build of the documentation does to pages: links that leave docs/, and what a site may not load."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from docs_build.repository_links import on_page_markdown, rewritten
from docs_build.self_contained import loaded_by_html, loaded_by_style, on_post_build

REPOSITORY = "https://host.example/owner/name"


def in_site(markdown: str, page: str = "testing.md", repository: str | None = REPOSITORY) -> str:
    return rewritten(markdown, page, repository, lambda path: "blob" if "." in path else "tree")


@pytest.mark.parametrize(
    ("page", "link", "leads_to"),
    [
        ("testing.md", "../examples/webhooks", "tree/HEAD/examples/webhooks"),
        ("testing.md", "../README.md#in-tests", "blob/HEAD/README.md#in-tests"),
        ("how-to/redis.md", "../../src/papertiger_shm/store.py", "blob/HEAD/src/papertiger_shm/store.py"),
        ("reference/index.md", "./../../tox.ini", "blob/HEAD/tox.ini"),
    ],
)
def test_a_link_that_leaves_the_pages_leads_to_the_repository(page: str, link: str, leads_to: str) -> None:
    assert in_site(f"See [`it`]({link}).", page) == f"See [`it`]({REPOSITORY}/{leads_to})."


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("testing.md", "[a page](asyncio.md), [a heading](#reference), [elsewhere](https://docs.python.org/3/)"),
        ("how-to/redis.md", "[a page](../distributed.md#a-cluster)"),
        ("how-to/redis.md", "![a plot](../plots/cost-by-size.svg)"),
        ("testing.md", "`[no link](../examples)`"),
        ("testing.md", "```markdown\n[no link](../examples)\n```"),
    ],
)
def test_all_else_stays_as_it_is(page: str, text: str) -> None:
    assert in_site(text, page) == text


def test_without_a_repository_a_link_is_text_that_names_the_file() -> None:
    text = "[the app](../examples/webhooks), [examples/fastapi_app](../examples/fastapi_app)"
    assert in_site(text, repository=None) == "the app (`examples/webhooks`), examples/fastapi_app"


def test_a_link_to_a_file_that_is_not_there_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "tox.ini").touch()
    config = SimpleNamespace(config_file_path=str(tmp_path / "mkdocs.yml"), extra={"repository": ""})
    page = SimpleNamespace(file=SimpleNamespace(src_uri="how-to/redis.md"))
    on_page_markdown("[there](../../tox.ini), [gone](../../gone.py)", page=page, config=config)
    assert [record.getMessage() for record in caplog.records] == [
        "how-to/redis.md has a link to gone.py, which is not in the repository"
    ]


@pytest.mark.parametrize(
    "html",
    [
        '<link rel="stylesheet" href="https://fonts.example/css?family=Roboto">',
        '<link rel="preconnect" href="//fonts.example" crossorigin>',
        '<script src="https://cdn.example/mermaid.js"></script>',
        '<img src="https://img.example/badge.svg">',
        '<img src="here.png" srcset="here.png 1x, https://img.example/twice.png 2x">',
        '<style>@import "https://fonts.example/a.css";</style>',
        '<div style="background: url(https://img.example/a.png)"></div>',
    ],
)
def test_what_a_page_loads_from_elsewhere_is_seen(html: str) -> None:
    assert loaded_by_html(html)


def test_what_a_reader_follows_and_what_is_the_sites_own_is_not() -> None:
    assert not loaded_by_html(
        '<link rel="canonical" href="https://docs.example/"><link rel="stylesheet" href="../assets/main.css">'
        '<a href="https://docs.example/">there</a><script src="/assets/a.js"></script><img src="plots/a.svg">'
    )
    assert not loaded_by_style("a { background: url(a.svg) } b { mask-image: url('data:image/svg+xml,<svg/>') }")


def test_each_file_of_the_site_is_looked_at(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "main.css").write_text("@font-face { src: url(https://fonts.example/a.woff2) }")
    (tmp_path / "index.html").write_text('<script src="https://cdn.example/a.js"></script>')
    on_post_build(config=SimpleNamespace(site_dir=str(tmp_path)))
    assert [record.getMessage().split(", ")[0] for record in caplog.records] == [
        "assets/main.css loads https://fonts.example/a.woff2",
        "index.html loads https://cdn.example/a.js",
    ]
