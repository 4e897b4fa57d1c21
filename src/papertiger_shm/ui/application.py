"""The ASGI app of the inspector: which page is at which address, and what it is made from.

Who may ask is decided before, in ``admission``; what a page says of a store is found out in rooms of its own. Nothing
is ever written here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from papertiger_shm import Connection, Events, InvalidRequest, ManagerUnavailable, NotFound, PaperTigerError
from papertiger_shm.testing import runs_in
from papertiger_shm.ui.feed import Feed
from papertiger_shm.ui.folding import Folding, as_text, part_at
from papertiger_shm.ui.looking import Asked, look
from papertiger_shm.ui.places import Places, handle, worker_of
from papertiger_shm.ui.shown import moment, shown, visible
from papertiger_shm.ui.timeline import Timeline

__all__ = ["application"]

LINES_IN_LIST: Final = 100
LINES_ALONE: Final = 2000
"""Lines of one item's JSON, on a page of many and on its own."""

PAGES: Final = (("/", "Store"), ("/timeline", "Timeline"), ("/runs", "Runs"))
FIGURES: Final = (
    "items",
    "collections",
    "commits",
    "bytes_used",
    "bytes_reserved",
    "clients",
    "reader_retries",
    "generation",
    "writer_pid",
)
"""Of a store's figures those that say something to who looks at it; one on a server has fewer."""

FAMILIES: Final = 6
"""Colours that the timeline has; what comes after them has one in common."""

_log = logging.getLogger(__name__)


def application(connection: Connection, feed: Feed) -> Starlette:
    """The app, which reads what the connection leads to."""
    pages = _Pages(connection, feed)
    return Starlette(
        routes=[
            Route("/", pages.store, methods=["GET"]),
            Route("/items", pages.items, methods=["GET"]),
            Route("/item", pages.item, methods=["GET"]),
            Route("/text", pages.text, methods=["GET"]),
            Route("/timeline", pages.timeline, methods=["GET"]),
            Route("/runs", pages.runs, methods=["GET"]),
            Route("/live", pages.live, methods=["GET"]),
            Mount("/static", StaticFiles(packages=[("papertiger_shm.ui", "static")])),
        ],
        exception_handlers={
            PaperTigerError: pages.error,
            HTTPException: pages.http_error,
            Exception: pages.error,
        },
    )


