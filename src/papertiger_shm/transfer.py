"""Items to files and back: JSON Lines and msgpack.

It is handed encoded items to write, or functions that prepare items and put them in; no store and no backend
enters this room. JSON has no bytes, datetimes, NaN or infinities, so they are written as objects with one key, as
``{"$bytes": "aGk="}``, ``{"$datetime": "2026-01-01T00:00:00+00:00"}`` and ``{"$float": "nan"}``; an item's own
dict that looks like one of these is wrapped once more, as ``{"$dict": {...}}``.
"""

from __future__ import annotations

import json
import math
import os
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from typing import Any, BinaryIO, Final

import msgpack

from papertiger_shm import codec
from papertiger_shm.backend import Put
from papertiger_shm.errors import InvalidItem, InvalidRequest, PaperTigerError

__all__ = ["dump", "json_line", "load"]

Progress = Callable[[int, int], object]

MAX_BATCH_ITEMS: Final = 1000
MAX_BATCH_BYTES: Final = 4 * 1024 * 1024
_REPORT_EVERY: Final = 1000
_READ: Final = 1024 * 1024


def dump(
    path: str | os.PathLike[str],
    newest_first: list[bytes],
    progress: Progress | None,
    replace: Callable[[str, str], object] = os.replace,
) -> int:
    """Write encoded items, oldest first; the file appears under its name, by ``replace``, once it is complete."""
    suffix = _suffix("dump", path)
    final = os.path.realpath(path)
    # Next to its final place, since only there a rename is one step; not a 0600 file as tempfile makes them.
    partial = f"{final}.{os.getpid()}.{os.urandom(4).hex()}.partial"
    try:
        with open(partial, "xb") as file:
            total = len(newest_first)
            for done, payload in enumerate(reversed(newest_first), 1):
                file.write(payload if suffix == ".msgpack" else json_line(codec.decode(payload)) + b"\n")
                if progress is not None and (done % _REPORT_EVERY == 0 or done == total):
                    progress(done, total)
            file.flush()
            os.fsync(file.fileno())
        replace(partial, final)
    except BaseException:
        if os.path.lexists(partial):
            os.unlink(partial)
        raise
    return total


def load(
    path: str | os.PathLike[str],
    prepare: Callable[[Any], Put],
    commit: Callable[[list[Put]], object],
    progress: Progress | None,
) -> int:
    """Hand the items of a file, prepared one by one, to ``commit`` in batches; gives their number."""
    suffix = _suffix("load", path)
    name = os.fspath(path)
    loaded = 0
    with open(path, "rb") as file:
        total = os.fstat(file.fileno()).st_size
        read = _msgpack_items(file, total) if suffix == ".msgpack" else _json_items(file)
        try:
            for batch, done in _batches(read, prepare):
                commit(batch)
                loaded += len(batch)
                if progress is not None:
                    progress(done, total)
        except _BadInput as problem:
            raise InvalidItem(f"{name}, {problem}; {_went_in(loaded)}") from None
        except PaperTigerError as problem:
            problem.args = (f"{problem} (load of {name}: {_went_in(loaded)})",)
            raise
    return loaded


def _went_in(loaded: int) -> str:
    return f"{loaded:,} items went in before it, so mend the file and load it again, which replaces those"


def _suffix(call: str, path: str | os.PathLike[str]) -> str:
    name = os.fspath(path)
    suffix = os.path.splitext(os.fsdecode(name))[1].lower()
    if suffix not in {".jsonl", ".msgpack"}:
        raise InvalidRequest(f"{call}: {name!r} has no suffix that says how to write it; use .jsonl or .msgpack")
    return suffix


class _BadInput(Exception):
    """Says where in the file, and what is wrong there."""


