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
