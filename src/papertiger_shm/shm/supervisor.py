"""Supervisor: several managers, each started again when it dies, until they die too often.

The one-for-one strategy of Erlang's supervisors, with the same limit. What a manager is never enters here.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType, TracebackType
from typing import Any

from ..errors import InvalidRequest, ManagerUnavailable
from .manager import Manager

__all__ = ["ChildSpec", "Supervisor"]


@dataclass(frozen=True)
class ChildSpec:
    """One manager to be supervised: ``Manager(name, **options)``, known to its supervisor as ``id``.

    ``options``: keyword arguments of ``Manager``, as ``{"max_size": "64 MiB"}``. The supervisor decides about restarts,
    so ``restart`` among them has no effect.
    """

    id: str
    name: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


class Supervisor:
    """Starts managers in the order given, restarts each that dies, and stops them in reverse order.

    More than ``max_restarts`` within ``max_seconds``, of all children together, are too many: then every child is
    stopped, and ``check()`` and ``stop()`` raise ``ManagerUnavailable``, once, saying so. Raises ``InvalidRequest`` for
    two children by one id, and for limits that cannot be used.
    """

    def __init__(self, children: Iterable[ChildSpec], max_restarts: int = 3, max_seconds: float = 5) -> None:
        self._specs = list(children)
        ids = [spec.id for spec in self._specs]
        twice = {id for id in ids if ids.count(id) > 1}
        if twice:
            raise InvalidRequest(f"a supervisor was given two children by the id {min(twice)!r}: give each its own")
        if max_restarts < 0 or max_seconds <= 0:
            raise InvalidRequest(
                f"max_restarts={max_restarts}, max_seconds={max_seconds}: give at least 0, and more than 0"
            )
        self._max_restarts = max_restarts
        self._max_seconds = max_seconds
        self._managers: dict[str, Manager] = {}
        self._restarts: deque[float] = deque()
        self._lock = threading.Lock()
        self._failure: ManagerUnavailable | None = None

    @property
    def managers(self) -> Mapping[str, Manager]:
        """The children by id; read-only."""
        return MappingProxyType(self._managers)

    def __getitem__(self, id: str) -> Manager:
        """The child with this id. Raises ``InvalidRequest`` where there is none, or none yet."""
        if id not in self._managers:
            known = ", ".join(sorted(self._managers)) or "none: start() it first"
            raise InvalidRequest(f"the supervisor was asked for its child {id!r}, and its children are {known}")
        return self._managers[id]

    def start(self) -> Supervisor:
        """Start all children; again does nothing. If one cannot be started, none is, and what it raised is raised."""
        if self._managers:
            return self
        self._restarts.clear()
        self._failure = None
        try:
            for spec in self._specs:
                manager = Manager(spec.name, **{**spec.options, "restart": False})
                manager._owner.may_restart = self._may_restart
                manager.start()
                self._managers[spec.id] = manager
        except BaseException:
            self._stop_all()
            raise
        return self

    def stop(self) -> None:
        """Stop all children; again does nothing. Raises ``ManagerUnavailable`` if they had died too often."""
        self._stop_all()
        self.check()

    def check(self) -> None:
        """Raise ``ManagerUnavailable`` if the children died too often and have been stopped; once."""
        with self._lock:
            failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _may_restart(self) -> bool:
        """Called by each child's watcher when its process has died."""
        now = time.monotonic()
        with self._lock:
            self._restarts.append(now)
            while self._restarts[0] < now - self._max_seconds:
                self._restarts.popleft()
            if len(self._restarts) <= self._max_restarts:
                return True
            first = self._failure is None
            self._failure = ManagerUnavailable(
                f"managers died {len(self._restarts)} times within {self._max_seconds} s, and the supervisor allows "
                f"{self._max_restarts} restarts: all of them were stopped; look for what kills them, then start() again"
            )
        if first:
            # Not in this thread, which is one of those that stopping waits for.
            threading.Thread(target=self._stop_all, name="supervisor gives up", daemon=True).start()
        return False

    def _stop_all(self) -> None:
        for id in reversed(list(self._managers)):
            with contextlib.suppress(KeyError):
                self._managers[id].stop()
                self._managers.pop(id, None)

    def __enter__(self) -> Supervisor:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop_all()
        if kind is None:
            self.check()
