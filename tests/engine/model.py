"""What a store has to be: plain dictionaries that take the same requests as the writer.

Knows what requests mean and nothing of words, blocks or directories. The numbers that the engine gives to versions
are learnt from it after each batch, and have to grow; everything else is worked out here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from papertiger_shm.engine import (
    Clear,
    ClearAcross,
    ClearBelow,
    CollectionReader,
    Delete,
    Operation,
    Put,
    Reader,
    Request,
    Transform,
    Transformed,
)
from papertiger_shm.errors import AlreadyExists, Conflict, InvalidRequest, NotFound, PaperTigerError, StoreFull

CLIENTS = tuple(bytes([n]) * 16 for n in (1, 2, 3))


def pack(results: Any) -> bytes:
    """Stored answers as bytes."""
    return json.dumps(results).encode()


unpack = json.loads


class Item(NamedTuple):
    """One stored item; ``version`` is None until it was learnt from the engine."""

    created: int
    ordinal: int
    postings: tuple[bytes, ...]
    payload: bytes
    version: int | None = None


@dataclass(frozen=True)
class Appended:
    """A pure function for ``Transform``: the payload grows, the item may change its time and one index value."""

    tail: bytes
    created: int | None = None
    lost: bytes | None = None
    gained: bytes | None = None

    def __call__(self, payload: bytes) -> Transformed:
        return Transformed(payload + self.tail, self.created, (self.lost, self.gained), len(payload))


@dataclass(frozen=True)
class Refused:
    """A pure function for ``Transform`` that does not like what it meets."""

    def __call__(self, payload: bytes) -> Transformed:
        raise InvalidRequest("not this one")


@dataclass
class Model:
    """Collections of items, and what each client was answered last."""

    collections: dict[bytes, dict[bytes, Item]] = field(default_factory=dict)
    sessions: dict[bytes, tuple[int, list[Any]]] = field(default_factory=dict)
    ordinal: int = 0
    latest: int = 0

    def copy(self) -> Model:
        """One that changes independently; items never change."""
        collections = {name: dict(items) for name, items in self.collections.items()}
        return Model(collections, dict(self.sessions), self.ordinal, self.latest)

    # --- writing -------------------------------------------------------------------------------------------------

    def apply(self, request: Request) -> list[Any] | PaperTigerError:
        """Do the request, wholly or not at all; answers as the writer would."""
        if request.client is not None and request.client in self.sessions:
            number, answer = self.sessions[request.client]
            if request.number == number:
                return answer
            if request.number < number:
                return InvalidRequest("stale")
        trial = self.copy()
        try:
            results = [trial._perform(operation) for operation in request.operations]
        except PaperTigerError as error:
            return error
        if request.client is not None:
            trial.sessions[request.client] = (request.number, results)
        self.__dict__.update(trial.__dict__)
        return results

    def _perform(self, operation: Operation) -> Any:
        if isinstance(operation, Put):
            return self._put(operation)
        if isinstance(operation, Transform):
            return self._transform(operation)
        if isinstance(operation, Delete):
            self.collections.get(operation.collection, {}).pop(operation.key, None)
        elif isinstance(operation, Clear):
            self.collections.pop(operation.collection, None)
        elif isinstance(operation, ClearBelow):
            for name in [name for name in self.collections if name.startswith(operation.prefix)]:
                del self.collections[name]
        else:
            assert isinstance(operation, ClearAcross)
            rests = {name: name.partition(b"\0")[2] for name in self.collections}
            for name, rest in rests.items():
                if rest == operation.name or rest.startswith(operation.below):
                    del self.collections[name]
        self.collections = {name: items for name, items in self.collections.items() if items}
        return None

    def _put(self, put: Put) -> None:
        old = self.collections.get(put.collection, {}).get(put.key)
        if put.expect == 0:
            if old:
                raise AlreadyExists("there already")
        elif put.expect is not None and (old is None or old.version != put.expect):
            raise Conflict("another version")
        self.ordinal += 1
        ordinal = old.ordinal if old else self.ordinal
        item = Item(put.created, ordinal, tuple(dict.fromkeys(put.postings)), put.payload)
        self.collections.setdefault(put.collection, {})[put.key] = item

    def _transform(self, transform: Transform) -> Any:
        old = self.collections.get(transform.collection, {}).get(transform.key)
        if old is None:
            raise NotFound("nothing to transform")
        after = transform.function(old.payload)
        lost, gained = after.posting
        postings = [posting for posting in old.postings if posting != lost]
        if gained is not None:
            postings.append(gained)
        created = old.created if after.created is None else after.created
        self._put(Put(transform.collection, transform.key, created, postings, after.payload))
        return after.result

    # --- reading -------------------------------------------------------------------------------------------------

    def items(self, collection: bytes, filters: Sequence[bytes] = ()) -> list[tuple[bytes, Item]]:
        """Keys and items that match all filters, newest first."""
        found = [
            (key, item)
            for key, item in self.collections.get(collection, {}).items()
            if set(filters) <= set(item.postings)
        ]
        return sorted(found, key=lambda pair: (pair[1].created, pair[1].ordinal), reverse=True)

    def page(
        self, collection: bytes, limit: int, after: bytes | None, before: bytes | None, filters: Sequence[bytes] = ()
    ) -> tuple[list[bytes], bool]:
        """As ``CollectionReader.page``; KeyError for an unknown cursor."""

        def rank(item: Item) -> tuple[int, int]:
            return item.created, item.ordinal

        items = [item for _, item in self.items(collection, filters)]
        if before is not None:
            cursor = rank(self.collections.get(collection, {})[before])
            newer = [item for item in items if rank(item) > cursor]
            return [item.payload for item in newer[max(len(newer) - limit, 0) :]], len(newer) > limit
        if after is not None:
            cursor = rank(self.collections.get(collection, {})[after])
            items = [item for item in items if rank(item) < cursor]
        return [item.payload for item in items[:limit]], len(items) > limit

    # --- comparing with the engine -------------------------------------------------------------------------------

    def learn(self, reader: Reader) -> None:
        """Take over the versions of what was written since; they are new, and larger than all before."""
        fresh = []
        for name, items in self.collections.items():
            collection = reader.collection(name)
            for key, item in items.items():
                if item.version is None:
                    version = collection.version(key)
                    assert version is not None
                    assert version > self.latest, "a later write has a larger version"
                    items[key] = item._replace(version=version)
                    fresh.append(version)
        assert len(set(fresh)) == len(fresh), "versions are unique"
        self.latest = max(fresh, default=self.latest)

    def agree(self, outcome: list[Any] | PaperTigerError, request: Request) -> None:
        """Apply what the writer says it applied; its answer has to be the one of the model."""
        if isinstance(outcome, StoreFull):
            return
        expected = self.apply(request)
        if isinstance(expected, PaperTigerError):
            assert type(outcome) is type(expected), (request, outcome, expected)
        else:
            assert outcome == expected, (request, outcome, expected)


def check_equal(
    model: Model, reader: Reader, names: Iterable[bytes], keys: Iterable[bytes], postings: Iterable[bytes]
) -> None:
    """Everything that can be read of these collections, keys and index values is as the model has it."""
    for name in {*names, *model.collections}:
        check_collection(model, reader.collection(name), name, list(keys), list(postings))


def check_collection(
    model: Model, collection: CollectionReader, name: bytes, keys: Sequence[bytes], postings: Sequence[bytes]
) -> None:
    """One collection in one go: order and index lists, versions, counts, each item by its key."""
    items = model.items(name)
    assert collection.entries() == [(item.version, item.payload) for _, item in items], name
    assert collection.count() == len(items)
    every = sorted({*keys, *(key for key, _ in items)})
    held = model.collections.get(name, {})
    assert collection.get_many(every) == [held[key].payload if key in held else None for key in every]
    for key in every:
        item = held.get(key)
        assert collection.get(key) == (item and item.payload)
        assert collection.version(key) == (item and item.version)
    for posting in {*postings, *(posting for _, item in items for posting in item.postings)}:
        assert collection.scan([posting]) == [item.payload for _, item in model.items(name, [posting])], posting
