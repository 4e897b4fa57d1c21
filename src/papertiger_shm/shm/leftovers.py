"""What a dead manager leaves: finding it, and removing it. What a living one holds is never touched here."""

from __future__ import annotations

from . import segment as segments
from .rendezvous import Place

__all__ = ["remove_leftovers"]


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
