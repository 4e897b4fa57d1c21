"""The writer: requests in, one commit out.

Opens a segment (after a crash as after a clean start, there is one way in), applies batches of requests each of
which happens wholly or not at all, makes room when there is none, and does the lazy work. Sockets, processes and
clocks never enter; the segment must have exactly one writer, which is for the caller to see to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from ..errors import CorruptSegment, InvalidRequest, PaperTigerError, StoreFull
from .arena import Arena, NoRoom, Reserve
from .catalogue import RECLAIM_AT_ONCE, Catalogue
from .commit import Commit, replay
from .directory import Directory, create_directory
from .items import Items
from .layout import (
    ARENA,
    CLEARED,
    CLOSED,
    COLLECTION,
    FIRST_TOKEN,
    FORMAT,
    H_ALLOCATED,
    H_CHANGE,
    H_COLLECTIONS,
    H_COMMITS,
    H_EPOCH,
    H_FORMAT,
    H_GENERATION,
    H_IDENTITY,
    H_ITEMS,
    H_JOURNAL_HOME,
    H_MAGIC,
    H_RESERVED,
    H_SIZE,
    H_TOKEN,
    H_TOP,
    JOURNAL,
    MAGIC,
    MIN_SEGMENT,
    SESSION,
    SIZE_MASK,
)
from .memory import Memory
from .operations import Clear, ClearBelow, Delete, Operation, Put, Request, Transform
from .posting import Postings
from .session import Sessions

PUBLISHING_ADDS = 64
"""Words that a commit may still gain when it is published: its own count, and tombstones that turn empty."""

BACKLOG_WORDS = 1 << 17
"""What cleared collections may hold, 1 MiB, before clients are made to wait for lazy work."""

PACE = 4
"""Records that are then taken back for each operation: some 25 us for an insert."""

Outcome: TypeAlias = "list[Any] | PaperTigerError"
"""What became of a request: a result for each of its operations, or why nothing of it happened."""


def create(memory: Memory, reserve: Reserve, *, identity: int) -> None:
    """Lay out an empty store in zeroed memory. ``identity``: a random 64-bit number.

    The magic is the last word written, so that a store is never met half made.

    Raises:
        InvalidRequest: the memory is too small.
        StoreFull: the kernel does not give the first few pages.
    """
    size = len(memory)
    if size < MIN_SEGMENT:
        raise InvalidRequest(f"a segment of {size:,} bytes is too small: {MIN_SEGMENT:,} is the least")
    words = memory.words
    journal_words = min(max(size // 8 // 64, 256), 1 << 15)
    try:
        words[H_RESERVED] = reserve((ARENA + 2 * journal_words) * 8) // 8
    except OSError as error:
        raise StoreFull(
            f"no shared memory for a new store ({error.strerror}): free some, or enlarge /dev/shm"
        ) from error
    words[H_FORMAT] = FORMAT
    words[H_SIZE] = size
    words[H_IDENTITY] = identity
    words[H_TOKEN] = FIRST_TOKEN
    words[H_TOP] = ARENA
    commit = Commit(memory)
    arena = Arena(memory, commit, reserve)
    try:
        journal = arena.allocate(JOURNAL, journal_words, spare=True)
        commit.draft[H_JOURNAL_HOME] = journal
        create_directory(memory, commit, arena)
    except NoRoom as error:
        raise StoreFull(f"no room for a new store: {error.reason}; free some, or enlarge /dev/shm") from error
    commit.publish(journal)
    words[H_MAGIC] = MAGIC


def check_header(memory: Memory) -> None:
    """See that this is a segment of this format.

    Raises:
        CorruptSegment: it is not, or it is cut short.
    """
    words = memory.words
    if len(memory) < MIN_SEGMENT or words[H_MAGIC] != MAGIC:
        raise CorruptSegment("this is no papertiger-shm segment: remove it with `papertiger-shm gc`")
    if words[H_FORMAT] != FORMAT:
        raise CorruptSegment(
            f"the segment has format {words[H_FORMAT]}, this version reads format {FORMAT}: "
            "stop its manager and start it again with the version in use here"
        )
    if words[H_SIZE] > len(memory) or words[H_RESERVED] * 8 > len(memory):
        raise CorruptSegment(f"the segment is cut short: {words[H_SIZE]:,} bytes, of which {len(memory):,} are there")


class _Unready(Exception):
    """The request needs a larger journal or directory before it can be tried again."""

    def __init__(self, *, journal_words: int = 0, directory_entries: int = 0) -> None:
        super().__init__()
        self.journal_words = journal_words
        self.directory_entries = directory_entries


class Writer:
    """The one writer of a segment.

    ``reserve(n)`` makes the first ``n`` bytes safe to touch and answers how many now are, or raises ``OSError``.
    ``pack`` and ``unpack`` turn the results of a request into bytes and back.

    Opening one finishes a commit that the last writer left, raises the generation and moves the epoch.

    Raises:
        CorruptSegment: the memory is no segment, or a damaged one.
    """

    def __init__(
        self,
        memory: Memory,
        reserve: Reserve,
        pack: Callable[[Any], bytes],
        unpack: Callable[[bytes], Any],
    ) -> None:
        check_header(memory)
        replay(memory)
        self._words = words = memory.words
        words[H_GENERATION] += 1
        words[H_EPOCH] = (words[H_EPOCH] & ~CLOSED) + 1
        self._commit = Commit(memory)
        self._draft = self._commit.draft
        self._arena = Arena(memory, self._commit, reserve)
        self._directory = Directory(memory, self._commit, self._arena)
        self._postings = Postings(words, self._commit)
        self._catalogue = Catalogue(memory, self._commit, self._arena, self._directory, self._postings)
        self._items = Items(memory, self._commit, self._arena, self._directory, self._postings, self._catalogue)
        self._sessions = Sessions(memory, self._commit, self._arena, pack, unpack)
        self._measure_journal()
        self._adopt()

    def execute(self, requests: Sequence[Request]) -> list[Outcome]:
        """Apply the requests in order, all that succeed in one commit, as far as one commit can hold them.

        When this returns, what it says has happened has happened for every reader.
        """
        outcomes: list[Outcome] = []
        applied: list[Request] = []
        behind = self._catalogue.has_cleared
        try:
            for request in requests:
                outcomes.append(self._attempt(request, applied))
        except BaseException:
            self._rewind(())
            raise
        self._publish()
        if behind:  # not for what these very requests cleared: a clear costs the same whatever it clears
            self._keep_pace(requests)
        return outcomes

    def idle(self) -> bool:
        """Do one bounded piece of lazy work; ``True`` while there is more."""
        if self._catalogue.has_cleared:
            self._catalogue.reclaim(self._journal_room)
            self._publish()
        return self._catalogue.has_cleared

    @property
    def newest_version(self) -> int:
        """The largest version that any item has had, 0 for none."""
        return self._words[H_CHANGE]

    def last_request(self, client: bytes) -> int:
        """The number of the last request applied for this client, 0 for none."""
        return self._sessions.last(client)

    def clients(self) -> list[bytes]:
        """Every client whose last request is remembered."""
        return self._sessions.clients()

    def forget(self, client: bytes) -> None:
        """The client will never ask again."""
        self._sessions.forget(client)
        self._publish()

    def collections(self) -> list[tuple[bytes, int]]:
        """Every collection that holds items, by name, with how many."""
        return list(self._catalogue.sizes())

    def close(self) -> None:
        """Tell every reader that this segment will not change any more."""
        self._words[H_EPOCH] |= CLOSED

    def stats(self) -> dict[str, int]:
        """Figures of the segment; sizes in bytes.

        ``bytes_used`` is what the arena has ever taken of the segment, ``bytes_live`` what holds something now, and
        ``bytes_quarantined`` what was freed and waits for the epoch.
        """
        words = self._words
        return {
            "items": words[H_ITEMS],
            "collections": words[H_COLLECTIONS],
            "bytes_used": words[H_TOP] * 8,
            "bytes_live": (ARENA + words[H_ALLOCATED]) * 8,
            "bytes_free": self._arena.free_words * 8,
            "bytes_quarantined": self._arena.quarantined * 8,
            "bytes_reserved": words[H_RESERVED] * 8,
            "bytes_max": words[H_SIZE],
            "commits": words[H_COMMITS],
            "changes": words[H_CHANGE],
            "epoch": words[H_EPOCH] & ~CLOSED,
            "generation": words[H_GENERATION],
        }

    def _adopt(self) -> None:
        for kind, body in self._arena.adopt():
            if kind in (COLLECTION, CLEARED):
                self._catalogue.adopt(kind, body)
            elif kind == SESSION:
                self._sessions.adopt(body)

    # --- a batch -----------------------------------------------------------------------------------------------

    def _attempt(self, request: Request, applied: list[Request]) -> Outcome:
        """Apply one request on top of those already ``applied`` in the open commit; joins them if it succeeds."""
        while True:
            before = self._draft[H_CHANGE]
            try:
                self._see_to_directory(request)
                outcome: Outcome = self._apply(request)
            except (NoRoom, _Unready) as obstacle:
                self._rewind(applied)
                self._publish()
                applied.clear()
                full = self._clear_away(obstacle)
                if full:
                    return full
            except PaperTigerError as error:
                if len(request.operations) > 1 or self._draft[H_CHANGE] != before:
                    self._rewind(applied)
                return error
            else:
                applied.append(request)
                return outcome

    def _apply(self, request: Request) -> list[Any]:
        client = request.client
        if client is not None:
            last = self._sessions.last(client)
            if request.number == last:
                return self._sessions.answer(client, len(request.operations))
            if request.number < last:
                raise InvalidRequest(f"request {request.number} comes after request {last}: it was given up before")
        results = [self._perform(operation) for operation in request.operations]
        if client is not None:
            self._sessions.record(client, request.number, results)
        self._see_to_journal()
        return results

    def _perform(self, operation: Operation) -> Any:
        if isinstance(operation, Put):
            return self._items.put(operation)
        if isinstance(operation, Transform):
            return self._items.transform(operation)
        if isinstance(operation, Delete):
            return self._items.delete(operation)
        if isinstance(operation, Clear):
            return self._catalogue.clear(operation.collection)
        if isinstance(operation, ClearBelow):
            names = self._catalogue.below(operation.prefix)
        else:
            names = self._catalogue.across(operation.name, operation.below)
        for name in names:
            self._catalogue.clear(name)
        return None

    def _rewind(self, applied: Sequence[Request]) -> None:
        """Discard the open commit and apply again what had succeeded: the same steps on the same memory."""
        self._commit.discard()
        self._arena.undo()
        self._directory.settle()
        self._postings.undo()
        self._catalogue.undo()
        self._sessions.undo()
        for request in applied:
            self._apply(request)

    def _publish(self) -> None:
        commit, catalogue = self._commit, self._catalogue
        if commit.draft:
            commit.draft[H_COMMITS] += 1
            if catalogue.emptied:
                catalogue.finish()
            self._directory.sweep()
            if catalogue.emptied:
                catalogue.arrange()
            if commit.journal_words > self._journal_room:
                raise AssertionError("a commit was let grow beyond its journal")
            commit.publish(self._journal)
        self._arena.settle()
        self._directory.settle()
        self._postings.settle()
        catalogue.settle()
        self._sessions.settle()
        if self._arena.quarantined and self._arena.wants_epoch:
            self._arena.advance_epoch()

    def _keep_pace(self, requests: Sequence[Request]) -> None:
        """Where clients leave no time for lazy work, take back more than they put: what is cleared must not pile up."""
        catalogue, words = self._catalogue, self._words
        per_record = words[H_ALLOCATED] // (words[H_ITEMS] + catalogue.backlog)
        if catalogue.backlog * per_record <= BACKLOG_WORDS:
            return
        left = PACE * sum(len(request.operations) for request in requests)
        while left > 0 and catalogue.has_cleared:
            catalogue.reclaim(self._journal_room, min(left, RECLAIM_AT_ONCE))
            self._publish()
            left -= RECLAIM_AT_ONCE

    # --- room ------------------------------------------------------------------------------------------------

    def _see_to_directory(self, request: Request) -> None:
        """Before the request: probes must stay short, and there must be slots for all that it may add."""
        entries = 0
        for operation in request.operations:
            if type(operation) is Put:
                entries += 2 + len(operation.postings)
            elif type(operation) is Transform:
                entries += 2
        if entries and not self._directory.has_room(entries):
            raise _Unready(directory_entries=entries)

    def _measure_journal(self) -> None:
        self._journal = self._words[H_JOURNAL_HOME]
        self._journal_room = (self._words[self._journal - 1] & SIZE_MASK) - 1

    def _see_to_journal(self) -> None:
        """After the request: the journal must hold the open commit, and the few words that publishing adds."""
        needed = self._commit.journal_words + 2 * (PUBLISHING_ADDS + self._catalogue.finishing_adds)
        if needed > self._journal_room:
            raise _Unready(journal_words=needed)

    def _clear_away(self, obstacle: NoRoom | _Unready) -> StoreFull | None:
        """With no commit open, do what lets the request be tried again; or say why it can never be."""
        try:
            if isinstance(obstacle, NoRoom):
                return None if self._make_room() else self._full(obstacle)
            if obstacle.journal_words:
                self._grow_journal(obstacle.journal_words)
            else:
                self._grow_directory(obstacle.directory_entries)
        except NoRoom as error:
            self._rewind(())
            return None if self._make_room() else self._full(error)
        return None

    def _make_room(self) -> bool:
        """Take back whatever is cleared or in quarantine; ``True`` if there was any."""
        had = self._catalogue.has_cleared or bool(self._arena.quarantined)
        while self._catalogue.has_cleared:
            self._catalogue.reclaim(self._journal_room)
            self._publish()
        if self._arena.quarantined:
            self._arena.advance_epoch()
        return had

    def _grow_journal(self, needed: int) -> None:
        """A commit of its own: a journal that is being carried out must already be a block like any other."""
        if needed <= self._journal_room:
            return
        home = self._words[H_JOURNAL_HOME]
        self._draft[H_JOURNAL_HOME] = self._arena.allocate(JOURNAL, needed * 3 // 2, spare=True)
        self._arena.free(home)
        self._publish()
        self._measure_journal()

    def _grow_directory(self, entries: int) -> None:
        """Readers that know the old directory find the same in it until the epoch tells them of the new one."""
        self._directory.rebuild(entries)
        self._publish()
        self._directory.reopen()
        self._arena.advance_epoch()

    def _full(self, error: NoRoom) -> StoreFull:
        stats = self.stats()
        return StoreFull(
            f"no room for {error.words * 8:,} bytes: {error.reason}. In use are {stats['bytes_live']:,} of "
            f"{stats['bytes_reserved']:,} bytes reserved, max_size is {stats['bytes_max']:,}. Nothing was changed. "
            "Clear namespaces that are done with, start the manager with a larger max_size, or enlarge /dev/shm."
        )
