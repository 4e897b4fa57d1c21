"""The ASGI app: who may ask, for which namespace, which store answers a path, and how an answer is written.

What a list request asks for is read in ``parameters``, how a page is made is in ``listing``; no server ever enters.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
import re
import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, TypeAlias
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from papertiger_shm import Connection, InvalidRequest, NotFound, PaperTigerError, Store, current_namespace
from papertiger_shm.http.listing import page
from papertiger_shm.http.parameters import refuse_all_but_expand, wanted
from papertiger_shm.http.problem import Problem

__all__ = ["application"]

Endpoint: TypeAlias = Callable[[Request], Response]

KEY_PREFIX: Final = "sk_test_"
NAMESPACE_HEADER: Final = "x-paper-tiger-namespace"
NAMESPACE_PATH: Final = "/namespaces/"
"""What a base URL may end with, and a namespace. Stripe's libraries give headers of one's own to one request only, and
not to those for further pages; the base they always keep."""


BELOW: Final = {
    "bank_account": ("/v1/customers/{customer}/bank_accounts", "/v1/accounts/{account}/bank_accounts"),
    "card": ("/v1/customers/{customer}/cards",),
    "customer_balance_transaction": ("/v1/customers/{customer}/balance_transactions",),
    "fee_refund": ("/v1/application_fees/{fee}/refunds",),
    "payment_method": ("/v1/customers/{customer}/payment_methods",),
    "transfer_reversal": ("/v1/transfers/{transfer}/reversals",),
}
"""Where Stripe has a resource below another: the name in braces is the index by which it belongs there."""

_ACCOUNT: Final = re.compile(r"acct_[A-Za-z0-9_]+")
_log = logging.getLogger(__name__)


def application(connection: Connection, namespace: str | None) -> Starlette:
    """The app: a list and an item for every resource of the connection."""
    everything = connection.checkout(namespace)  # refuses a bad namespace at once
    routes = []
    kinds: list[type[Store]] = [type(store) for store in everything]
    for kind in kinds:
        for path in (kind.url_path, *BELOW.get(kind.resource, ())):
            lists, retrieves = _lists(connection, kind, path, namespace), _retrieves(connection, kind, namespace)
            for base in ("", NAMESPACE_PATH + "{namespace:path}"):
                routes.append(Route(base + path, lists, methods=["GET"]))
                routes.append(Route(base + path + "/{id}", retrieves, methods=["GET"]))
    return Starlette(
        routes=routes,
        exception_handlers={
            Problem: _answer_problem,
            PaperTigerError: _answer_error,
            HTTPException: _answer_http_error,
            Exception: _answer_error,
        },
    )


# ---- endpoints; plain functions, which Starlette calls in threads: a read may wait for a server, or be a long one ----


def _lists(connection: Connection, kind: type[Store], path: str, namespace: str | None) -> Endpoint:
    def answer(request: Request) -> Response:
        store = kind(connection, _namespace(request, namespace))
        above = {name: value for name, value in request.path_params.items() if name in store.indexes}
        asked = wanted(store, request.url.query, above)
        try:
            data, has_more = page(store, asked)
        except NotFound:
            param = "starting_after" if asked.ending_before is None else "ending_before"
            raise _missing(store, getattr(asked, param), param, status=400) from None
        items = [_object(store, item) for item in data]
        # Stripe's libraries ask for the next page at this path, below the base they have already.
        url = path.format(**{name: quote(value) for name, value in above.items()})
        return _answer(request, {"object": "list", "data": items, "has_more": has_more, "url": url})

    return answer


def _retrieves(connection: Connection, kind: type[Store], namespace: str | None) -> Endpoint:
    def answer(request: Request) -> Response:
        store = kind(connection, _namespace(request, namespace))
        refuse_all_but_expand(request.url.query)
        id = request.path_params["id"]
        item = store.get(id, None)
        above = {name: value for name, value in request.path_params.items() if name in store.indexes}
        if item is None or any(item.get(name) != value for name, value in above.items()):
            raise _missing(store, id, "id", status=404)
        return _answer(request, _object(store, item))

    return answer


def _missing(store: Store, id: str, param: str, *, status: int) -> Problem:
    return Problem(
        f"No such {store.resource}: '{id[:255]}' in namespace '{store.namespace}'",
        status=status,
        code="resource_missing",
        param=param,
    )


def _object(store: Store, item: dict[str, Any]) -> dict[str, Any]:
    """The item as Stripe's libraries need it: by ``object`` they know what it is."""
    return item if "object" in item else {**item, "object": store.resource}


