"""A database server in a process of its own, as small as one can be: SQLite files behind HTTP on the loopback.

It stands for the PostgreSQL or Redis of a real suite: slow to start, expensive to have once per worker, full of other
people's data if it is shared carelessly, and left running for ever when whoever started it is killed.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

Server = dict[str, Any]


# for those who use it


def start(directory: Path) -> Server:
    """Start a server and wait until it answers; what is returned is all that anyone needs to use or stop it."""
    password = secrets.token_hex()
    process = subprocess.Popen(
        [sys.executable, __file__, str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # Not to be stopped by a Ctrl-C that is meant for the tests.
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin as secret, process.stdout as greeting:
        secret.write(password + "\n")
        secret.close()
        url = greeting.readline().strip()
    # Whoever stops the server need not be the process that started it.
    Thread(target=process.wait, daemon=True).start()
    return {"url": url, "password": password}


def stop(server: Server) -> None:
    """Stop it, from whichever process; one that has gone already is none to complain about."""
    with suppress(urllib.error.URLError):
        ask(server, "stop", {})


class Database:
    """One database on a server, made when it is first used."""

    def __init__(self, server: Server, name: str) -> None:
        self.server = server
        self.name = name

    def execute(self, statement: str, *parameters: Any) -> list[list[Any]]:
        rows: list[list[Any]] = ask(self.server, self.name, {"statement": statement, "parameters": parameters})
        return rows

    def clear(self) -> None:
        """Drop every table in it."""
        for (table,) in self.execute("SELECT name FROM sqlite_master WHERE type = 'table'"):
            self.execute(f'DROP TABLE "{table}"')


def ask(server: Server, path: str, question: dict[str, Any]) -> Any:
    request = urllib.request.Request(
        f"{server['url']}/{path}",
        json.dumps(question).encode(),
        {"Authorization": server["password"], "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


# the server process


class Handler(BaseHTTPRequestHandler):
    directory: Path
    password: str

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not secrets.compare_digest(self.headers.get("Authorization", ""), self.password):
            self.send_error(403)
            return
        question = json.loads(body)
        name = self.path.removeprefix("/")
        if name == "stop":
            # From another thread, since this one is the one that would have to come to an end.
            Thread(target=self.server.shutdown).start()
            self.answer([])
        else:
            self.answer(self.execute(name, question["statement"], question["parameters"]))

    def execute(self, name: str, statement: str, parameters: list[Any]) -> list[Any]:
        with closing(sqlite3.connect(self.directory / f"{name}.sqlite")) as connection, connection:
            return connection.execute(statement, parameters).fetchall()

    def answer(self, rows: list[Any]) -> None:
        body = json.dumps(rows).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing: standard error belongs to the tests."""


def serve(directory: Path) -> None:
    Handler.directory = directory
    Handler.password = sys.stdin.readline().strip()
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        tell("started", url)
        print(url, flush=True)
        server.serve_forever(poll_interval=0.05)
    tell("stopped", url)


def tell(what: str, url: str) -> None:
    """Which servers there were, for whoever looks into $SERVERS_LOG."""
    if log := os.environ.get("SERVERS_LOG"):
        with open(log, "a", encoding="utf-8") as file:
            file.write(f"{what} {url} {os.getppid()}\n")


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
