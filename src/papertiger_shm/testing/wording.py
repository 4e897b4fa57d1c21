"""What is said of a failure, as text that any item can hold. Whose failure it is never enters this room."""

from __future__ import annotations

from typing import Final

__all__ = ["storable"]

LONGEST: Final = 200_000
"""Characters of a message or a traceback that are kept."""


def storable(text: str) -> str:
    """The text, of a long one its two ends, with escapes for surrogates, which UTF-8 cannot write."""
    left_out = len(text) - LONGEST
    if left_out > 0:
        half = LONGEST // 2
        text = f"{text[:half]}\n... {left_out:,} characters ...\n{text[-half:]}"
    return text.encode(errors="backslashreplace").decode()
