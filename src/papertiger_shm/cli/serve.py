"""``papertiger-shm serve``: a manager for as long as this command runs, or company for the one that is there.

With an address, also Stripe's endpoints over it, which are the business of ``papertiger_shm.http``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from papertiger_shm import GLOBAL, AlreadyExists, InvalidRequest, Manager, ManagerUnavailable, connect
from papertiger_shm.cli.address import store_url
from papertiger_shm.cli.ending import until_asked

LOOK_SECONDS = 0.5
"""How often to see whether the store is still there."""


def serve(store: str | None, *, max_size: str, http: tuple[str, int] | None, as_json: bool) -> int:
    """Serve until Ctrl-C, SIGTERM or SIGHUP, or until someone stops the store; the exit status.

    ``http``: host and port for Stripe's endpoints; None for none.
    """
    asked_to_end = until_asked()
    url = store_url(store) or os.environ.get("PAPERTIGER_URL")
    manager = Manager(None if url is None else _name(url), max_size=max_size)
    try:
        manager.start()
    except AlreadyExists:
        return _join(manager.url, asked_to_end, http, as_json)
    try:
        with _endpoints(manager.url, http) as endpoints:
            _announce({"url": manager.url, "pid": manager.pid, "joined": False, **endpoints}, as_json)
            while not asked_to_end(LOOK_SECONDS):
                try:
                    manager.pid  # noqa: B018
                except InvalidRequest:
                    return _ended(manager)
    finally:
        manager.stop()
    click.echo(f"stopped {manager.url}; its data is gone", err=True)
    return 0


def _join(url: str, asked_to_end: Callable[[float], bool], http: tuple[str, int] | None, as_json: bool) -> int:
    """Stay connected to the manager that runs, which keeps one that was started on demand."""
    with connect(url) as connection, _endpoints(url, http) as endpoints:
        _announce({"url": url, "pid": connection.stats()["writer_pid"], "joined": True, **endpoints}, as_json)
        while not asked_to_end(LOOK_SECONDS):
            try:
                connection.stats()
            except ManagerUnavailable:
                click.echo(f"{url} was joined, and its manager has gone; run this command again to have one", err=True)
                return 0
    click.echo(f"left {url}, which its own manager goes on to serve", err=True)
    return 0


@contextmanager
def _endpoints(url: str, http: tuple[str, int] | None) -> Iterator[dict[str, str]]:
    """Stripe's endpoints for the store, at that address, and what is to be told of them."""
    if http is None:
        yield {}
        return
    from papertiger_shm.http import Server, app

    with connect(url) as connection, Server(app(connection, namespace=GLOBAL), *http) as server:
        yield {"http": server.url}


def _ended(manager: Manager) -> int:
    """The writer process ended and was not started again: on purpose, or because it could not be."""
    try:
        manager.connect().close()
    except ManagerUnavailable as error:
        click.echo(f"Error: {error}", err=True)
        return 1
    except InvalidRequest:
        pass
    click.echo(f"{manager.url} was stopped; its data is gone", err=True)
    return 0


def _announce(answer: dict[str, Any], as_json: bool) -> None:
    click.echo(json.dumps(answer) if as_json else "\n".join(answer[told] for told in ("url", "http") if told in answer))
    does = "already serves it; Ctrl-C leaves it" if answer["joined"] else "serves it; Ctrl-C ends it, data and all"
    click.echo(f"manager {answer['pid']} {does}", err=True)


def _name(url: str) -> str:
    scheme, _, name = url.partition("://")
    if scheme.lower() != "shm":
        raise InvalidRequest(
            "serve was asked for the URL of another thing, and managers serve shm:// only: give a name, or 'shm://ci'; "
            "a Valkey or Redis server is there already"
        )
    return name
