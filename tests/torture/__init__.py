"""Attempts to break the store: kill, stop, starve and mislead it, and compare with the books that were kept."""
