"""One request: what the server is sent for a list of operations, and what its answer means.

No connection is made here; what an item is at the moment, where that has to be known, is asked of the caller.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import msgpack
from valkey.exceptions import ResponseError

from ..backend import Clear, ClearNamespace, Delete, Increment, Operation, Put
from ..codec import MISSING, decode, field_value, index_key
from ..errors import AlreadyExists, Conflict, NotFound
from ..increment import adding

__all__ = ["Outdated", "Request", "name_of", "packed"]

_CREATED_BIAS = 1 << 63
_EXACT = 1 << 53
"""From here on the server's language cannot hold every whole number."""

_AT_SERVER = object()
"""Stands for a number that the server is still to say."""

_Item = tuple[str, str, str]  # table, namespace, id


class Outdated(Exception):
    """What a number was added to has changed meanwhile, or, ``is_for_us``, cannot be added to by the server."""

    def __init__(self, *, is_for_us: bool) -> None:
        self.is_for_us = is_for_us


class Request:
    """What the server is sent for some operations, and the results that they have if it is carried out."""

    def __init__(
        self,
        operations: Sequence[Operation],
        entry: Callable[[str, str, str], tuple[int, bytes] | None],
        *,
        at_server: bool,
    ) -> None:
        """``entry`` gives version and payload of a table's item; ``at_server``: let the server add what it can."""
        self._entry = entry
        self._operations = operations
        # All or none: what the server adds to is not known here when a later operation has to be.
        self._at_server = at_server and all(map(_is_plain, operations))
        self.names: dict[bytes, int] = {}
        self.said: list[list[Any]] = []
        self.results: list[Any] = []
        self._asked_by: list[int] = []  # the operation that each of ``said`` stands for
        self._made: dict[_Item, bytes | None] = {}
        self._cleared: list[Clear | ClearNamespace] = []
        for number, operation in enumerate(operations):
            self.results.append(_SAY[type(operation)](self, operation))
            self._asked_by += [number] * (len(self.said) - len(self._asked_by))

    @property
    def adds(self) -> bool:
        """Whether any of it needs room."""
        return any(said[0] in ("put", "increment") for said in self.said)

    def results_with(self, sums: list[bytes]) -> list[Any]:
        """The results, with the numbers that the server came to."""
        waiting = iter(sums)
        return [_number(next(waiting)) if result is _AT_SERVER else result for result in self.results]

    def refused(self, error: ResponseError) -> NoReturn:
        """Raise what the server's refusal means."""
        words = str(error).split()
        code = words[0] if words else ""
        if code in ("PTRETRY", "PTCLIENT"):
            raise Outdated(is_for_us=code == "PTCLIENT") from None
        if code not in ("PTALREADYEXISTS", "PTCONFLICT", "PTNOTFOUND"):
            raise error
        put = self._operations[self._asked_by[int(words[words.index("at") + 1])]]
        if isinstance(put, Increment):
            raise _nothing_to_add_to(put) from None
        assert isinstance(put, Put)
        what = f"item {put.id!r} of {put.table} in namespace {put.namespace!r}"
        if code == "PTALREADYEXISTS":
            raise AlreadyExists(f"there already is an {what}: use insert to replace it, or another id") from None
        version = int(words[1])
        now = f"it is at version {version}" if version else "the item is gone"
        raise Conflict(
            f"version {put.expect} of {what} was to be replaced, and {now}: read it again and decide anew"
        ) from None

    def _at(self, table: str, namespace: str) -> int:
        return self.names.setdefault(name_of(table, namespace), len(self.names) + 1)

    def put(self, put: Put) -> None:
        self._made[put.table, put.namespace, put.id] = put.payload
        created = (put.created + _CREATED_BIAS).to_bytes(8, "big")
        expect = -1 if put.expect is None else put.expect
        at = self._at(put.table, put.namespace)
        postings = [*dict.fromkeys(put.postings)]
        self.said.append(["put", at, put.id.encode(), created, postings, put.payload, expect])

    def delete(self, delete: Delete) -> None:
        self._made[delete] = None
        self.said.append(["delete", self._at(delete.table, delete.namespace), delete.id.encode()])

    def clear(self, clear: Clear) -> None:
        self._forget(clear)
        table, namespace = clear.table.encode(), clear.namespace
        if namespace is None:
            self.said.append(["clear_table", [], [table + b"\0"]])
        else:
            exact = name_of(clear.table, namespace)
            self.said.append(["clear_table", [exact], [exact + b"/"]])

    def clear_namespace(self, clear: ClearNamespace) -> None:
        self._forget(clear)
        namespace = clear.namespace.encode()
        self.said.append(["clear_namespace", [], [namespace + b"\0", namespace + b"/"]])

    def _forget(self, clear: Clear | ClearNamespace) -> None:
        self._cleared.append(clear)
        for item in [*self._made]:
            if _covers(clear, item):
                self._made[item] = None

    def increment(self, increment: Increment) -> Any:
        table, namespace, id, field, by, indexes = increment
        add = adding(field, by, indexes)
        if self._at_server:
            path = [step.encode() for step in field.split(".")]
            kind = "i" if isinstance(by, int) else "f"
            self.said.append(["increment", self._at(table, namespace), id.encode(), path, kind, repr(by)])
            return _AT_SERVER
        payload = self._payload_of((table, namespace, id))
        if payload is None:
            raise _nothing_to_add_to(increment)
        after = add(payload)
        item = decode(after.payload)
        values = ((index, field_value(item, index)) for index in indexes)
        postings = tuple(index_key(index, value) for index, value in values if value is not MISSING)
        self.put(Put(table, namespace, id, item["created"], postings, after.payload, None))
        return after.result

    def _payload_of(self, item: _Item) -> bytes | None:
        """What the item is at this point of the request; if it was there before, it must not change meanwhile."""
        if item in self._made:
            return self._made[item]
        if any(_covers(clear, item) for clear in self._cleared):
            return None
        table, namespace, id = item
        entry = self._entry(table, namespace, id)
        if entry is None:
            return None
        self.said.append(["expect", self._at(table, namespace), id.encode(), entry[0]])
        return entry[1]


_SAY: dict[type, Callable[[Request, Any], Any]] = {
    Put: Request.put,
    Delete: Request.delete,
    Clear: Request.clear,
    ClearNamespace: Request.clear_namespace,
    Increment: Request.increment,
}


def _is_plain(operation: Operation) -> bool:
    """Whether the server can carry it out, where the item is as one would expect."""
    if not isinstance(operation, Increment):
        return True
    by = operation.by
    exact = abs(by) < _EXACT if isinstance(by, int) else math.isfinite(by)
    return exact and operation.field not in ("created", "id", *operation.indexes)


def _number(text: bytes) -> int | float:
    return int(text[1:]) if text.startswith(b"i") else float(text[1:])


def _nothing_to_add_to(increment: Increment) -> NotFound:
    return NotFound(
        f"there is no item {increment.id!r} of {increment.table} in namespace {increment.namespace!r}: insert it first"
    )


def _covers(clear: Clear | ClearNamespace, item: _Item) -> bool:
    table, namespace, _ = item
    if isinstance(clear, Clear) and clear.table != table:
        return False
    return clear.namespace is None or f"{namespace}/".startswith(f"{clear.namespace}/")


def name_of(table: str, namespace: str) -> bytes:
    return f"{table}\0{namespace}".encode()


def packed(value: Any) -> bytes:
    text: bytes = msgpack.packb(value, use_bin_type=False)  # the functions know no other strings
    return text
