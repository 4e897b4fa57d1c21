"""Proof of life on a server: a key that its holder renews, and that the server removes when nobody does."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from ..errors import PaperTigerError

if TYPE_CHECKING:
    from .client import ValkeyBackend

__all__ = ["ValkeyLease"]

SECONDS = 10.0
"""After which a holder that does not renew it is taken for dead."""


class ValkeyLease:
    """Held from now until ``release()``, or until some seconds after the end of this process."""

    def __init__(self, backend: ValkeyBackend) -> None:
        self.id = os.urandom(8).hex()
        self._backend = backend
        self._over = threading.Event()
        self._renew()
        threading.Thread(target=self._renew_for_ever, name=f"papertiger lease {self.id}", daemon=True).start()

    def _renew(self) -> None:
        key = self._backend.lease_key(self.id)
        self._backend.asked(lambda: self._backend.client.set(key, b"", px=round(SECONDS * 1000)))

    def _renew_for_ever(self) -> None:
        while not self._over.wait(SECONDS / 4):
            try:
                self._renew()
                if self._over.is_set():  # meanwhile, and what was renewed may be what had been removed
                    self._remove()
            except (PaperTigerError, ValueError):
                pass  # again in a moment; who looks meanwhile may find it gone

    def release(self) -> None:
        """Give it up; again does nothing."""
        if not self._over.is_set():
            self._over.set()
            self._remove()

    def _remove(self) -> None:
        self._backend.asked(lambda: self._backend.client.delete(self._backend.lease_key(self.id)))
