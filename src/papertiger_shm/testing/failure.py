"""How a set-up failed, as data, and the same failure raised in another worker.

pytest's skip, exit and fail are outcomes, not accidents, and stay what they are.
"""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any, Final, NoReturn

import pytest

from papertiger_shm.errors import PaperTigerError
from papertiger_shm.testing.wording import storable

__all__ = ["SharedFixtureFailed", "described", "raise_again"]

_HERE: Final = str(Path(__file__).parent)


class SharedFixtureFailed(PaperTigerError):
    """A shared fixture could not be set up, in another worker or for another test; the message has its traceback."""


def described(error: BaseException) -> dict[str, Any]:
    """Kind, message and traceback text of what a set-up raised."""
    if isinstance(error, pytest.skip.Exception):
        return _outcome("skipped", str(error.msg))
    if isinstance(error, pytest.exit.Exception):
        return _outcome("exited", str(error.msg), returncode=error.returncode)
    message = "".join(traceback.format_exception_only(type(error), error)).strip()  # not str(error), which may raise
    return _outcome("failed", message, text=text_of(error))


def _outcome(kind: str, message: str, *, text: str = "", returncode: int | None = None) -> dict[str, Any]:
    return {"kind": kind, "message": storable(message), "text": storable(text), "returncode": returncode}


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
