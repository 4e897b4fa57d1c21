"""What a namespace holds, in a few lines, for the report of a test that failed."""

from __future__ import annotations

from papertiger_shm import Connection, Events, PaperTigerError

__all__ = ["contents"]

LAST_EVENTS = 10


def contents(connection: Connection, namespace: str) -> str:
    """Number of items by table, and the last events with their types; nothing for an empty one."""
    try:
        lines = [*_tables(connection, namespace), *_events(connection, namespace)]
    except PaperTigerError as problem:
        return f"could not be read: {problem}"
    return "\n".join(lines)


def _tables(connection: Connection, namespace: str) -> list[str]:
    return [
        f"{table}: {items} items" + ("" if place == namespace else f" in {place}")
        for table, place, items in connection.collections()
        if f"{place}/".startswith(f"{namespace}/")
    ]


def _events(connection: Connection, namespace: str) -> list[str]:
    page = Events(connection, namespace).list(limit=LAST_EVENTS)
    lines = [f"  {event.get('type', '?')}  {event['id']}" for event in page]
    return [f"the last {len(lines)} events, newest first:", *lines] if lines else []
