"""Beginning in a fresh interpreter: what importing costs, and what it takes to the first event."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

from benchmarks.events import STRIPE
from benchmarks.measure import Contender, Samples
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
loaded = {{name.partition(".")[0] for name in set(sys.modules) - before}}
print(json.dumps(sorted(loaded.intersection({unneeded}))))
"""
UNNEEDED = (
    *("asyncio", "click", "dill", "lmdb", "multiprocessing", "numpy", "pytest"),
    *("rich", "sortedcontainers", "subprocess", "unittest", "urllib"),
)
"""What a reader has no need of, connecting included."""
UNNEEDED_TO_IMPORT = (*UNNEEDED, "filelock", "msgpack", "msgspec", "multiprocess", "socket", "xxhash")

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
    loaded = {
        PACKAGE: unneeded(PACKAGE, UNNEEDED_TO_IMPORT),
        IMPORT_AND_GET: unneeded(FIRST_GET, UNNEEDED, ours.address(), newest),
    }
    yield Result(
        "imports",
        "packages loaded that are not needed",
        {label: Samples((float(len(packages)),)) for label, packages in loaded.items()},
        tuple(Limit(label, 0, COUNT) for label in loaded),
        unit=COUNT,
        notes=[f"{label} loads {', '.join(packages)}" for label, packages in loaded.items() if packages],
    )


def running(script: str, work: str, *arguments: str) -> Contender:
    """A fresh interpreter, which measures itself: how long Python takes to start is not ours."""
    return lambda number: float(json.loads(answered(script.format(work=work), *arguments)))


def unneeded(work: str, packages: tuple[str, ...], *arguments: str) -> list[str]:
    loaded: list[str] = json.loads(answered(LOADED.format(work=work, unneeded=packages), *arguments))
    return loaded


def answered(script: str, *arguments: str) -> str:
    command = [sys.executable, "-c", script, *arguments]
    # Compiled modules may be kept, as those of an installation are; else ours alone were compiled each time anew.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
