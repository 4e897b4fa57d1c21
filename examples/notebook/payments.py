"""A notebook as a script: how many payments wait too long? Several processes simulate, a store has what they find.

Runs with ``python payments.py``, or cell by cell in an editor that knows ``# %%``, or in Jupyter by way of jupytext.
"""

# %% What is asked for
from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import simulation
from simulation import A_DAY, BIN, BINS, CLERKS, PATIENCE, PER_MINUTE, Days

from papertiger_shm import Manager, ManagerUnavailable

parser = argparse.ArgumentParser(description="Simulates a payment desk in several processes, and plots what they find.")
parser.add_argument("--processes", type=int, default=4, help="how many simulate (default: 4)")
parser.add_argument("--days", type=int, default=250, help="that each of them simulates (default: 250)")
parser.add_argument("--out", type=Path, default=Path("plots"), help="where the plots go (default: plots)")
asked = parser.parse_args([] if "ipykernel" in sys.modules else None)
if asked.processes < 1 or asked.days < 10:
    parser.error("it takes 1 process and 10 days to see anything")
asked.out.mkdir(parents=True, exist_ok=True)


# %% What Erlang has known since 1917, to see whether the simulation is right
def waits_longer(minutes: Any) -> Any:
    """The share of payments that wait longer than so many minutes, a number or an array of them."""
    blocked = 1.0
    for clerks in range(1, CLERKS + 1):
        blocked = PER_MINUTE * blocked / (clerks + PER_MINUTE * blocked)
    waiting = blocked / (1 - PER_MINUTE / CLERKS * (1 - blocked))
    return waiting * np.exp(-(CLERKS - PER_MINUTE) * minutes)


# %% The store, and the processes, which find it by the environment and end when it does, with this script at the latest
manager = Manager()
manager.start()
days = Days(manager.connect())
environment = os.environ | {"PAPERTIGER_URL": manager.url}
print(f"{asked.processes} processes publish into {manager.url}", flush=True)
began = time.monotonic()
processes = [
    subprocess.Popen(
        [sys.executable, simulation.__file__, str(seed), str(asked.days)], env=environment, start_new_session=True
    )
    for seed in range(asked.processes)
]


# %% Look on while they work
def tell_the_end() -> None:
    """Whoever watches learns here, too, that no more comes, whether the processes came to their end or died."""
    for process in processes:
        process.wait()
    with suppress(ManagerUnavailable):  # nor is there anybody to tell where this script has ended
        days.insert({"id": "end"})


Thread(target=tell_the_end, daemon=True).start()
seen: list[dict[str, Any]] = []
for change in days.watch(since=0):  # what has come already, and then what comes
    if change.id == "end" or change.item is None:
        break
    seen.append(change.item | {"at": time.monotonic() - began})
    if len(seen) % max(1, asked.processes * asked.days // 5) == 0:
        share = sum(day["long"] for day in seen) / (A_DAY * len(seen))
        print(f"{len(seen):,} days: {share:.2%} of the payments waited longer than {PATIENCE:g} minutes")
manager.stop()
if any(process.returncode for process in processes):
    raise SystemExit(f"a simulation failed, with exit status {[process.returncode for process in processes]}")
print(f"Exact: {waits_longer(PATIENCE):.2%}")

# %% How all plots look
plt.rcParams.update({"figure.figsize": (7, 4), "figure.constrained_layout.use": True, "svg.fonttype": "none"})
plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.3})
plt.rcParams.update({"axes.titlelocation": "left", "legend.frameon": False})
plt.rcParams["axes.prop_cycle"] = plt.cycler(color=["#4477AA", "#EE6677", "#228833", "#CCBB44", "#AA3377", "#66CCEE"])


def save(name: str) -> None:
    for suffix in ("png", "svg"):
        plt.savefig(asked.out / f"{name}.{suffix}", dpi=150)
        print(asked.out / f"{name}.{suffix}")


# %% Convergence: the estimate after each day that came, and where the truth is to be found 19 times of 20
shares = 100 * np.array([day["long"] for day in seen]) / A_DAY
numbers = np.arange(1, len(shares) + 1)
means = np.cumsum(shares) / numbers
errors = 1.96 * np.sqrt((np.cumsum(shares**2) / numbers - means**2) / numbers)
numbers, means, errors = numbers[4:], means[4:], errors[4:]  # fewer say nothing of how far apart days are
plt.figure()
plt.fill_between(numbers, means - errors, means + errors, color="C0", alpha=0.2, linewidth=0, label="95 % confidence")
plt.plot(numbers, means, label="simulated so far")
plt.axhline(100 * waits_longer(PATIENCE), color="C1", linestyle="--", label="exact")
plt.xscale("log")
plt.gca().xaxis.set_major_formatter("{x:,.0f}")
plt.xlabel("days simulated, in the order in which they came")
plt.ylabel(f"% of payments that wait longer than {PATIENCE:g} min")
plt.title(f"{means[-1]:.1f} ± {errors[-1]:.1f} % after {len(seen):,} days; exact: {100 * waits_longer(PATIENCE):.1f} %")
plt.legend()
save("convergence")

# %% How long payments wait: the last bin, of all that wait longer, is left out
edges = BIN * np.arange(BINS - 1)
exact = waits_longer(edges) - waits_longer(edges + BIN)
exact[0] += 1 - waits_longer(0)  # those that need not wait
counts = np.sum([day["waits"] for day in seen], axis=0)
plt.figure()
plt.bar(edges, 100 * counts[:-1] / counts.sum(), BIN, align="edge", edgecolor="white", label="simulated")
plt.plot(edges + BIN / 2, 100 * exact, "o", color="C1", label="exact")
plt.yscale("log")
plt.gca().yaxis.set_major_formatter("{x:g}")
plt.xlabel("minutes waited")
plt.ylabel(f"% of payments, in bins of {BIN:g} min")
plt.title(f"{counts.sum():,} payments, {PER_MINUTE:g} a minute, at {CLERKS} clerks")
plt.legend()
save("waits")

# %% Who has simulated how much, and when
plt.figure()
for process in range(asked.processes):
    times = [day["at"] for day in seen if day["process"] == process]
    plt.step(times, range(1, len(times) + 1), where="post", label=f"process {process}")
plt.xlabel("seconds since the start")
plt.ylabel("days that have come from it")
plt.title(f"{len(seen) / seen[-1]['at']:,.0f} days a second from {asked.processes} processes")
plt.legend()
save("processes")
