"""How a command that runs until it is told to end is told so. What it does until then never enters."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable


def until_asked() -> Callable[[float], bool]:
    """A function that waits so many seconds for a signal to end, and says whether there was one.

    The signals are SIGINT (Ctrl-C), SIGTERM and SIGHUP, this not under ``nohup``, from this call on. Through a pipe and
    not by an exception, so that what a command starts and stops is never cut in half.
    """
    heard, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    ends = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        ends.append(signal.SIGHUP)
    for number in ends:
        signal.signal(number, lambda *_: None)
    return lambda seconds: bool(select.select([heard], [], [], seconds)[0])
