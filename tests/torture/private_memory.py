"""A /dev/shm of one's own and of a given size, in a mount namespace of one's own. What is stored in it never enters.

To be called in a fresh interpreter before it does anything else; its children share what it has made.
"""

from __future__ import annotations

import ctypes
import os
import sys

CLONE_NEWNS = 0x20000
MS_REC_PRIVATE = 0x4000 | 0x40000
MS_NOSUID_NODEV = 0x2 | 0x4


def mount_small_memory(mebibytes: int) -> str | None:
    """Mount a tmpfs of this size as /dev/shm for this process and its children; why that is not possible, or None."""
    if sys.platform != "linux":
        return f"{sys.platform} has no mount namespaces"
    libc = ctypes.CDLL(None, use_errno=True)
    for what, status in (
        ("unshare(CLONE_NEWNS)", lambda: libc.unshare(CLONE_NEWNS)),
        ("making / private", lambda: libc.mount(b"none", b"/", None, MS_REC_PRIVATE, None)),
        (
            "mounting a tmpfs",
            lambda: libc.mount(b"tmpfs", b"/dev/shm", b"tmpfs", MS_NOSUID_NODEV, f"size={mebibytes}m".encode()),
        ),
    ):
        if status():
            return f"{what} is not permitted here: {os.strerror(ctypes.get_errno())}; run it as root"
    return None