# ---- who asks, and where ----------------------------------------------------------------------------------------


def _namespace(request: Request, default: str | None) -> str:
    """The namespace that this request reads. ``Problem`` where it may read none, or names one that cannot be."""
    _check_key(request.headers.get("authorization", ""))
    named = request.headers.get(NAMESPACE_HEADER) or request.path_params.get("namespace")
    namespace = named or default or current_namespace()
    account = request.headers.get("stripe-account")
    if account is None:
        return namespace
    if not _ACCOUNT.fullmatch(account):
        raise Problem(
            f"Stripe-Account is '{account[:100]}'; it is an account's id, as 'acct_123'.",
            status=403,
            code="account_invalid",
        )
    return f"{namespace}/{account}"


def _check_key(authorization: str) -> None:
    scheme, _, given = authorization.partition(" ")
    key = given.strip()
    if scheme.lower() == "basic":  # as curl -u sk_test_123: sends it
        try:
            key = base64.b64decode(key, validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            key = ""
    elif scheme.lower() != "bearer":
        key = ""
    if not key:
        raise Problem(
            f"No API key was given. Send one that begins with {KEY_PREFIX}: 'Authorization: Bearer {KEY_PREFIX}123', "
            "or the user name of HTTP Basic.",
            status=401,
        )
    if not key.startswith(KEY_PREFIX):  # which may be a real one: no part of it is repeated
        raise Problem(f"Invalid API Key provided: here keys begin with {KEY_PREFIX}; any such key will do.", status=401)


# ---- answers ----------------------------------------------------------------------------------------------------


def _answer(request: Request, body: dict[str, Any], status: int = 200) -> Response:
    # A client in a test keeps its connections longer than the event loop they belong to, and is warned of for it; a new
    # connection on the same machine costs next to nothing.
    headers = {"Connection": "close", "Request-Id": f"req_{secrets.token_hex(7)}"}
    version = request.headers.get("stripe-version")
    if version is not None:
        headers["Stripe-Version"] = version
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="papertiger-shm"'
    if status >= 500:  # what cannot be read now will not be in a moment, and a test would wait in vain
        headers["Stripe-Should-Retry"] = "false"
    content = json.dumps(body, default=_plain, separators=(",", ":")).encode()
    return Response(content, status, headers, media_type="application/json")


def _plain(value: Any) -> Any:
    """What JSON does not have: moments are whole seconds since 1970, as all of Stripe's are, and bytes are base64."""
    if isinstance(value, datetime):
        return int(value.timestamp())
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"an item held a {type(value).__name__}")


async def _answer_problem(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, Problem)
    return _answer(request, problem.body(), problem.status)


async def _answer_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    asked = f"{request.method}: {request.url.path}"
    if error.status_code == 405:  # of which Stripe's libraries make an error that is not about the request
        message = f"Received {asked}, and nothing can be written here: only GET is answered. Write to the store itself."
        return _answer(request, Problem(message).body(), 400)
    message = f"Unrecognized request URL ({asked}). What there is are lists and items of Stripe's resources."
    return _answer(request, Problem(message).body(), error.status_code)


async def _answer_error(request: Request, error: Exception) -> Response:
    if isinstance(error, InvalidRequest):
        return _answer(request, Problem(str(error)).body(), 400)
    _log.error("%s %s could not be answered", request.method, request.url.path, exc_info=error)
    return _answer(request, Problem(f"{type(error).__name__}: {error}", type="api_error").body(), 500)
