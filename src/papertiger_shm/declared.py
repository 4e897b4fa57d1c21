"""Declared: what a class says of its table, and where a handle of it points.

Class keywords are checked here, and connection and namespace kept. What is done with the table is said in ``store``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Final

from papertiger_shm.codec import shown
from papertiger_shm.connection import Connection
from papertiger_shm.errors import InvalidRequest
from papertiger_shm.namespace import check_namespace, current_namespace

if TYPE_CHECKING:
    from papertiger_shm.backend import Collection

__all__ = ["Declared", "is_text"]

_MAX_NAME: Final = 200


class Declared:
    """A table as ``class Things(Store, table="things", resource="thing")`` declares it, and a handle's place in it.

    A class of its own for a reason besides: what ``Store.__new__`` gives on a connection for asyncio is seen by type
    checkers only where ``__init__`` is inherited.
    """

    table_name: ClassVar[str]
    resource: ClassVar[str]
    prefix: ClassVar[str | None]
    plural: ClassVar[str]
    url_path: ClassVar[str]
    indexes: ClassVar[tuple[str, ...]]

    def __init_subclass__(
        cls,
        *,
        table: str | None = None,
        resource: str | None = None,
        prefix: str | None = None,
        plural: str | None = None,
        url_path: str | None = None,
        indexes: Iterable[str] | None = None,
        abstract: bool = False,
        **others: Any,
    ) -> None:
        super().__init_subclass__(**others)
        if abstract:
            return
        _declare(cls, "table_name", "table", table)
        _declare(cls, "resource", "resource", resource)
        if prefix is not None or not hasattr(cls, "prefix"):
            cls.prefix = None if prefix is None else _name(cls, "prefix", prefix)
        if plural is not None or resource is not None:
            cls.plural = _name(cls, "plural", plural if plural is not None else f"{cls.resource}s")
        if url_path is not None or plural is not None or resource is not None:
            cls.url_path = _name(cls, "url_path", url_path if url_path is not None else f"/v1/{cls.plural}")
        if indexes is not None or not hasattr(cls, "indexes"):
            cls.indexes = _index_paths(cls, () if indexes is None else indexes)

    def __init__(self, connection: Connection, namespace: str | None = None) -> None:
        kind = type(self)
        if not hasattr(kind, "table_name"):
            raise InvalidRequest(
                "Store: it declares no table; use a subclass, as class Things(Store, table='things', resource='thing')"
            )
        if not isinstance(connection, Connection):
            awaitable = hasattr(connection, "__await__")
            remedy = "await it first" if awaitable else "pass connect('shm://name') or manager.connect()"
            raise InvalidRequest(f"{kind.__name__}: expected a connection, not {type(connection).__name__}; {remedy}")
        self._connection = connection
        self._namespace = None if namespace is None else check_namespace(namespace)
        self._views = connection.views(kind.table_name)

    @property
    def connection(self) -> Connection:
        """The connection the handle was made with."""
        return self._connection

    @property
    def namespace(self) -> str:
        """The namespace a call made now would use."""
        return self._namespace or current_namespace()

    def _view(self) -> Collection:
        namespace = self._namespace or current_namespace()
        view = self._views.get(namespace)
        return self._connection.view(self.table_name, namespace) if view is None else view


# ---- declaring a store ------------------------------------------------------------------------------------------


def _declare(cls: type[Declared], attribute: str, keyword: str, value: str | None) -> None:
    if value is not None:
        setattr(cls, attribute, _name(cls, keyword, value))
    elif not hasattr(cls, attribute):
        raise TypeError(
            f"class {cls.__name__}(Store): the class keyword {keyword!r} is missing; "
            "write class Things(Store, table='things', resource='thing')"
        )


def _name(cls: type[Declared], keyword: str, value: object) -> str:
    if not isinstance(value, str) or not value or "\0" in value or not is_text(value):
        raise TypeError(
            f"class {cls.__name__}(Store): {keyword} is {shown(value)}; it is a non-empty str without NUL characters"
        )
    if len(value.encode()) > _MAX_NAME:
        raise TypeError(
            f"class {cls.__name__}(Store): {keyword} takes {len(value.encode())} bytes; it may take {_MAX_NAME}"
        )
    return value


def _index_paths(cls: type[Declared], indexes: Iterable[str]) -> tuple[str, ...]:
    if isinstance(indexes, str) or not isinstance(indexes, Iterable):
        raise TypeError(
            f"class {cls.__name__}(Store): indexes is {shown(indexes)}; it is a tuple of dotted paths, as ('email',)"
        )
    paths = tuple(_name(cls, "each of indexes", path) for path in indexes)
    for path in paths:
        if not all(path.split(".")):
            raise TypeError(
                f"class {cls.__name__}(Store): the index {shown(path)} has an empty step; write 'metadata.plan'"
            )
    if len(set(paths)) != len(paths):
        raise TypeError(f"class {cls.__name__}(Store): indexes names a path twice: {shown(paths)}; name each once")
    return paths


def is_text(text: str) -> bool:
    """Whether it can be encoded: no half of a surrogate pair is in it."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
