"""The stores and namespaces of the demo, which its parent and its workers have to agree on.

The demo runs on the store it shows: the start signal, the workers' reports and a common tally are items too.
"""

from __future__ import annotations

from papertiger_shm import Store

SHARED = "demo/shared"
SIGNAL = "signal"
TALLY = "tally"


def own_namespace(worker: int) -> str:
    return f"demo/worker-{worker}"


class Control(Store, table="demo_control", resource="control"):
    """``{"id": "signal", "state": "run" | "stop"}``: not there yet means wait."""


class Tallies(Store, table="demo_tallies", resource="tally", plural="tallies"):
    """``{"id": "tally", "turns": n}``, incremented by every worker."""


class Reports(Store, table="demo_reports", resource="report"):
    """One item a worker, replaced as it goes; see ``worker.report``."""
