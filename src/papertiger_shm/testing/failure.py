"""How a set-up failed, as data, and the same failure raised in another worker.

pytest's skip, exit and fail are outcomes, not accidents, and stay what they are.
"""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any, Final, NoReturn

import pytest

from papertiger_shm.errors import PaperTigerError

__all__ = ["SharedFixtureFailed", "described", "raise_again"]

LONGEST: Final = 200_000
"""Characters of a message or a traceback that are kept."""

_HERE: Final = str(Path(__file__).parent)


class SharedFixtureFailed(PaperTigerError):
    """A shared fixture could not be set up, in another worker or for another test; the message has its traceback."""


def described(error: BaseException) -> dict[str, Any]:
    """Kind, message and traceback text of what a set-up raised."""
    if isinstance(error, pytest.skip.Exception):
        return _outcome("skipped", str(error.msg))
    if isinstance(error, pytest.exit.Exception):
        return _outcome("exited", str(error.msg), returncode=error.returncode)
    # Not str(error), which may raise. A message, or the traceback of a recursion, may be too long for an item.
    message = "".join(traceback.format_exception_only(type(error), error)).strip()
    return _outcome("failed", _cut(message), text=_cut(text_of(error)))


def _cut(text: str) -> str:
    left_out = len(text) - LONGEST
    half = LONGEST // 2
    return text if left_out <= 0 else f"{text[:half]}\n... {left_out:,} characters ...\n{text[-half:]}"


def _outcome(kind: str, message: str, *, text: str = "", returncode: int | None = None) -> dict[str, Any]:
    # A message may hold what UTF-8 cannot write, and an item can then not hold it.
    message, text = (said.encode(errors="backslashreplace").decode() for said in (message, text))
    return {"kind": kind, "message": message, "text": text, "returncode": returncode}


def text_of(error: BaseException) -> str:
    """The traceback from where the fixture's own code begins."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_HERE):
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(error), error, trace))


def raise_again(record: dict[str, Any]) -> NoReturn:
    """The outcome that the worker had which set the value up, without trying again."""
    __tracebackhide__ = True
    error = record["error"]
    if error["kind"] == "skipped":
        pytest.skip(error["message"])
    if error["kind"] == "exited":
        pytest.exit(error["message"], error["returncode"])
    raise SharedFixtureFailed(
        f"the shared fixture {record['name']!r} failed when {record['owner']} set it up, and is not tried again in "
        f"this run: {error['message']}\n\n{error['text']}"
    )
