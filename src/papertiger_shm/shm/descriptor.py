"""An open file descriptor that goes with whoever has it last, whatever has interrupted them.

What it is open on never enters here.
"""

from __future__ import annotations

from io import FileIO

__all__ = ["Descriptor"]


class Descriptor(FileIO):
    """Closed at its end at the latest, and nobody is warned of that."""

    # Not a method of Python's, in which a Ctrl-C would be lost.
    __del__ = FileIO.close
