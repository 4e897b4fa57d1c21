"""An app for FastAPI whose processes share what they know: what one of them is told, the others can tell.

``PAPERTIGER_URL=shm://board uvicorn app:app --workers 4``, and no server besides: the first process starts the store's
manager. Knows nothing of tests.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Body, Depends, FastAPI, Header, HTTPException, Query, Request, Response
from fastapi.responses import StreamingResponse

from papertiger_shm import AlreadyExists, AsyncStore, Events, InvalidItem, NotFound, WaitTimeout, async_connect


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with async_connect(start=True) as connection:  # $PAPERTIGER_URL says where
        app.state.connection = connection
        yield


app = FastAPI(title="Events", lifespan=lifespan)


def events_of_the_caller(
    request: Request, namespace: Annotated[str, Header(alias="x-paper-tiger-namespace")] = "global"
) -> AsyncStore:
    return Events(request.app.state.connection, namespace)


Board = Annotated[AsyncStore, Depends(events_of_the_caller)]


@app.post("/events", status_code=201)
async def take(event: Annotated[dict[str, Any], Body()], events: Board, response: Response) -> dict[str, Any]:
    """Keep an event, once, however often it is delivered."""
    try:
        return await events.insert_new(event)
    except AlreadyExists:
        response.status_code = 200
        return events.get(event["id"])
    except InvalidItem as problem:
        raise HTTPException(422, str(problem)) from None


@app.get("/events")
async def newest(
    events: Board, type: str | None = None, limit: Annotated[int, Query(ge=1, le=100)] = 10, after: str | None = None
) -> dict[str, Any]:
    """A page of them, newest first. A read takes microseconds, and is not awaited."""
    equals = {} if type is None else {"type": type}
    try:
        return events.list(limit, starting_after=after, **equals).to_dict()
    except NotFound as problem:
        raise HTTPException(400, str(problem)) from None


@app.get("/events/next")
async def following(events: Board, type: str, seconds: Annotated[float, Query(ge=0, le=60)] = 30) -> dict[str, Any]:
    """The first event of that type, which may still have to come: to this process or to another."""
    try:
        return await events.wait_for(seconds, type=type)
    except WaitTimeout as problem:
        raise HTTPException(404, str(problem)) from None


@app.get("/events/stream")
async def stream(events: Board) -> StreamingResponse:
    """What changes from now on, as server-sent events; ends with the client."""
    changes = events.watch()

    async def lines() -> AsyncIterator[str]:
        async with changes:
            yield ": from here on\n\n"
            async for change in changes:
                yield f"event: {change.kind}\nid: {change.version}\ndata: {json.dumps(change.item or change.id)}\n\n"

    return StreamingResponse(lines(), media_type="text/event-stream")


@app.post("/events/{id}/seen")
async def seen(id: str, events: Board) -> dict[str, int]:
    """Count who has seen it: no two of them at once are counted as one, whichever processes they asked."""
    try:
        return {"seen": await events.increment(id, "seen")}
    except NotFound as problem:
        raise HTTPException(404, str(problem)) from None
