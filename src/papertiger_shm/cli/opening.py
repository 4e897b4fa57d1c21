"""Opening a store for a command, and saying what to do where it is dead or not there. What commands do never enters."""

from __future__ import annotations

from papertiger_shm import Connection, ManagerUnavailable, connect, leftovers
from papertiger_shm.cli.address import store_url


def open_store(store: str | None) -> Connection:
    """A connection to the store as typed. Raises ManagerUnavailable that tells a dead store from none at all."""
    try:
        return connect(store_url(store))
    except ManagerUnavailable as error:
        for leftover in leftovers():
            if leftover.name is not None and f"shm://{leftover.name} " in str(error):
                raise ManagerUnavailable(
                    f"shm://{leftover.name} was asked for; its manager is dead and what it held is still there: "
                    f"`papertiger-shm serve {leftover.name}` takes it over, `papertiger-shm gc {leftover.name}` "
                    "removes it, data and all"
                ) from error
        raise
