"""What can be typed after ``papertiger-shm``: names, arguments and help texts.

No command does its work here; each imports its own file when it is called, so that ``--help`` stays quick.
"""

from __future__ import annotations

from typing import Any

import click

from papertiger_shm.errors import PaperTigerError


class Commands(click.Group):
    """A group of commands in which an error of the package ends in one sentence and exit status 1, not a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except PaperTigerError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="papertiger-shm", message="%(prog)s %(version)s")
def papertiger_shm() -> None:
    """One table, many processes: reads straight from shared memory, writes through one process."""


STORE = click.argument("store", required=False, metavar="[NAME|URL]")
JSON = click.option("--json", "as_json", is_flag=True, help="Answer in JSON, for programs.")


@papertiger_shm.command()
@click.option("--seconds", type=click.FloatRange(min=0.1, max=3600), default=3.0, show_default=True, help="How long.")
@click.option("--workers", type=click.IntRange(1, 64), default=4, show_default=True, help="How many processes.")
@click.pass_context
def demo(ctx: click.Context, seconds: float, workers: int) -> None:
    """Watch several processes read and write one store, and see it proven that nothing mixed or tore.

    Starts a manager, loads 264 Stripe events and starts the workers, which read, list, find by type and write in
    namespaces of their own, checking everything they read. Ctrl-C ends it early, proof included.
    """
    from papertiger_shm.cli.demo.run import run

    ctx.exit(run(seconds=seconds, workers=workers))


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
@click.option("--run", is_flag=True, required=True, help="The workers of a run of tests, and what they share.")
@JSON
def top(store: str | None, run: bool, as_json: bool) -> None:
    """Show what goes on in a store just now.

    Of each pytest worker: its test, for how long, its namespace and the items in it, and what it waits for. Of each
    shared fixture: who owns it, and who has it. NAME|URL is the store's name or URL, as the run's $PAPERTIGER_URL;
    without it, that variable.
    """
    from papertiger_shm.cli.top import show

    show(store, as_json=as_json)


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


STORE_AND_FILE = click.argument("places", nargs=-1, required=True, metavar="[NAME|URL] FILE")
TABLE = click.option("--table", default="paper_tiger_events", show_default=True, help="Which table.")
NAMESPACE = click.option("--namespace", help="Which namespace; else $PAPERTIGER_NAMESPACE, else global.")


def store_and_file(places: tuple[str, ...]) -> tuple[str | None, str]:
    """The optional store and the file that were typed."""
    if len(places) > 2:
        raise click.UsageError(f"at most a store and a file can be given, not {len(places)} arguments")
    return (places[0] if len(places) == 2 else None), places[-1]


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

    store, file = store_and_file(places)
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

    store, file = store_and_file(places)
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
