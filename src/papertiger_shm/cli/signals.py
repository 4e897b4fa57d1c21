"""Signals as bytes from a pipe, so that whatever goes on is never cut in half by one. What they mean never enters."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from contextlib import ExitStack

__all__ = ["heard"]


def heard(numbers: Iterable[signal.Signals], after: ExitStack) -> int:
    """The end of a pipe that a byte comes out of for each signal, from now on; ``after`` puts all back as it was."""
    ours, told = os.pipe()
    after.callback(os.close, ours)
    after.callback(os.close, told)
    os.set_blocking(told, False)
    after.callback(signal.set_wakeup_fd, signal.set_wakeup_fd(told, warn_on_full_buffer=False))
    for number in numbers:
        after.callback(signal.signal, number, signal.signal(number, lambda *_: None))
    return ours
