"""What a URL such as ``valkey://host:6379/0?name=ci`` says: where the server is, and which store on it is meant.

No connection is made here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from ..errors import InvalidRequest

__all__ = ["Address", "address_of"]

_SCHEMES = {"redis": "valkey", "rediss": "valkeys"}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Address:
    """``server``: the URL for the client library, with password and all, so never shown. ``shown``: without it.

    ``cluster``: the server is one node of many, any of which may have the store.
    """

    server: str
    name: str
    shown: str
    cluster: bool

    def __repr__(self) -> str:
        return f"<Address {self.shown}>"


def address_of(url: str) -> Address:
    """Taken apart. Raises InvalidRequest for a name that no store can have."""
    try:
        parts = urlsplit(url)
        query = parse_qsl(parts.query, keep_blank_values=True)
        _ = parts.port
    except ValueError:
        # Not what it says: that may be a part of the password.
        raise InvalidRequest(
            "connect: the host or the port in the server's URL cannot be understood; write it as in "
            "valkey://user:password@host:6379/0, with %-codes for special characters"
        ) from None
    name = dict(query).get("name", "default")
    if not _NAME.fullmatch(name):
        raise InvalidRequest(
            f"connect: the store's name {name!r} cannot be used; a name has 1 to 64 letters, digits, '.', '_' or '-', "
            "and begins with a letter or digit, as in ?name=ci"
        )
    cluster = dict(query).get("cluster", "false")
    if cluster not in ("true", "false"):
        raise InvalidRequest(
            f"connect: cluster={cluster} in the server's URL is neither true nor false; write one of them"
        )
    others = [(key, value) for key, value in query if key not in ("name", "cluster")]
    scheme = _SCHEMES.get(parts.scheme, parts.scheme)
    if scheme == "valkeys" and not {"ssl_check_hostname", "ssl_cert_reqs"} & dict(others).keys():
        others.append(("ssl_check_hostname", "true"))  # the client library would take any trusted host for this one
    server = urlunsplit(parts._replace(scheme=scheme, query=urlencode(others)))
    host = parts.netloc.rpartition("@")[2]
    path = "" if "@" in parts.path else parts.path  # what is before it would be half a password
    shown = f"{parts.scheme}://{host}{path}?name={name}" + ("&cluster=true" if cluster == "true" else "")
    return Address(server, name, shown, cluster == "true")