def _batches(read: Iterator[tuple[str, Any, int]], prepare: Callable[[Any], Put]) -> Iterator[tuple[list[Put], int]]:
    """Batches of prepared items, each with the bytes of the file read so far."""
    batch: list[Put] = []
    size = done = 0
    for place, item, done in read:
        try:
            put = prepare(item)
        except InvalidItem as problem:
            raise _BadInput(f"{place}: {problem}") from None
        batch.append(put)
        size += len(put.payload)
        if len(batch) >= MAX_BATCH_ITEMS or size >= MAX_BATCH_BYTES:
            yield batch, done
            batch, size = [], 0
    if batch:
        yield batch, done


# ---- msgpack ----------------------------------------------------------------------------------------------------


def _msgpack_items(file: BinaryIO, total: int) -> Iterator[tuple[str, Any, int]]:
    unpacker = msgpack.Unpacker(file, read_size=_READ, timestamp=3, max_buffer_size=0)
    number = done = 0
    while done < total:
        number += 1
        try:
            item = unpacker.unpack()
        except Exception as problem:  # whatever bytes can do to an unpacker
            cut = isinstance(problem, msgpack.OutOfData)
            what = "the file ends in the middle of an item" if cut else f"not msgpack ({type(problem).__name__})"
            raise _BadInput(f"item {number} at byte {done:,}: {what}") from None
        done = unpacker.tell()
        yield f"item {number}", item, done


# ---- JSON Lines -------------------------------------------------------------------------------------------------

_encoder: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _json_items(file: BinaryIO) -> Iterator[tuple[str, Any, int]]:
    done = 0
    for number, line in enumerate(file, 1):
        done += len(line)
        if not line.strip():
            continue
        try:
            item = json.loads(line.decode())
            if b"$" in line or b"\\u" in line:
                item = _untagged(item)
        except RecursionError:
            raise _BadInput(
                f"line {number}: nested more than {codec.MAX_DEPTH} levels deep; flatten the item"
            ) from None
        except (ValueError, OverflowError) as problem:  # the latter of a moment outside the years 1 to 9999
            raise _BadInput(f"line {number}: {problem}") from None
        yield f"line {number}", item, done


def json_line(item: dict[str, Any]) -> bytes:
    """The item as JSON on one line, in UTF-8, without the line's end; what JSON does not have is written as objects."""
    try:
        text = _encoder.encode(item)
        if '{"$' in text:
            raise ValueError
    except (TypeError, ValueError):
        text = _encoder.encode(_tagged(item))
    return text.encode()


def _tagged(value: Any) -> Any:
    if isinstance(value, dict):
        plain = {key: _tagged(inner) for key, inner in value.items()}
        return {"$dict": plain} if _looks_tagged(plain) else plain
    if isinstance(value, list):
        return [_tagged(inner) for inner in value]
    if isinstance(value, bytes):
        return {"$bytes": b64encode(value).decode()}
    if isinstance(value, datetime):
        return {"$datetime": value.astimezone(timezone.utc).isoformat()}
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": repr(value)}
    return value


def _untagged(value: Any) -> Any:
    if isinstance(value, list):
        return [_untagged(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    if not _looks_tagged(value):
        return {key: _untagged(inner) for key, inner in value.items()}
    ((tag, inner),) = value.items()
    if tag == "$dict" and isinstance(inner, dict):
        return {key: _untagged(below) for key, below in inner.items()}
    if isinstance(inner, str):
        if tag == "$bytes":
            return b64decode(inner, validate=True)
        if tag == "$datetime":
            return _moment(inner)
        if tag == "$float":
            return float(inner)
    raise ValueError(f"{tag} does not hold what it should, found {ascii(inner)[:60]}")


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"$datetime {text!r} has no time zone; write one as +00:00")
    return moment.astimezone(timezone.utc)


_TAGS: Final = frozenset({"$bytes", "$datetime", "$float", "$dict"})


def _looks_tagged(value: dict[str, Any]) -> bool:
    return len(value) == 1 and not _TAGS.isdisjoint(value)
