"""How much of everything: a short form for the ordinary suite, a long one for ``tox -e torture``.

``PAPERTIGER_TORTURE=1`` chooses the long one. Nothing but numbers enters this room.
"""

from __future__ import annotations

import os

TORTURE = os.environ.get("PAPERTIGER_TORTURE") == "1"


def _size(short: int, long: int) -> int:
    return long if TORTURE else short


# fmt: off
WRITER_KILLS           = _size(    15,     1_000)
RECOVERED_EVENTS       = _size(100_000, 1_000_000)
CLIENT_KILLS           = _size(    30,     1_000)
STOPPED_SECONDS        = _size(     2,        30)
STOPPED_TIMEOUT        = _size(     1,         5)
TMPFS_MEBIBYTES        = _size(    16,        64)
FULL_TURNS             = _size(     1,         5)
HISTORY_CALLS          = _size(   250,    20_000)  # of each process
HISTORY_KILLS          = _size(     3,       100)
TRANSACTIONS           = _size(   250,    20_000)
DAMAGED_COPIES         = _size( 3_000,   100_000)
STRANGE_TALKS          = _size(   120,    10_000)
THREAD_CALLS           = _size(    20,     1_000)
CLIENT_PROCESSES       = _size(    64,        64)
COLLECTIONS            = _size(10_000,    10_000)
RESTARTS               = _size(    10,       100)
STEADY_OPERATIONS      = _size(30_000, 2_000_000)
FAILPOINT_COUNTS       = (20, 1, 2, 3, 5, 9, 50, 200) if TORTURE else (20,)
# fmt: on
