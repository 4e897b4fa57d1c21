"""The process that started the run, beside its workers: it names the run, tells of the dead, and ends it.

It runs no tests, has no fixtures, and does not know before the end whether any worker needed the store.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import pytest

from papertiger_shm.errors import PaperTigerError
from papertiger_shm.testing.address import Address

if TYPE_CHECKING:
    from papertiger_shm import Connection
    from papertiger_shm.backend import Lease
    from papertiger_shm.testing.conclusion import Conclusion
    from papertiger_shm.testing.roster import Roster

__all__ = ["Controller"]


class Controller:
    """One run, from the side of who started it."""

    def __init__(self, config: pytest.Config, address: Address) -> None:
        self.address = address
        self.used = False
        """Whether any worker had to do with the store, as far as they could tell."""
        self._silent: set[str] = set()  # workers that have not told yet
        self.conclusion: Conclusion | None = None
        self._config = config
        self._connection: Connection | None = None
        self._lease: Lease | None = None
        self._looked = False
        self._roster: Roster | None = None
        self._deaths = 0
        self._problem: str | None = None

    def worker_starts(self, node: Any) -> None:
        """Tell a worker of the run; one that is started late is expected by the others."""
        if self.address.party and not self._looked:
            # Those on other hosts have to know whether anybody is left here who starts workers.
            with self._noting_problems():
                self._look_for_the_store()
        node.workerinput.update(self.address.handed_over(None if self._lease is None else self._lease.id))
        self._silent.add(node.gateway.id)
        if self._roster is not None:
            with self._noting_problems():
                self._roster.expect(self.address.party + node.gateway.id)

    def worker_ended(self, node: Any, error: object | None) -> None:
        """Take note of what it used, or of its death."""
        self._silent.discard(node.gateway.id)
        output = getattr(node, "workeroutput", None) or {}
        self.used = self.used or bool(error) or bool(output.get("papertiger_used"))
        if error:
            self._deaths += 1
            with self._noting_problems():
                self._look_for_the_store()
                if self._roster is not None:
                    self._roster.settle(self.address.party + node.gateway.id, replaced=self._will_be_replaced())

    def _look_for_the_store(self) -> None:
        """From the first death on there is a connection, which also keeps the store when all workers die at once.

        Where other hosts share the run there is one from the beginning on.
        """
        from papertiger_shm import ManagerUnavailable, connect
        from papertiger_shm.testing.roster import Roster, run_namespace

        self._looked = True
        if self._connection is None:
            try:
                connection = connect(self.address.url)
            except ManagerUnavailable:
                return
            self._connection = connection
            self._lease = connection.lease()
            namespace = run_namespace(self.address.run_id)
            self._roster = Roster(connection, namespace, self.address.party, controller=self._lease.id)

    def _will_be_replaced(self) -> bool:
        """As pytest-xdist decides it, right after it has told us of the death."""
        option = self._config.option
        most = option.maxworkerrestart
        if most is None:
            most = None if option.numprocesses is None else option.numprocesses * 4
        return most is None or self._deaths <= int(most)

    def no_more_workers(self) -> None:
        """Nobody has to wait any longer for one that died."""
        if self._roster is not None:
            with self._noting_problems():
                self._roster.close()

    def conclude(self) -> None:
        """All workers have ended: end the run."""
        try:
            self._conclude()
        finally:
            if self._connection is not None:
                if self._lease is not None:
                    with self._noting_problems():
                        self._lease.release()
                self._connection.close()

    def _conclude(self) -> None:
        path = self._config.getoption("papertiger_report")
        # Workers that were interrupted have not told.
        if not self.used and not self._silent and path is None:
            return
        from papertiger_shm.testing.conclusion import conclude, nothing

        with self._noting_problems():
            self.conclusion = conclude(self.address, keep=self._config.getoption("papertiger_keep") != "none")
            if path is not None:
                report = nothing(self.address) if self.conclusion is None else self.conclusion.report
                Path(path).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")

    @contextmanager
    def _noting_problems(self) -> Iterator[None]:
        """The run's result stands whatever becomes of its store: a problem with that is told, and no more."""
        try:
            yield
        except (PaperTigerError, OSError) as problem:
            self._problem = f"{type(problem).__name__}: {problem}"

    # --- the terminal -------------------------------------------------------------------------------------------

    def summarise(self, terminal: pytest.TerminalReporter) -> None:
        """A short section, where there is something to tell."""
        lines = [*self._lines()]
        if lines:
            terminal.section("papertiger", sep="-")
            for line in lines:
                terminal.line(line)

    def _lines(self) -> list[str]:
        lines = [] if self._problem is None else [self._problem]
        if self.conclusion is None:
            return lines
        report = self.conclusion.report
        lines += [_line(row) for row in report["shared_fixtures"]]
        lines += self.conclusion.problems
        if self.conclusion.kept:
            url: str = report["url"]
            name = quote(url.removeprefix("shm://"))
            until = ", or for an hour" if self.address.own else ""
            lines.append(f"kept in {url}, until `papertiger-shm stop {name}`{until}:")
            dump = f"  papertiger-shm dump {name} FILE.jsonl --namespace"
            lines += [f"{dump} {quote(kept)}" for kept in self.conclusion.kept]
        if self._config.option.verbose > 0 and report["tests"]:
            lines.append(
                f"{report['overhead_seconds_per_test'] * 1e3:.2f} ms of overhead for each of {report['tests']} tests"
            )
        return lines


def _line(row: dict[str, Any]) -> str:
    if row["outcome"] in ("failed", "skipped", "exited"):
        return f"{row['name']}: {row['outcome']} in {row['owner']}, after {row['setup_seconds']:.2f} s"
    again = "" if row["setups"] == 1 else f" ({row['setups']} times, since owners died)"
    return (
        f"{row['name']}: set up by {row['owner']} in {row['setup_seconds']:.2f} s{again}, "
        f"{row['uses']} uses by {row['workers']} workers, waited {row['waited_seconds']:.2f} s, "
        f"saved {row['saved_seconds']:.2f} s"
    )
