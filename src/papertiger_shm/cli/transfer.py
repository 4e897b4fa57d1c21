"""``papertiger-shm dump`` and ``load``: one table in one namespace, to a file and back. Formats never enter here."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence

import click

from papertiger_shm import PaperTigerError
from papertiger_shm.cli.opening import open_store
from papertiger_shm.cli.progress import bar
from papertiger_shm.cli.tables import open_table


def dump(store: str | None, file: str, *, table: str, namespace: str | None, as_json: bool) -> None:
    """Write one consistent view of the namespace to the file."""
    _transfer("dumped", store, file, table=table, indexes=(), namespace=namespace, as_json=as_json)


def load(
    store: str | None, file: str, *, table: str, indexes: Sequence[str], namespace: str | None, as_json: bool
) -> None:
    """Insert or replace every item of the file, batch by batch, each all or nothing."""
    _transfer("loaded", store, file, table=table, indexes=indexes, namespace=namespace, as_json=as_json)


def _transfer(
    done: str,
    store: str | None,
    file: str,
    *,
    table: str,
    indexes: Sequence[str],
    namespace: str | None,
    as_json: bool,
) -> None:
    with open_store(store) as connection:
        items = open_table(connection, table, namespace, indexes)
        with _said_plainly(file), bar(file) as progress:
            count = (items.dump if done == "dumped" else items.load)(file, progress=progress)
        answer = {
            "url": connection.url,
            "table": table,
            "namespace": items.namespace,
            "file": file,
            "items": count,
        }
    if as_json:
        click.echo(json.dumps(answer))
    else:
        way = "to" if done == "dumped" else "from"
        click.echo(
            f"{done} {count:,} items of {table} in namespace {answer['namespace']!r} of {answer['url']} {way} {file}"
        )


@contextlib.contextmanager
def _said_plainly(file: str) -> Iterator[None]:
    try:
        yield
    except PaperTigerError:
        raise
    except OSError as error:
        raise click.ClickException(
            f"{file} cannot be read or written ({error.strerror or error}): give the path of a file that can"
        ) from error
