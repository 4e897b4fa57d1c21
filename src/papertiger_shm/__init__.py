"""papertiger-shm: tables that many processes read straight from shared memory while one process writes.

The public names, and nothing else. Each is imported when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

# Not lazily: ``namespace`` is also the name of the module it lives in, and importing a module later would put the
# module in the place of the class.
from papertiger_shm.namespace import GLOBAL, current_namespace, namespace

if TYPE_CHECKING:
    from papertiger_shm.connection import Connection, Transaction, connect, leftovers, remove_leftover
    from papertiger_shm.errors import (
        AccessDenied,
        AlreadyExists,
        Conflict,
        CorruptSegment,
        InvalidItem,
        InvalidRequest,
        ManagerUnavailable,
        NotFound,
        PaperTigerError,
        StoreFull,
        WaitTimeout,
    )
    from papertiger_shm.page import Page
    from papertiger_shm.resources.customers import Customers
    from papertiger_shm.resources.events import Events
    from papertiger_shm.shm.leftovers import Leftover
    from papertiger_shm.shm.manager import Manager
    from papertiger_shm.shm.supervisor import ChildSpec, Supervisor
    from papertiger_shm.store import Change, Store

    __version__: str

__all__ = [
    "GLOBAL",
    "AccessDenied",
    "AlreadyExists",
    "Change",
    "ChildSpec",
    "Conflict",
    "Connection",
    "CorruptSegment",
    "Customers",
    "Events",
    "InvalidItem",
    "InvalidRequest",
    "Leftover",
    "Manager",
    "ManagerUnavailable",
    "NotFound",
    "Page",
    "PaperTigerError",
    "Store",
    "StoreFull",
    "Supervisor",
    "Transaction",
    "WaitTimeout",
    "__version__",
    "connect",
    "current_namespace",
    "leftovers",
    "namespace",
    "remove_leftover",
]

_HOMES = {
    "connection": ("Connection", "Transaction", "connect", "leftovers", "remove_leftover"),
    "errors": (
        "AccessDenied",
        "AlreadyExists",
        "Conflict",
        "CorruptSegment",
        "InvalidItem",
        "InvalidRequest",
        "ManagerUnavailable",
        "NotFound",
        "PaperTigerError",
        "StoreFull",
        "WaitTimeout",
    ),
    "page": ("Page",),
    "resources.customers": ("Customers",),
    "resources.events": ("Events",),
    "shm.leftovers": ("Leftover",),
    "shm.manager": ("Manager",),
    "shm.supervisor": ("ChildSpec", "Supervisor"),
    "store": ("Change", "Store"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value: Any = _version()
    elif name in _HOME:
        value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("papertiger-shm")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "0+unknown"


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
