"""What is compared: the standard library's compressors, on the Stripe events that come with papertiger-shm.

To compare something else, write other ``CANDIDATES`` and another ``measure``. Knows of no store and no process.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable
from functools import cache, partial
from importlib.resources import files
from timeit import Timer

Transform = Callable[[bytes], bytes]

# The first is what the others are compared with.
CANDIDATES: dict[str, tuple[Transform, Transform]] = {
    "zlib 6": (partial(zlib.compress, level=6), zlib.decompress),
    "zlib 1": (partial(zlib.compress, level=1), zlib.decompress),
    "zlib 9": (partial(zlib.compress, level=9), zlib.decompress),
    "bz2 9": (partial(bz2.compress, compresslevel=9), bz2.decompress),
    "lzma 0": (partial(lzma.compress, preset=0), lzma.decompress),
    "lzma 6": (partial(lzma.compress, preset=6), lzma.decompress),
}


@cache
def corpus() -> bytes:
    return (files("papertiger_shm") / "data" / "stripe_events.jsonl").read_bytes()


def measure(candidate: str) -> dict[str, float]:
    """The compressed size in bytes, and milliseconds for one call, each called for at least 0.2 s."""
    compress, decompress = CANDIDATES[candidate]
    packed = compress(corpus())
    if decompress(packed) != corpus():
        raise ValueError(f"{candidate}: what it compresses does not come back as it was")
    times = {"compress_ms": time_of(compress, corpus()), "decompress_ms": time_of(decompress, packed)}
    return {"bytes": len(packed), **times}


def time_of(call: Transform, data: bytes) -> float:
    calls, seconds = Timer(partial(call, data)).autorange()
    return 1000 * seconds / calls
