"""What dead managers leave: finding it, and removing it. What a living one holds is never touched here.

A run that was killed as a whole leaves a store's directory and its segment; a rendezvous directory that somebody
removed leaves segments alone. Either may be removed once it is certain that nobody will come back for it:

- *No manager has it.* A living one holds the lock in its store's directory, and a lock on the segment itself, which
  holds wherever that directory is. The kernel drops both on any death, so they are proof, where process ids are not.
- *No manager will come back for it.* An owner that is alive may be about to start its manager again.
- *Nobody reads it.* A client that has the segment mapped reads on without a manager, and may start one.
- *No store claims it.* A manager writes its segment's name on its card before it makes the segment, and the name tells
  the rendezvous directory. So a segment that was there before the cards were read, and is on none, is on none for ever.

Looking proves nothing about a moment later, so removing asks all of that again, under the locks.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from dataclasses import dataclass

from . import segment as segments
from .rendezvous import Card, Place, is_running, names, runtime_directory

__all__ = ["Leftover", "find_leftovers", "remove_leftover", "remove_leftovers"]

RESTART_SECONDS = 2.0
"""How long another directory's segment must be nobody's: longer than an owner takes to restart a manager."""

_STORE_FILES = re.compile(r"socket|key|card(\..*)?|log|lock|start|lease\..*")
_MAPPED = re.compile(rb"/dev/shm/(ptshm_[0-9a-f]+)")


@dataclass(frozen=True)
class Leftover:
    """What one dead store left, or a segment whose store nobody knows."""

    name: str | None
    """The store's name; None for a segment that no store claims."""
    segment: str | None
    """The name of the shared memory, below /dev/shm; None where only files are left."""
    bytes: int
    """Memory that the segment takes."""


def find_leftovers(*, everywhere: bool = False) -> list[Leftover]:
    """Everything that ``remove_leftover`` would remove now.

    ``everywhere``: segments of other rendezvous directories too, which takes two seconds if there are any.
    """
    mapped = _mapped_segments()
    present = segments.own_names(runtime_directory())  # before the cards are read
    dead, claimed = [], set()
    for name in names():
        place = Place(name)
        card = place.card()
        if card is not None:
            claimed.add(card.segment)
        if _is_dead(place, card, mapped):
            segment = card.segment if card is not None and segments.exists(card.segment) else None
            dead.append(Leftover(name, segment, segments.size_of(segment) if segment else 0))
    alone = [name for name in present if name not in claimed and name not in mapped and segments.exists(name)]
    if everywhere:
        alone += _unused_elsewhere(claimed | {*present})
    return dead + [Leftover(None, name, segments.size_of(name)) for name in alone]


def remove_leftover(leftover: Leftover) -> bool:
    """Remove it, data and all; False where it has come to life meanwhile, or has gone."""
    mapped = _mapped_segments()
    if leftover.name is None:
        segment = leftover.segment
        return segment is not None and segment not in mapped and segments.unlink_unclaimed(segment)
    place = Place(leftover.name)
    return _is_dead(place, place.card(), mapped) and remove_leftovers(place)


def remove_leftovers(place: Place) -> bool:
    """Remove what a dead manager of this store left, its data too; False where there is nothing, or a living one."""
    if not place.exists():
        return False
    lock = place.hold("lock", 0)
    if lock is None:
        return False
    card = place.card()
    if card is not None:
        segments.unlink(card.segment)
    place.remove(lock)
    return True


def _is_dead(place: Place, card: Card | None, mapped: set[str]) -> bool:
    if card is None and not _is_nothing_but_a_store(place):
        return False
    if card is not None and (card.segment in mapped or (card.kind == "owned" and is_running(card.owner))):
        return False
    lock = place.hold("lock", 0)
    if lock is None:
        return False
    lock.release()
    return True


def _is_nothing_but_a_store(place: Place) -> bool:
    """Whether a directory without a card is one of ours: ``PAPERTIGER_DIR`` may lie among its user's own."""
    with contextlib.suppress(FileNotFoundError):
        found = os.listdir(place.directory)
        return all(_STORE_FILES.fullmatch(file) for file in found) and ("lock" in found or not found)
    return False


def _unused_elsewhere(ours: set[str]) -> list[str]:
    """Segments of other rendezvous directories that nobody has mapped, at two looks.

    Their cards cannot be seen from here. While a manager lives it has its segment mapped; between its death and its
    restart by an owner nobody may have, and so there is a second look.
    """
    before = _mapped_segments()
    found = [name for name in segments.own_names() if name not in ours and name not in before]
    if found:
        time.sleep(RESTART_SECONDS)
    after = _mapped_segments()
    return [name for name in found if name not in after and segments.exists(name)]


def _mapped_segments() -> set[str]:
    """The names of all segments that some process of this user has mapped; empty where the system does not tell."""
    found: set[str] = set()
    with contextlib.suppress(FileNotFoundError):
        for pid in os.listdir("/proc"):
            # Other users' processes are closed to us, and have no business with our segments.
            if pid.isdigit():
                with contextlib.suppress(OSError), open(f"/proc/{pid}/maps", "rb") as maps:
                    found.update(name.decode() for name in _MAPPED.findall(maps.read()))
    return found
