"""All operations, by what ``--only`` calls them and in the order of the table."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from benchmarks.operations.clearing import clear
from benchmarks.operations.growth import growth
from benchmarks.operations.lists import find, pages
from benchmarks.operations.memory import memory
from benchmarks.operations.reads import count, get, look
from benchmarks.operations.starting import attach, imports
from benchmarks.operations.together import busy, readers, writers
from benchmarks.operations.work import work
from benchmarks.operations.writes import change, insert, insert_many
from benchmarks.plan import Plan
from benchmarks.results import Result

__all__ = ["OPERATIONS"]

# Those that only read come first: what is written makes the stores larger than their rows say.
OPERATIONS: dict[str, Callable[[Plan], Iterator[Result]]] = {
    "get": get,
    "look": look,
    "count": count,
    "list": pages,
    "find": find,
    "readers": readers,
    "growth": growth,
    "attach": attach,
    "imports": imports,
    "work": work,
    "memory": memory,
    "insert": insert,
    "insert-many": insert_many,
    "change": change,
    "busy": busy,
    "writers": writers,
    "clear": clear,
}