class _Pages:
    """The endpoints. Those that read are plain functions, which Starlette calls in threads: a read may wait."""

    def __init__(self, connection: Connection, feed: Feed) -> None:
        self._connection = connection
        self._feed = feed
        self._templates = Environment(
            loader=PackageLoader("papertiger_shm.ui"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(shown=shown, visible=visible, moment=moment)
        self._templates.globals.update(link=link, worker_of=worker_of, pages=PAGES)

    def store(self, request: Request) -> Response:
        """The figures, the tables and the namespaces."""
        asked = _asked(request, "worker", "table", "text", "after")
        commits = self._feed.commits
        places = Places(self._connection, **asked)
        stats = self._connection.stats()
        figures = {name.replace("_", " "): stats[name] for name in FIGURES if name in stats}
        return self._page(request, "store.html", commits, asked=asked, places=places, figures=figures)

    def items(self, request: Request) -> Response:
        """One page of one table in one namespace."""
        place = _asked(request, "table", "namespace")
        asked = _asked(request, "type", "id", "text", "after", "before")
        commits = self._feed.commits
        store = handle(self._connection, place["table"], place["namespace"])
        found = look(store, Asked(**asked))
        types = sorted({item["type"] for item in found.items if isinstance(item.get("type"), str)})
        return self._page(
            request,
            "items.html",
            commits,
            place=place,
            asked=asked,
            total=store.count(),
            found=found,
            has_types=bool(types) or "type" in store.indexes or bool(asked["type"]),
            types=types,
            folded=lambda item: _folded(item, place, LINES_IN_LIST),
        )

    def item(self, request: Request) -> Response:
        """One item."""
        place = _asked(request, "table", "namespace")
        id = _asked(request, "id")["id"]
        commits = self._feed.commits
        item = handle(self._connection, place["table"], place["namespace"]).get(id, None)
        folded = None if item is None else _folded(item, place, LINES_ALONE)
        return self._page(request, "item.html", commits, place=place, id=id, item=item, folded=folded)

    def text(self, request: Request) -> Response:
        """All of a part of an item, as plain text."""
        asked = _asked(request, "table", "namespace", "id", "at")
        item = handle(self._connection, asked["table"], asked["namespace"]).get(asked["id"])
        return PlainTextResponse(as_text(part_at(item, asked["at"])))

    def timeline(self, request: Request) -> Response:
        """The newest events by worker and type."""
        asked = _asked(request, "worker", "type")
        commits = self._feed.commits
        timeline = Timeline(self._connection, **asked)
        colours = {name: place for place, (name, _) in enumerate(timeline.by_family.most_common(FAMILIES))}
        return self._page(
            request, "timeline.html", commits, asked=asked, timeline=timeline, colours=colours, table=Events.table_name
        )

    def runs(self, request: Request) -> Response:
        """The runs of tests: workers, and shared fixtures with who holds and who waits."""
        commits = self._feed.commits
        runs = runs_in(self._connection)
        for run in runs:
            for fixture in run["shared_fixtures"]:
                words = f"the shared fixture {fixture['name']!r}"
                fixture["waiting"] = [
                    worker["worker"] for worker in run["workers"] if words in (worker["waits_for"] or "")
                ]
        return self._page(request, "runs.html", commits, runs=runs)

    async def live(self, request: Request) -> Response:
        """Server-sent events: that something has changed, and the end."""
        if request.method == "HEAD":  # whose answer would otherwise be written, and thrown away, for ever
            return Response(media_type="text/event-stream")
        return StreamingResponse(self._feed.listen(), media_type="text/event-stream")

    def _page(self, request: Request, template: str, commits: int, status: int = 200, **values: Any) -> Response:
        """The page, or where its script asks for it, the part that changes."""
        html = self._templates.get_template(template).render(
            layout="part.html" if "x-part" in request.headers else "page.html",
            store=self._connection.url,
            path=request.url.path,
            commits=commits,
            **values,
        )
        return HTMLResponse(html, status)

    async def error(self, request: Request, error: Exception) -> Response:
        """What could not be shown, and why."""
        if isinstance(error, InvalidRequest):
            return self._error(request, 400, str(error))
        if isinstance(error, NotFound):
            return self._error(request, 404, str(error))
        if isinstance(error, ManagerUnavailable):
            return self._error(request, 503, str(error))
        _log.error("%s could not be shown", request.url.path, exc_info=error)
        return self._error(request, 500, f"{type(error).__name__}: {error}")

    async def http_error(self, request: Request, error: Exception) -> Response:
        """An address that leads nowhere."""
        assert isinstance(error, HTTPException)
        return self._error(request, error.status_code, f"There is no page at {request.url.path[:200]!r}.")

    def _error(self, request: Request, status: int, why: str) -> Response:
        return self._page(request, "error.html", self._feed.commits, status, why=why)


def link(path: str, *sets: dict[str, str], **parameters: str) -> str:
    """The address of a page: later values take the place of earlier ones, and empty ones are left out."""
    merged: dict[str, str] = {}
    for some in (*sets, parameters):
        merged.update(some)
    query = urlencode({name: value for name, value in merged.items() if value})
    return f"{path}?{query}" if query else path


def _asked(request: Request, *names: str) -> dict[str, str]:
    return {name: request.query_params.get(name, "") for name in names}


def _folded(item: dict[str, Any], place: dict[str, str], lines: int) -> Any:
    address_of: Callable[[str], str] = lambda at: link("/text", place, id=item["id"], at=at)  # noqa: E731
    return Folding(address_of, lines=lines).html(item)
