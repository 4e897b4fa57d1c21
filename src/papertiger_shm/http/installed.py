"""Whether the libraries of the extra ``http`` are there, and what to say where they are not. None is imported here."""

from __future__ import annotations

from importlib.util import find_spec

from papertiger_shm import InvalidRequest

__all__ = ["see_whether_installed"]


def see_whether_installed(what: str, *libraries: str) -> None:
    """Raises ``InvalidRequest``, which says what needs it and names the remedy, for the first that is missing."""
    for library in libraries:
        if find_spec(library) is None:
            raise InvalidRequest(f"{what}: {library} is not installed; pip install 'papertiger-shm[http]'")
