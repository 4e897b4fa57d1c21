"""What can be typed after ``papertiger-shm``: names, arguments and help texts.

No command does its work here; each imports its own file when it is called, so that ``--help`` stays quick.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any

import click

from papertiger_shm.errors import PaperTigerError


class Commands(click.Group):
    """A group of commands in which an error of the package ends in one sentence and exit status 1, not a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except PaperTigerError as error:
            from papertiger_shm.cli.folding import printable

            # It may name ids and namespaces, which hold anything; some have several lines.
            raise click.ClickException("\n".join(map(printable, str(error).split("\n")))) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="papertiger-shm", message="%(prog)s %(version)s")
def papertiger_shm() -> None:
    """One table, many processes: reads straight from shared memory, writes through one process."""


class Seconds(click.FloatRange):
    """Numbers alone: nan, which no comparison shuts out, is none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        seconds = super().convert(value, param, ctx)
        if math.isnan(seconds):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return seconds


def completing(names: str) -> Callable[..., Any]:
    """What completes a word: names are looked up by ``completion``, which is not loaded before a shell asks."""

    def complete(context: click.Context, parameter: click.Parameter, typed: str) -> Any:
        from papertiger_shm.cli import completion

        return getattr(completion, names)(context, parameter, typed)

    return complete


TABLES, NAMESPACES = completing("tables"), completing("namespaces")

STORE = click.argument("store", required=False, metavar="[NAME|URL]", shell_complete=completing("stores"))
JSON = click.option("--json", "as_json", is_flag=True, help="Answer in JSON, for programs.")


def store_and_last(places: tuple[str, ...], last: str) -> tuple[str | None, str]:
    """The optional store that was typed, and what comes after it."""
    if len(places) > 2:
        raise click.UsageError(f"at most a store and {last} can be given, not {len(places)} arguments")
    return (places[0] if len(places) == 2 else None), places[-1]


@papertiger_shm.command()
@click.option("--seconds", type=Seconds(0.1, 3600), default=3.0, show_default=True, help="How long.")
@click.option("--workers", type=click.IntRange(1, 64), default=4, show_default=True, help="How many processes.")
@click.pass_context
def demo(ctx: click.Context, seconds: float, workers: int) -> None:
    """Watch several processes read and write one store, and see it proven that nothing mixed or tore.

    Starts a manager, loads 264 Stripe events and starts the workers, which read, list, find by type and write in
    namespaces of their own, checking everything they read. Ctrl-C ends it early, proof included.
    """
    from papertiger_shm.cli.demo.run import run

    ctx.exit(run(seconds=seconds, workers=workers))


TABLE = click.option(
    "--table", default="paper_tiger_events", show_default=True, help="Which table.", shell_complete=TABLES
)
NAMESPACE = click.option(
    "--namespace",
    help="Which namespace; else $PAPERTIGER_NAMESPACE, else global.",
    shell_complete=NAMESPACES,
)


@papertiger_shm.command()
@STORE
@click.option("--stores", is_flag=True, help="List the stores that run; done also where no store is named.")
@click.option("--table", help="List the items of this table, newest first.", shell_complete=TABLES)
@click.option(
    "--namespace",
    help="Which namespace; of a table, else $PAPERTIGER_NAMESPACE, else global.",
    shell_complete=NAMESPACES,
)
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many items at most.")
@click.option("--starting-after", metavar="ID", help="Items behind this one.")
@click.option("--type", metavar="TYPE", help="Items of this type, of a table that has it for an index.")
@JSON
def ls(
    store: str | None,
    stores: bool,
    table: str | None,
    namespace: str | None,
    limit: int,
    starting_after: str | None,
    type: str | None,
    as_json: bool,
) -> None:
    """List what a store holds: its tables and namespaces, or with --table the items of one of them.

    NAME|URL is the store's name ("ci") or URL ("shm://ci"); without it, $PAPERTIGER_URL, and without that the stores
    that run are listed. Without --table, --namespace takes the namespaces below it along.
    """
    from papertiger_shm.cli import ls

    if stores and (store or table or namespace):
        raise click.UsageError("--stores lists all stores that run: give no store, table or namespace with it")
    if table is None and (starting_after is not None or type is not None):
        raise click.UsageError("--starting-after and --type are about items: name their table, with --table")
    if stores or (store is None and not os.environ.get("PAPERTIGER_URL")):
        if table is not None or namespace is not None:
            raise click.UsageError(
                "no store was named and $PAPERTIGER_URL is not set: name one, `ls` lists those that run"
            )
        ls.list_stores(as_json=as_json)
    elif table is None:
        ls.list_collections(store, namespace=namespace, as_json=as_json)
    else:
        ls.list_items(
            store,
            table=table,
            namespace=namespace,
            limit=limit,
            starting_after=starting_after,
            type=type,
            as_json=as_json,
        )


@papertiger_shm.command()
@click.argument("places", nargs=-1, required=True, metavar="[NAME|URL] ID", shell_complete=completing("store_or_id"))
@click.option("--table", help="Which table; else it is looked for in all of the namespace.", shell_complete=TABLES)
@NAMESPACE
@click.option("--full", is_flag=True, help="Fold nothing on a terminal.")
@JSON
def get(places: tuple[str, ...], table: str | None, namespace: str | None, full: bool, as_json: bool) -> None:
    """Print one item as JSON.

    On a terminal deep and long values are folded; a pipe, --full and --json get all of it. What JSON does not have is
    written as dump does, as {"$bytes": "aGk="}. Exit status 1 if there is no such item, or several in different tables.
    """
    from papertiger_shm.cli.get import get

    store, id = store_and_last(places, "an id")
    get(store, id, table=table, namespace=namespace, full=full, as_json=as_json)


@papertiger_shm.command()
@STORE
@JSON
def stats(store: str | None, as_json: bool) -> None:
    """Show a store's figures: items, memory, commits, who writes.

    NAME|URL is the store's name ("ci") or URL ("shm://ci"); without it, $PAPERTIGER_URL.
    """
    from papertiger_shm.cli.stats import show

    show(store, as_json=as_json)


@papertiger_shm.command()
@STORE
@click.option("--run", is_flag=True, help="Only the workers of the runs of tests, and what they share; once.")
@click.option("--once", is_flag=True, help="Show it once, as where there is no terminal.")
@click.option(
    "--interval",
    type=Seconds(0.1, 3600),
    default=1.0,
    show_default=True,
    help="Seconds from one look to the next, and for the figures per second.",
)
@JSON
@click.pass_context
def top(ctx: click.Context, store: str | None, run: bool, once: bool, interval: float, as_json: bool) -> None:
    """Show what goes on in a store just now, again and again; q or Ctrl-C ends it.

    Who writes, reads and commits per second, memory, and the collections with the most items. Of each pytest worker:
    its test, for how long, its namespace and the items in it, and what it waits for. Of each shared fixture: who owns
    it, and who has it. Elsewhere than on a terminal it is shown once. NAME|URL is the store's name or URL; without it,
    $PAPERTIGER_URL. Exit status 1 if the store stops meanwhile.
    """
    if run:
        from papertiger_shm.cli.runs import show

        show(store, as_json=as_json)
        return
    from papertiger_shm.cli.top import top

    ctx.exit(top(store, once=once, interval=interval, as_json=as_json))


@papertiger_shm.command()
@STORE
@JSON
@click.pass_context
def check(ctx: click.Context, store: str | None, as_json: bool) -> None:
    """Check every word of a store: exit status 0 if it is sound, 1 if it is damaged.

    NAME|URL is the store's name ("ci") or URL ("shm://ci"); without it, $PAPERTIGER_URL. Writes wait meanwhile, reads
    do not.
    """
    from papertiger_shm.cli.check import check

    ctx.exit(check(store, as_json=as_json))


@papertiger_shm.command()
@STORE
@click.option("--dry-run", is_flag=True, help="Only list what would be removed.")
@click.option("--everywhere", is_flag=True, help="Also unused memory of other rendezvous places ($PAPERTIGER_DIR).")
@JSON
def gc(store: str | None, dry_run: bool, everywhere: bool, as_json: bool) -> None:
    """Remove what killed runs left, data and all: of one store, or of all.

    Never touched is a store whose manager or owner is alive, or which some process still reads. From such a store, or
    one on a server, what test runs left there of which no process lives is removed, if the store is named; on a
    server a process counts as alive for ten seconds after its death. What their shared fixtures started outside of
    the store is not ended.
    """
    from papertiger_shm.cli.gc import collect

    collect(store, everywhere=everywhere, dry_run=dry_run, as_json=as_json)


STORE_AND_FILE = click.argument(
    "places", nargs=-1, required=True, metavar="[NAME|URL] FILE", shell_complete=completing("store_or_file")
)


@papertiger_shm.command()
@STORE_AND_FILE
@TABLE
@NAMESPACE
@JSON
def dump(places: tuple[str, ...], table: str, namespace: str | None, as_json: bool) -> None:
    """Write the items of one namespace, oldest first, to FILE: .jsonl or .msgpack.

    What is written is one consistent view, whatever others write meanwhile; FILE is there once it is complete.
    """
    from papertiger_shm.cli.transfer import dump

    store, file = store_and_last(places, "a file")
    dump(store, file, table=table, namespace=namespace, as_json=as_json)


@papertiger_shm.command()
@STORE_AND_FILE
@TABLE
@click.option("--index", "indexes", multiple=True, metavar="FIELD", help="An index of the table; once for each.")
@NAMESPACE
@JSON
def load(places: tuple[str, ...], table: str, indexes: tuple[str, ...], namespace: str | None, as_json: bool) -> None:
    """Insert or replace every item of FILE, which dump wrote or which looks like it.

    Items go in by batches of up to 1,000, each wholly or not at all. For a table of your own, give an --index for each
    one that its class declares: items are found by those that they were written with. The package's own tables need
    none.
    """
    from papertiger_shm.cli.transfer import load

    store, file = store_and_last(places, "a file")
    load(store, file, table=table, indexes=indexes, namespace=namespace, as_json=as_json)


@papertiger_shm.command()
@STORE
@JSON
def stop(store: str | None, as_json: bool) -> None:
    """Stop a store's manager, whoever started it; the data goes with it.

    Of a store on a server the data is removed, and the server goes on.
    """
    from papertiger_shm.cli.stop import stop

    stop(store, as_json=as_json)


@papertiger_shm.command()
@STORE
@click.option("--max-size", default="4 GiB", show_default=True, help="How large the store may ever get.")
@click.option("--http", metavar="[HOST:]PORT", help="Also serve Stripe's read endpoints here; port 0: a free one.")
@JSON
@click.pass_context
def serve(ctx: click.Context, store: str | None, max_size: str, http: str | None, as_json: bool) -> None:
    """Run a manager in the foreground, or join the one that runs; prints the store's URL.

    Without a name: that of $PAPERTIGER_URL, else a new one. Ctrl-C ends it, and the store with it if this command
    started it. What a dead manager of this name left is taken over.

    --http prints a second URL, the base for Stripe's libraries: GET /v1/events and the like, read from the namespace
    global. Without HOST it is 127.0.0.1, which only this machine reaches. Whoever reaches it may read: any key that
    begins with sk_test_ will do.
    """
    from papertiger_shm.cli.serve import serve

    ctx.exit(serve(store, max_size=max_size, http=host_and_port(http), as_json=as_json))


@papertiger_shm.command()
@STORE
@click.option("--http", metavar="[HOST:]PORT", help="Where to serve the page; without it, a free port of 127.0.0.1.")
@JSON
@click.pass_context
def ui(ctx: click.Context, store: str | None, http: str | None, as_json: bool) -> None:
    """Show a running store in a browser: namespaces, items, events, and runs of tests; writes nothing.

    Prints the address to open, which opens once: the browser gets a cookie for it, and whoever has none sees nothing.
    Without HOST only this machine reaches it. Ctrl-C ends it. NAME|URL is the store's name or URL; without it,
    $PAPERTIGER_URL.
    """
    from papertiger_shm.cli.ui import ui

    ctx.exit(ui(store, http=host_and_port(http), as_json=as_json))


def host_and_port(address: str | None) -> tuple[str, int] | None:
    """The address as typed: ``127.0.0.1:8080``, ``[::1]:8080``, ``:8080`` or ``8080``."""
    if address is None:
        return None
    host, _, port = address.rpartition(":")
    if not (port.isascii() and port.isdigit() and int(port) < 1 << 16):
        raise click.UsageError(f"--http is {address!r}; write HOST:PORT, as 127.0.0.1:0, with a port from 0 to 65535")
    return host.removeprefix("[").removesuffix("]") or "127.0.0.1", int(port)


@papertiger_shm.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that completes commands, options, stores, tables and namespaces in a shell.

    Its first line says how to install it, as eval "$(papertiger-shm completion bash)" in ~/.bashrc.
    """
    from papertiger_shm.cli.completion import script

    click.echo(script(shell, papertiger_shm))
