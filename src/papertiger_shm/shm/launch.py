"""Starting a manager: a fresh interpreter, given its orders through a pipe, that reports when it is ready.

Fresh, since a fork would take along whatever threads and locks the caller has; and started by hand, since
multiprocessing's ways either import the caller's ``__main__`` again or refuse daemonic processes. What the manager
then does never enters here.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path
from typing import Any

from .. import errors
from ..errors import ManagerUnavailable
from .descriptor import Descriptor
from .rendezvous import Place

__all__ = ["Started", "launch"]

READY_SECONDS = 30.0
"""How long a manager may take to become ready. It is well below a second on any machine that is not overwhelmed."""

END_SECONDS = 10.0
"""How long one that does not become ready is given to clean up after itself."""

IDLE_VARIABLE = "PAPERTIGER_IDLE_SECONDS"
IDLE_SECONDS = 10.0

# -I -S: neither the environment, nor the current directory, nor site packages' start-up code have a say in what a
# manager is; sys.path is then the standard library's, and whatever a program has on its own comes behind that.
_FLAGS = ("-I", "-S")
_BOOT = """\
import os, sys, json
def take(count):
    data = b""
    while len(data) < count:
        more = os.read(0, count - len(data))
        if not more:
            sys.exit(1)
        data += more
    return data
orders = json.loads(take(int(take(8), 16)))
sys.dont_write_bytecode = orders["dont_write_bytecode"]
sys.path += [entry for entry in orders["path"] if entry not in sys.path]
if orders["kind"] == "on-demand" and os.fork():
    os._exit(0)
