"""What goes wrong at a server, in the words of a store: which error it is for its user, and what to do about it.

Whether a request is tried again is not decided here.
"""

from __future__ import annotations

import ssl

import valkey
from valkey.exceptions import (
    AskError,
    AuthenticationError,
    ClusterDownError,
    InvalidResponse,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    TryAgainError,
)

from ..errors import AccessDenied, InvalidRequest, ManagerUnavailable, StoreFull

__all__ = ["as_ours", "is_about_the_certificate"]


def as_ours(error: Exception, url: str) -> Exception:
    """What an error of the client library is to a store; itself, where it is none of the connection's."""
    if isinstance(error, (AuthenticationError, NoPermissionError)):
        return AccessDenied(f"{url} refuses us: {error}; see the URL's user and password")
    if isinstance(error, valkey.TimeoutError):
        return ManagerUnavailable(
            f"the server of {url} did not answer in time: a write may or may not have been applied; see "
            "whether it is overloaded, or has no TLS where the URL wants that, or connect with a longer timeout"
        )
    if is_about_the_certificate(error):
        return AccessDenied(
            f"the server of {url} is not known to be the right one: {error.__context__}; name the file with "
            "its authority's certificate in the URL, as in valkeys://host:6379?ssl_ca_certs=/path/to/ca.pem, and "
            "the host as its certificate does"
        )
    if isinstance(error, valkey.ConnectionError):
        why = type(error.__context__ or error).__name__
        return ManagerUnavailable(
            f"no server answers for {url} ({why}): see that it runs, and that it can be reached from here"
        )
    if isinstance(error, InvalidResponse):
        return ManagerUnavailable(
            f"what answers for {url} is no Valkey or Redis server ({error}): see the URL's host and port"
        )
    if isinstance(error, OutOfMemoryError):
        return StoreFull(
            f"the server of {url} has no memory for the write ({error}): raise its maxmemory, or clear namespaces"
        )
    if isinstance(error, ReadOnlyError):
        return ManagerUnavailable(f"the server of {url} is a replica, which takes no writes: connect to its primary")
    if isinstance(error, (AskError, ClusterDownError, TryAgainError)):
        return ManagerUnavailable(
            f"the cluster of {url} is not ready for the store ({error}): it is choosing another primary or "
            "moves the store's slot; try again, or connect with a longer timeout"
        )
    if str(error).startswith("MOVED"):
        return InvalidRequest(
            f"the server of {url} is a node of a cluster, and the store is on another: add cluster=true to "
            "the URL, as in valkey://host:6379?cluster=true"
        )
    if "unknown command" in str(error):
        return InvalidRequest(
            f"the server of {url} has no functions ({error}): use Valkey 7.2, Redis 7.0, or a newer one"
        )
    return error


def is_about_the_certificate(error: Exception) -> bool:
    """Whether the server showed one that is not to be trusted."""
    return isinstance(error.__context__, ssl.SSLCertVerificationError)
