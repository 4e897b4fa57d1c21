"""Beginning in a fresh interpreter: what importing costs, and what it takes to the first event."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

from benchmarks.events import STRIPE
from benchmarks.measure import Contender
from benchmarks.operations.growth import at
from benchmarks.peers.everyone import OURS
from benchmarks.plan import Plan
from benchmarks.results import COUNT, Limit, Ratio, Result, Same

__all__ = ["attach", "imports"]

TIMED = """
import json, sys, time
begin = time.perf_counter()
{work}
print(json.dumps(time.perf_counter() - begin))
"""
CONNECT = "connection = connect(sys.argv[1]); Events(connection, 'bench').get(sys.argv[2])"
FIRST_GET = "from papertiger_shm import Events, connect; " + CONNECT
CONNECT_ALONE = TIMED.replace("begin =", "from papertiger_shm import Events, connect; begin =")
BASICS = "import msgpack, multiprocess"
PACKAGE = "import papertiger_shm"

LOADED = """
import json, sys
before = set(sys.modules)
{work}
print(json.dumps(sorted(name for name in set(sys.modules) - before if name.partition(".")[0] in {unneeded})))
"""
UNNEEDED = ("asyncio", "click", "lmdb", "multiprocessing", "numpy", "pytest", "rich", "sortedcontainers")
"""What neither importing nor reading needs."""
UNNEEDED_TO_IMPORT = (*UNNEEDED, "filelock", "msgpack", "msgspec", "multiprocess", "socket", "subprocess", "xxhash")

IMPORT_AND_GET = f"{OURS}, import to first get"


def attach(plan: Plan) -> Iterator[Result]:
    """From connect() to the first event, in a store of any size; and that with the import, beside two imports."""
    scale = plan.scale
    newest = STRIPE.make(scale.top - 1)["id"]
    ours = {size: store for size in scale.sizes if (store := plan.stock.ours(STRIPE, size)) is not None}
    if not ours:
        return
    contenders: dict[str, Contender] = {
        at(OURS, size): running(CONNECT_ALONE, CONNECT, store.address(), newest) for size, store in ours.items()
    }
    flat = (Same(at(OURS, scale.sizes[-1]), at(OURS, scale.sizes[0])),)
    yield plan.among("attach", "connect() to first get, a fresh process", contenders, flat)

    address = ours[scale.sizes[-1]].address()
    contenders = {
        IMPORT_AND_GET: running(TIMED, FIRST_GET, address, newest),
        BASICS: running(TIMED, BASICS),
    }
    yield plan.among(
        "attach", "import to first get, a fresh process", contenders, (Ratio(IMPORT_AND_GET, BASICS, 1.3),)
    )


def imports(plan: Plan) -> Iterator[Result]:
    """Importing the package, and what is loaded that the call at hand does not need."""
    contenders = {PACKAGE: running(TIMED, PACKAGE), BASICS: running(TIMED, BASICS)}
    yield plan.among("imports", "import, a fresh process", contenders)

    ours = plan.stock.ours(STRIPE)
    if ours is None:
        return
    newest = STRIPE.make(plan.scale.top - 1)["id"]
    counted: dict[str, Contender] = {
        PACKAGE: lambda number: unneeded(PACKAGE, UNNEEDED_TO_IMPORT),
        IMPORT_AND_GET: lambda number: unneeded(FIRST_GET, UNNEEDED, ours.address(), newest),
    }
    targets = (Limit(PACKAGE, 0, COUNT), Limit(IMPORT_AND_GET, 0, COUNT))
    name = "modules loaded that are not needed"
    yield plan.among("imports", name, counted, targets, unit=COUNT, rounds=1, warm_up=False)


def running(script: str, work: str, *arguments: str) -> Contender:
    """A fresh interpreter, which measures itself: how long Python takes to start is not ours."""
    return lambda number: float(json.loads(answered(script.format(work=work), *arguments)))


def unneeded(work: str, modules: tuple[str, ...], *arguments: str) -> float:
    return len(json.loads(answered(LOADED.format(work=work, unneeded=modules), *arguments)))


def answered(script: str, *arguments: str) -> str:
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ).stdout
