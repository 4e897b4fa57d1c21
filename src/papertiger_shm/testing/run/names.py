"""Names that users give, and what they are stored under: ids of items, segments of namespaces.

What is stored there never enters this room.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from papertiger_shm import InvalidRequest

__all__ = ["checked_name", "id_of", "segment_of"]

_AS_IT_IS: Final = 200
"""Bytes up to which a name is its own id. The id of a longer one is longer than that, so no two names share one."""


def checked_name(kind: str, name: object) -> str:
    """The name as a plain str; ``InvalidRequest`` for what is no str, is empty, or is no text."""
    if not isinstance(name, str):
        raise InvalidRequest(
            f"{kind}: the name is {_shown(name)} of type {type(name).__name__}; give it a name that is a str, as 'mail'"
        )
    if not name:
        raise InvalidRequest(f"{kind}: the name is empty; give it one that every worker can say, as 'mail'")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise InvalidRequest(
            f"{kind}: the name {_shown(name)} holds a surrogate, which UTF-8 cannot write; use text"
        ) from None
    return str.__str__(name)


def id_of(name: str) -> str:
    """An id of at most 255 bytes for this name and no other: the name itself, or its beginning and a digest."""
    data = name.encode()
    if len(data) <= _AS_IT_IS:
        return name
    return f"{data[:_AS_IT_IS].decode(errors='ignore')}~{blake2b(data, digest_size=24).hexdigest()}"


def segment_of(name: str) -> str:
    """The same for one segment of a namespace, which may hold neither a slash nor a NUL."""
    return id_of(name.replace("%", "%25").replace("/", "%2F").replace("\0", "%00"))


def _shown(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 80 else f"{text[:60]}..."
