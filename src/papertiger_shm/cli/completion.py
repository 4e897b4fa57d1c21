"""Shell completion: the script that a shell loads, and the names in a store that it may be asked for.

How a shell asks is click's business. Whatever goes wrong here is no completion, and never a word on the terminal.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

import click
from click.shell_completion import CompletionItem, get_completion_class

from papertiger_shm.errors import PaperTigerError

__all__ = ["INSTALLED", "namespaces", "script", "store_or_file", "store_or_id", "stores", "tables"]

VARIABLE = "_PAPERTIGER_SHM_COMPLETE"
"""As click expects it for a program of this name."""

INSTALLED = {
    "bash": 'eval "$(papertiger-shm completion bash)"   in ~/.bashrc',
    "zsh": 'eval "$(papertiger-shm completion zsh)"   in ~/.zshrc, after compinit',
    "fish": "papertiger-shm completion fish | source   in ~/.config/fish/config.fish",
}
"""How each shell loads its script."""

ANSWER_SECONDS = 1.0
"""For how long a store is asked: someone waits at the prompt."""


def script(shell: str, command: click.Command) -> str:
    """What the shell has to run, with a line that says how."""
    kind = get_completion_class(shell)
    assert kind is not None
    made = kind(command, {}, "papertiger-shm", VARIABLE)
    # Not ``source()``, which for bash starts one to see how old it is.
    return f"# Install: {INSTALLED[shell]}\n{made.source_template % made.source_vars()}"


# ---- names, for click: called with the context so far, the parameter and what has been typed of the word ---------

Completes = Callable[[click.Context, click.Parameter, str], "list[CompletionItem]"]


def _quietly(names: Callable[[click.Context, str], Iterable[str]]) -> Completes:
    def complete(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
        try:
            return [CompletionItem(name) for name in sorted({*names(context, typed)}) if name.startswith(typed)]
        except (PaperTigerError, OSError):
            return []

    return complete


def _store_names(context: click.Context, typed: str) -> Iterable[str]:
    from papertiger_shm import stores

    urls = stores()
    return urls if "://" in typed else [url.removeprefix("shm://") for url in urls]


def _collections(context: click.Context) -> list[tuple[str, str, int]]:
    """Those of the store that was typed before, or that the variable names."""
    from papertiger_shm import connect
    from papertiger_shm.cli.address import store_url

    with connect(store_url(_store(context)), timeout=ANSWER_SECONDS) as connection:
        return connection.collections()


def _store(context: click.Context) -> str | None:
    if context.params.get("store"):
        return str(context.params["store"])
    # Where the last word is an option without its value, click leaves the words before it as they were.
    places = [*(context.params.get("places") or ()), *context.args]
    # Of a store and an id, or a file, the store comes first, and the other one may not have been typed yet.
    return str(places[0]) if places and (len(places) > 1 or not os.environ.get("PAPERTIGER_URL")) else None


def _table_names(context: click.Context, typed: str) -> Iterable[str]:
    place = context.params.get("namespace")
    return [table for table, namespace, _ in _collections(context) if place in (None, namespace)]


def _namespace_names(context: click.Context, typed: str) -> Iterable[str]:
    within = context.params.get("table")
    return [namespace for table, namespace, _ in _collections(context) if within in (None, table)]


stores = _quietly(_store_names)
tables = _quietly(_table_names)
namespaces = _quietly(_namespace_names)


def store_or_file(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """A store first; then, and where none begins so, a file, which the shell completes itself."""
    found = [] if context.params.get("places") else stores(context, parameter, typed)
    return found or [CompletionItem(typed, type="file")]


def store_or_id(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """A store first; ids are not looked up, since a store may have millions."""
    return [] if context.params.get("places") else stores(context, parameter, typed)
