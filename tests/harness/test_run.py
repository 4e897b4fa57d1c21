"""One whole run, small, with the peers that need no package of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.crew import Crew
from benchmarks.events import STRIPE
from benchmarks.operations.table import OPERATIONS
from benchmarks.peers.everyone import EVERYONE, OURS
from benchmarks.peers.papertiger import Papertiger

ROOT = Path(__file__).resolve().parent.parent.parent
PEERS = [name for name, peer in EVERYONE.items() if not peer.packages or name == OURS]


def test_a_quick_run_keeps_what_it_shows(tmp_path: Path) -> None:
    kept, page = tmp_path / "kept.json", tmp_path / "page.md"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--only", "count", "--peers", *PEERS]
    command += ["--json", str(kept), "--markdown", str(page)]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(kept.read_text(encoding="utf-8"))["results"]
    assert set(result["rounds"]) | set(result["cannot"]) == set(PEERS)
    assert result["name"] in done.stdout
    assert result["name"] in page.read_text(encoding="utf-8")


def test_an_unknown_operation_is_refused_with_those_there_are() -> None:
    command = [sys.executable, "-m", "benchmarks", "--only", "dance"]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "dance" in done.stderr
    assert all(name in done.stderr for name in OPERATIONS)


def test_a_crew_meets_works_and_reports() -> None:
    with Papertiger("64 MiB") as ours, Crew(2) as crew:
        ours.load(STRIPE.range(0, 100))
        store = {"peer": OURS, "address": ours.address(), "payload": STRIPE.name, "size": 100, "top": 100}
        with crew.at_work(2, "read", seconds=0.01, **store) as reports:
            crew.wait(2)
        assert sorted(report["place"] for report in reports) == [0, 1]
        assert all(report["calls"] and report["seconds"] >= 0.01 for report in reports)
        with crew.at_work(1, "update", first=0, last=100, **store) as reports:
            pass
        assert [report["place"] for report in reports] == [0]
        with crew.at_work(2, "insert", first=1_000, count=5, **store) as reports:
            crew.wait(2)
        assert ours.events.count() == 110
