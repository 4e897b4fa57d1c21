"""Failpoints: a manager that kills itself at one exact stage of a commit, or of its recovery from a crash.

For tests, so that a crash can be had where no signal from outside could be timed. Asked for with the environment
variable ``PAPERTIGER_FAILPOINT="STAGE[:COUNT]"`` in the process that starts the manager; without it nothing is
wrapped and nothing is looked at again. With it, the words of the manager's memory are watched, and the process sends
itself SIGKILL the COUNT-th time (the first, unless told) that it reaches the stage:

    journal-written    the body of the journal is there, the journal pointer is not set: the commit has not happened
    journal-set        the journal pointer is set: the commit has happened
    sequences-odd      every sequence that the commit touches is odd
    changes-half       half of the words are stored
    changes-done       all of the words are stored
    sequences-even     every sequence is even again
    journal-cleared    the commit is done with, and has not been answered
    epoch-moved        freed memory may be used again from now on
    recovery-begun     a manager that takes over an unfinished commit has stored its first word
    recovery-half      half of that commit's words are stored again
    recovery-done      that commit is finished, and its journal pointer cleared

A commit that touches no sequence never reaches sequences-odd and sequences-even, one of a single word never
changes-half. The recovery stages are reached only where there is a commit to finish.

The variable is read once by each manager process, as it starts. The stages of a commit, and epoch-moved, apply only to
the first manager of a store, the one that laid it out, and only once it serves: an owner hands the variable on to the
manager that it starts in place of the dead one, and that one is to live. The recovery stages apply to every manager
that opens a store, for as long as the starter's environment has the variable; so a test sees a recovery fail as often
as it likes, then takes the variable away. What the engine does never changes in here.
"""

from __future__ import annotations

import os
import signal
from typing import Any, NoReturn, cast

from ..engine import Memory
from ..engine.layout import H_EPOCH, H_JOURNAL, JOURNAL_CHANGES, JOURNAL_SEQUENCES
from ..errors import InvalidRequest

__all__ = ["COMMIT_STAGES", "RECOVERY_STAGES", "STAGES", "VARIABLE", "Failpoint", "asked"]

VARIABLE = "PAPERTIGER_FAILPOINT"

COMMIT_STAGES = (
    "journal-written",
    "journal-set",
    "sequences-odd",
    "changes-half",
    "changes-done",
    "sequences-even",
    "journal-cleared",
    "epoch-moved",
)
RECOVERY_STAGES = ("recovery-begun", "recovery-half", "recovery-done")
STAGES = COMMIT_STAGES + RECOVERY_STAGES


def asked() -> Failpoint | None:
    """The failpoint that the environment asks for, or None. Raises InvalidRequest for one that does not exist."""
    told = os.environ.get(VARIABLE)
    if not told:
        return None
    stage, colon, digits = told.partition(":")
    count = int(digits) if digits.isascii() and digits.isdigit() else 0
    if stage not in STAGES or (colon and not count):
        raise InvalidRequest(
            f"{VARIABLE} is {told!r}, and no manager can be killed there: unset it, or set it to STAGE or STAGE:COUNT, "
            f"a count from 1 and one of the stages {', '.join(STAGES)}"
        )
    return Failpoint(stage, count or 1)


class Failpoint:
    """One stage at which this process is to die. Armed for the recovery stages while the writer opens the segment,
    for the others from ``serving`` on."""

    def __init__(self, stage: str, count: int) -> None:
        self.stage = stage
        self._left = count
        self._in_recovery = stage in RECOVERY_STAGES
        self.armed = self._in_recovery

    def watch(self, memory: Memory) -> None:
        """Watch this memory's words; before a writer takes hold of them."""
        memory.words = cast(memoryview, _WatchedWords(memory.words, self))

    def serving(self, *, first: bool) -> None:
        """The writer is open. ``first``: it laid the store out itself."""
        self.armed = first and not self._in_recovery

    def reached(self, stage: str) -> None:
        """Die here, if this is the stage and the time."""
        if self.armed and stage == self.stage:
            self._left -= 1
            if not self._left:
                _die()


class _WatchedWords:
    """Words that tell a failpoint how far the commit is that is being carried out.

    Only what the engine does with words is here. Between the store that sets the journal pointer and the one that
    clears it, each store is the next step of the commit in the journal, so that counting them tells the stage.
    """

    __slots__ = ("_failpoint", "_recovering", "_stages", "_stores", "_words")

    def __init__(self, words: memoryview, failpoint: Failpoint) -> None:
        self._words = words
        self._failpoint = failpoint
        self._stages: dict[str, int] = {}
        self._stores = 0
        self._recovering = bool(words[H_JOURNAL])
        if self._recovering:
            self._begin()

    def __getitem__(self, where: Any) -> Any:
        return self._words[where]

    def __setitem__(self, where: Any, value: Any) -> None:
        failpoint = self._failpoint
        if where == H_JOURNAL and value:
            failpoint.reached("journal-written")
        self._words[where] = value
        if where == H_JOURNAL:
            if value:
                self._begin()
                failpoint.reached("journal-set")
            else:
                self._stages = {}
                failpoint.reached("recovery-done" if self._recovering else "journal-cleared")
                self._recovering = False
        elif where == H_EPOCH:
            failpoint.reached("epoch-moved")
        elif self._stages:
            self._stores += 1
            if self._stages.get(failpoint.stage) == self._stores:
                failpoint.reached(failpoint.stage)

    def __len__(self) -> int:
        return len(self._words)

    def release(self) -> None:
        self._words.release()

    def _begin(self) -> None:
        """After how many stores each stage of the commit in the journal is reached; 0 for one that it skips."""
        words = self._words
        journal = words[H_JOURNAL]
        sequences, changes = words[journal + JOURNAL_SEQUENCES], words[journal + JOURNAL_CHANGES]
        self._stores = 0
        if self._recovering:
            self._stages = {"recovery-begun": 1, "recovery-half": sequences + (changes + 1) // 2}
        else:
            self._stages = {
                "sequences-odd": sequences,
                "changes-half": sequences + changes // 2 if changes > 1 else 0,
                "changes-done": sequences + changes,
                "sequences-even": 2 * sequences + changes if sequences else 0,
            }


def _die() -> NoReturn:
    # Not os._exit: that would let an owner take it for a stop on purpose, or for a failed start that said why.
    while True:
        os.kill(os.getpid(), signal.SIGKILL)
