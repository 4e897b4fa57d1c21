"""The functions that the server runs for us, from ``library.lua``, and how a server comes to have them.

What a function means to a store never enters here.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files
from typing import Any

from valkey.exceptions import ResponseError

__all__ = ["COMMIT", "READ", "RELIEVE", "Function"]

_LUA = files("papertiger_shm.valkey").joinpath("library.lua").read_text(encoding="utf-8")
# Named by what it is, so that versions of this package share a server without taking each other's functions.
_NAME = "papertiger_" + hashlib.sha256(_LUA.encode()).hexdigest()[:12]
_LIBRARY = f"#!lua name={_NAME}\nlocal NAME = '{_NAME}'\n{_LUA}".encode()


class Function:
    """One function. ``read_only`` ones may run on a replica; the server refuses them any write."""

    def __init__(self, name: str, *, read_only: bool = False) -> None:
        self._name = f"{_NAME}_{name}"
        self._command = "FCALL_RO" if read_only else "FCALL"

    def call(self, client: Any, keys: list[bytes], arguments: list[Any]) -> Any:
        """What it answers; the library is sent first where the server does not have it."""
        try:
            return client.execute_command(self._command, self._name, len(keys), *keys, *arguments)
        except ResponseError as error:
            if "Function not found" not in str(error):
                raise
        client.execute_command("FUNCTION LOAD", "REPLACE", _LIBRARY)
        return client.execute_command(self._command, self._name, len(keys), *keys, *arguments)


COMMIT = Function("commit")
RELIEVE = Function("relieve")
READ = Function("read", read_only=True)
