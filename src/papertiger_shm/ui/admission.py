"""Who may see the pages: by which name they were asked for, by which method, and with which token or cookie.

Every request comes through here first, and every answer gets its security headers here. What the pages show never
enters this room.
"""

from __future__ import annotations

import secrets
from ipaddress import ip_address
from typing import Final
from urllib.parse import parse_qs

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Admission"]

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
ANY_ADDRESS: Final = frozenset({"", "0.0.0.0", "::"})

HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Admission:
    """An ASGI app before another one, which only those reach who have come with the token, once, and have a cookie."""

    def __init__(self, app: ASGIApp, host: str) -> None:
        """``host``: where the server listens, as it was asked for."""
        self._app = app
        self._hosts = LOOPBACK | {host.lower()}
        self._by_any_address = host in ANY_ADDRESS
        # Browsers send a host's cookies to all its ports: another inspector's must not take the place of this one's.
        self._cookie = f"papertiger_ui_{secrets.token_hex(4)}"
        self._sessions: list[str] = []
        self.token = secrets.token_urlsafe(32)
        """What opens the pages, once; then it is another."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let through."""

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        answer: ASGIApp = self._answer(Request(scope)) or self._app
        await answer(scope, receive, send_guarded)

    def _answer(self, request: Request) -> Response | None:
        """What is to be said before anything else is looked at; None lets the request through."""
        if not self._is_ours(request.headers.get("host", "")):
            return _refused(
                403, "This page is asked for by a name that is not its own; open the address that was printed."
            )
        if request.method not in ("GET", "HEAD"):
            answer = _refused(405, "Nothing can be written here: only GET and HEAD are answered.")
            answer.headers["Allow"] = "GET, HEAD"
            return answer
        known = self._knows(request.cookies.get(self._cookie, ""))
        token = parse_qs(request.url.query).get("token", [None])[0]
        if token is not None and request.url.path == "/" and request.method == "GET":
            if known:
                return RedirectResponse("/", 303)
            if secrets.compare_digest(token.encode(errors="replace"), self.token.encode()):
                return self._welcome()
        if not known:
            return _refused(
                403,
                "Open the address that papertiger-shm ui printed last. Each opens once, in one browser; after that the "
                "command prints another.",
            )
        return None

    def _welcome(self) -> Response:
        session = secrets.token_urlsafe(32)
        self._sessions.append(session)
        self.token = secrets.token_urlsafe(32)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(self._cookie, session, path="/", httponly=True, samesite="strict")
        return answer

    def _knows(self, cookie: str) -> bool:
        given = cookie.encode(errors="replace")
        return any(secrets.compare_digest(given, session.encode()) for session in self._sessions)

    def _is_ours(self, host: str) -> bool:
        """Whether the Host header names this server; the port may be another, that of a tunnel.

        A foreign name that leads to this machine is how a foreign page would read what is here (DNS rebinding). An
        address is no such name.
        """
        name = host.lower()
        name = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]
        return name in self._hosts or (self._by_any_address and _is_address(name))


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _refused(status: int, why: str) -> Response:
    return PlainTextResponse(why + "\n", status)