from papertiger_shm.shm.process import main
main(orders)
"""

# Re-entrant, since the collector may finalize a Manager at any point of a thread that holds it.
_FORKING = threading.RLock()
_lifelines: weakref.WeakSet[Descriptor] = weakref.WeakSet()
_started: weakref.WeakSet[Started] = weakref.WeakSet()


class Started:
    """A manager process that this process has started. One that is forgotten is let go of."""

    def __init__(self, process: subprocess.Popen[bytes], pid: int, lifeline: Descriptor) -> None:
        self.process = process
        self.pid = pid
        self._lifeline = lifeline
        _started.add(self)

    def let_go(self) -> None:
        """Close the lifeline: the manager stops and removes everything. Again does nothing."""
        _close(self._lifeline)


def launch(place: Place, *, kind: str, max_size: int) -> Started:
    """Start a manager and wait until it accepts clients.

    ``kind`` "owned": it stops when this process ends or lets go. "on-demand": it stops some time after its last
    client has gone (``$PAPERTIGER_IDLE_SECONDS``, 10 by default).

    Raises what the manager reports (AlreadyExists for a taken name, StoreFull, CorruptSegment, AccessDenied), or
    ManagerUnavailable where it does not come up at all.
    """
    if not sys.executable:
        raise ManagerUnavailable(
            f"a manager for {place.url} cannot be started: sys.executable is empty in this program; set it to the "
            "path of a Python interpreter, or start the manager from a shell with `papertiger-shm serve`"
        )
    orders = {
        "name": place.name,
        "root": place.root,
        "kind": kind,
        "owner": os.getpid() if kind == "owned" else 0,
        "max_size": max_size,
        "idle_seconds": _idle_seconds(),
        "path": _search_path(),
        "dont_write_bytecode": sys.dont_write_bytecode,
    }
    ready, ready_there = _pipe()
    complaints, complaints_there = _pipe()
    read_end, lifeline = _open_lifeline()
    orders["ready"] = ready_there.fileno()
    try:
        with ready, complaints:
            place.open()
            with read_end, complaints_there, ready_there:
                process = _spawn(place.name, read_end, complaints_there, ready_there)
            try:
                _send_orders(lifeline, orders)
                report = _await_report(process, ready, complaints, place, kind)
            except BaseException:
                _end(process, lifeline)
                raise
    except BaseException:
        _close(lifeline)
        place.remove_if_empty()
        raise
    if kind == "on-demand":
        _close(lifeline)
        process.wait()
    return Started(process, report["pid"], lifeline)


def _pipe() -> tuple[Descriptor, Descriptor]:
    read_end, write_end = os.pipe()
    return Descriptor(read_end), Descriptor(write_end, "w")


def _spawn(name: str, read_end: Descriptor, complaints: Descriptor, ready: Descriptor) -> subprocess.Popen[bytes]:
    command = [sys.executable, *_FLAGS, "-c", _BOOT, "papertiger-shm", "manager", name]
    try:
        # A fork meanwhile would take along the pipe by which Popen learns that the program runs, and Popen would wait
        # for that child's end.
        with _FORKING:
            return subprocess.Popen(
                command,
                stdin=read_end,
                stdout=subprocess.DEVNULL,
                stderr=complaints,
                pass_fds=(ready.fileno(),),
                start_new_session=True,
                cwd="/",
            )
    except OSError as error:
        raise ManagerUnavailable(
            f"a manager cannot be started with the interpreter {sys.executable!r} ({error}): see that sys.executable "
            "is a Python interpreter"
        ) from error


def _end(process: subprocess.Popen[bytes], lifeline: Descriptor) -> None:
    """End one that is not to become ready any more: by itself, so that it leaves nothing, if it still can."""
    _close(lifeline)
    try:
        process.wait(END_SECONDS)  # interrupted once more, it still ends by itself
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _send_orders(lifeline: Descriptor, orders: dict[str, Any]) -> None:
    text = json.dumps(orders).encode()
    data = memoryview(b"%08x" % len(text) + text)
    with contextlib.suppress(BrokenPipeError):  # it died at once; its complaints say why
        while data:
            data = data[lifeline.write(data) :]


def _await_report(
    process: subprocess.Popen[bytes], ready: Descriptor, complaints: Descriptor, place: Place, kind: str
) -> dict[str, Any]:
    deadline = time.monotonic() + READY_SECONDS
    heard = {ready: bytearray(), complaints: bytearray()}
    with selectors.DefaultSelector() as selector:
        for source, said in heard.items():
            selector.register(source, selectors.EVENT_READ, said)
        while b"\n" not in heard[ready]:
            events = selector.select(0.1)
            for key, _ in events:
                data = os.read(key.fd, 65536)
                key.data.extend(data)
                if not data:
                    selector.unregister(key.fileobj)
            # Its ends of the pipes may live on in a child forked elsewhere; that it has ended is seen all the same.
            gone = not events and kind == "owned" and process.poll() is not None
            if gone or ready not in selector.get_map() or time.monotonic() >= deadline:
                break
    if b"\n" not in heard[ready]:
        complaint = heard[complaints].decode(errors="replace").strip() or "nothing"
        why = "did not become ready in time" if time.monotonic() >= deadline else "ended before it was ready"
        raise ManagerUnavailable(
            f"the manager for {place.url} {why} (interpreter {sys.executable}); what it said:\n{complaint}"
        )
    report: dict[str, Any] = json.loads(heard[ready])
    if "error" in report:
        name, text = report["error"]
        process.wait()
        raise getattr(errors, name)(text)
    return report


def _search_path() -> list[str]:
    """Where this process finds modules, without what depends on the current directory."""
    package = str(Path(__file__).parents[2])
    return [package, *(os.path.abspath(entry) for entry in sys.path if isinstance(entry, str))]


def _idle_seconds() -> float:
    told = os.environ.get(IDLE_VARIABLE)
    if not told:
        return IDLE_SECONDS
    try:
        return max(0.0, float(told))
    except ValueError:
        raise errors.InvalidRequest(f"{IDLE_VARIABLE} is {told!r}: set it to a number of seconds") from None


def _open_lifeline() -> tuple[Descriptor, Descriptor]:
    """A pipe whose writing end no other process will hold: exec closes it, and so does the hook below in forks."""
    with _FORKING:
        read_end, lifeline = _pipe()
        _lifelines.add(lifeline)
    return read_end, lifeline


def _close(lifeline: Descriptor) -> None:
    if not lifeline.closed:  # another thread may hold the lock, and wait for who closes it again
        with _FORKING:
            lifeline.close()


def _disown_in_child() -> None:
    for lifeline in list(_lifelines):
        lifeline.close()
    for started in list(_started):
        # The parent's child is not ours to wait for, and Popen would warn that nobody did.
        started.process.returncode = 0
    _FORKING.release()


os.register_at_fork(before=_FORKING.acquire, after_in_parent=_FORKING.release, after_in_child=_disown_in_child)
