"""The items that somebody has who applies every change that a watch tells."""

from __future__ import annotations

from typing import Any

from papertiger_shm import Change


class Followed:
    """What is there by the changes applied so far. An insert of what is there, or an update of what is not, fails."""

    def __init__(self) -> None:
        self.items: dict[str, Any] = {}
        self._told: list[tuple[bool, int]] = []

    def apply(self, change: Change) -> None:
        self._told.append((change.kind == "delete", change.version))
        if change.kind == "delete":
            del self.items[change.id]
        else:
            assert (change.kind == "insert") == (change.id not in self.items)
            self.items[change.id] = change.item

    def assert_told_once(self) -> None:
        assert len({*self._told}) == len(self._told), "a change was told twice"
