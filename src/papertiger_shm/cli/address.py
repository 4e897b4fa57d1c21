"""How a store is named on the command line. Nothing is opened here."""

from __future__ import annotations


def store_url(text: str | None) -> str | None:
    """The URL for what was typed: a URL stays, a name becomes ``shm://name``, None stays (``$PAPERTIGER_URL``)."""
    if text is None or "://" in text:
        return text
    return f"shm://{text}"
