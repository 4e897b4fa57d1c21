"""The ``papertiger-shm`` command, for people and for scripts.

It stands on the public API alone: whatever it can do, a program can. Each command is a file; the libraries that
talk to a person (click, rich) are imported in here and nowhere else in the package, and not before a command runs.
"""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the command line. Exit status: 0, 1 (and it said why), 2 (wrong usage)."""
    from papertiger_shm.cli.commands import papertiger_shm

    papertiger_shm(prog_name="papertiger-shm")
