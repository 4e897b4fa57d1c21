"""How a command that runs until it is told to end is told so. What it does until then never enters."""

from __future__ import annotations

import select
import signal
from collections.abc import Callable
from contextlib import ExitStack

from papertiger_shm.cli.signals import heard


def until_asked() -> Callable[[float], bool]:
    """A function that waits so many seconds for a signal to end, and says whether there was one.

    The signals are SIGINT (Ctrl-C), SIGTERM and SIGHUP, this not under ``nohup``, from this call on. By no
    exception, so that what a command starts and stops is never cut in half.
    """
    ends = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        ends.append(signal.SIGHUP)
    source = heard(ends, ExitStack())  # which nobody unwinds: they are told so until the process ends
    return lambda seconds: bool(select.select([source], [], [], seconds)[0])
