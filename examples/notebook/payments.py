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
from math import exp, sqrt
from pathlib import Path
from statistics import stdev
from threading import Thread
from typing import Any

import matplotlib.pyplot as plt
import simulation
from simulation import A_DAY, BIN, BINS, CLERKS, PATIENCE, PER_MINUTE, Days

from papertiger_shm import Manager

parser = argparse.ArgumentParser(description="Simulates a payment desk in several processes, and plots what they find.")
parser.add_argument("--processes", type=int, default=4, help="how many simulate (default: 4)")
parser.add_argument("--days", type=int, default=250, help="that each of them simulates (default: 250)")
parser.add_argument("--out", type=Path, default=Path("plots"), help="where the plots go (default: plots)")
asked = parser.parse_args([] if "ipykernel" in sys.modules else None)
asked.out.mkdir(parents=True, exist_ok=True)


# %% What Erlang has known since 1917, to see whether the simulation is right
def waits_longer(minutes: float) -> float:
    """The share of payments that wait longer; the first factor are those that wait at all."""
    blocked = 1.0
    for clerks in range(1, CLERKS + 1):
        blocked = PER_MINUTE * blocked / (clerks + PER_MINUTE * blocked)
    waiting = blocked / (1 - PER_MINUTE / CLERKS * (1 - blocked))
    return waiting * exp(-(CLERKS - PER_MINUTE) * minutes)


# %% The store, and the processes, which find it by the environment
manager = Manager()
manager.start()
days = Days(manager.connect())
environment = os.environ | {"PAPERTIGER_URL": manager.url}
began = time.monotonic()
processes = [
    subprocess.Popen([sys.executable, simulation.__file__, str(seed), str(asked.days)], env=environment)
    for seed in range(asked.processes)
]


# %% Look on while they work
def tell_the_end() -> None:
    """Whoever watches learns here, too, that no more comes, whether the processes came to their end or died."""
    for process in processes:
        process.wait()
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
BLUE, RED = "#4477AA", "#EE6677"
COLOURS = (BLUE, "#228833", "#CCBB44", "#AA3377", "#66CCEE", "#BBBBBB")
plt.rcParams.update({"figure.figsize": (7, 4), "figure.constrained_layout.use": True, "svg.fonttype": "none"})
plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.3})
plt.rcParams.update({"axes.titlelocation": "left", "legend.frameon": False})


def save(name: str) -> None:
    for suffix in ("png", "svg"):
        plt.savefig(asked.out / f"{name}.{suffix}", dpi=150)
        print(asked.out / f"{name}.{suffix}")


# %% Convergence: the share after each day that came, and the band that has the exact one in it 19 times of 20
shares = [100 * day["long"] / A_DAY for day in seen]
numbers = range(2, len(shares) + 1)
means = [sum(shares[:number]) / number for number in numbers]
errors = [1.96 * stdev(shares[:number]) / sqrt(number) for number in numbers]
plt.figure()
plt.fill_between(
    numbers,
    [mean - error for mean, error in zip(means, errors)],
    [mean + error for mean, error in zip(means, errors)],
    color=BLUE,
    alpha=0.2,
    linewidth=0,
    label="95 % confidence",
)
plt.plot(numbers, means, color=BLUE, label="simulated so far")
plt.axhline(100 * waits_longer(PATIENCE), color=RED, linestyle="--", label="exact (Erlang C)")
plt.xscale("log")
plt.xlabel("days simulated, in the order in which they came")
plt.ylabel(f"% of payments that wait > {PATIENCE:g} min")
plt.title("The estimate converges")
plt.legend()
save("convergence")

# %% How long payments wait
total = A_DAY * len(seen)
edges = [BIN * place for place in range(BINS)]
exact = [waits_longer(edge) - waits_longer(edge + BIN) for edge in edges[:-1]]
exact[0] += 1 - waits_longer(0)  # those that need not wait
plt.figure()
plt.bar(
    edges[:-1],
    [100 * sum(day["waits"][place] for day in seen) / total for place in range(BINS - 1)],
    BIN,
    align="edge",
    color=BLUE,
    edgecolor="white",
    label="simulated",
)
plt.plot([edge + BIN / 2 for edge in edges[:-1]], [100 * share for share in exact], "o", color=RED, label="exact")
plt.yscale("log")
plt.xlabel("minutes waited")
plt.ylabel("% of payments")
plt.title(f"{total:,} payments at {CLERKS} clerks")
plt.legend()
save("waits")

# %% Who simulated how much, and when
plt.figure()
for process in range(asked.processes):
    times = [day["at"] for day in seen if day["process"] == process]
    colour = COLOURS[process % len(COLOURS)]
    plt.step(times, range(1, len(times) + 1), where="post", color=colour, label=f"process {process}")
plt.xlabel("seconds since the start")
plt.ylabel("days that have come from it")
plt.title(f"{len(seen) / seen[-1]['at']:,.0f} days a second from {asked.processes} processes")
plt.legend()
save("processes")
