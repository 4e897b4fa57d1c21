"""Items to msgpack bytes and back, and the keys under which indexed values are found.

Everything there is to say about what an item may hold is said here. Two codecs write and read the same bytes:
``MSGPACK`` needs nothing but the msgpack package, ``MSGSPEC`` is there where msgspec is installed and faster.
Encoding first tries a short way that takes only items which are exactly what the format holds; whatever it does
not take goes the long way, which brings subclasses, tuples and datetimes to the base types or names the path to
the value that cannot be stored. Both codecs share the look that decides between the two, and the long way.

No store, no backend and no I/O ever enters this room.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from enum import Enum
from hashlib import blake2b
from math import isnan
from typing import Any, Final

import msgpack

from papertiger_shm.errors import CorruptSegment, InvalidItem, InvalidRequest

try:
    import msgspec
except ImportError:
    _HAS_MSGSPEC = False
else:
    _HAS_MSGSPEC = True

__all__ = [
    "CODEC_VARIABLE",
    "MAX_DEPTH",
    "MAX_ID",
    "MAX_ITEM",
    "MISSING",
    "MSGPACK",
    "MSGSPEC",
    "Codec",
    "Missing",
    "decode",
    "encode",
    "encode_plain",
    "field_value",
    "identity",
    "index_key",
    "not_an_item",
    "pack",
    "select",
    "shown",
    "unpack",
]

MAX_ITEM: Final = 16 * 1024 * 1024
"""Bytes an item may take once encoded."""

MAX_DEPTH: Final = 200
"""Levels of dicts and lists an item may have, the item itself being the first."""

MAX_ID: Final = 255
"""Bytes in UTF-8 of an item's "id"."""

CODEC_VARIABLE: Final = "PAPERTIGER_CODEC"
"""Environment variable, read once at import: ``msgpack`` or ``msgspec`` forces that codec."""

_INT64_MIN: Final = -(2**63)
_INT64_MAX: Final = 2**63 - 1
_UINT64_MAX: Final = 2**64 - 1
_LONG_KEY: Final = 255
_LARGE: Final = 256 * 1024
_SCALARS: Final = frozenset({type(None), bool, int, float, str, bytes})


class Missing(Enum):
    """The one value ``field_value`` gives for a field that is not there; ``None`` is a value like any other."""

    MISSING = "missing"

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing.MISSING


class Codec:
    """One way to do the work. Safe to share between threads and across fork.

    ``name``: ``"msgpack"`` or ``"msgspec"``.
    ``encode(item)``: the item as bytes; raises ``InvalidItem`` naming the path to the value at fault.
    ``encode_plain(item)``: the same where no value has to change to be stored, else None (the item may still
    be storable, or not: ``encode`` tells).
    ``decode(payload)``: the item, always a fresh object; raises ``CorruptSegment`` for bytes no codec writes.
    ``pack(value)``, ``unpack(data)``: plain msgpack for messages; ``unpack`` raises ``ValueError``.
    """

    __slots__ = ("decode", "encode_plain", "name", "pack", "unpack")

    def __init__(
        self,
        name: str,
        encode_plain: Callable[[Any], bytes | None],
        decode: Callable[[bytes], dict[str, Any]],
        pack: Callable[[Any], bytes],
        unpack: Callable[[Any], Any],
    ) -> None:
        self.name = name
        self.encode_plain = encode_plain
        self.decode = decode
        self.pack = pack
        self.unpack = unpack

    def encode(self, item: Any) -> bytes:
        """The item as msgpack; raises ``InvalidItem``."""
        payload = self.encode_plain(item)
        return _encode_normalised(item) if payload is None else payload

    def __repr__(self) -> str:
        return f"<Codec {self.name}>"


# ---- the short way: items that are exactly what the format holds ------------------------------------------------


def _refuse(value: Any) -> Any:
    raise TypeError(type(value))


class _Packers(threading.local):
    """A Packer writes into a buffer of its own, so each thread has one; making one for each item costs more."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        self.strict: Callable[[Any], bytes] = msgpack.Packer(strict_types=True, default=_refuse).pack
        self.loose: Callable[[Any], bytes] = msgpack.Packer().pack


_packers = _Packers()


def _is_plain(item: dict[Any, Any]) -> bool:
    """Whether keys, values and depth are such that the bytes give back this very item.

    Goes level by level, so that depth costs nothing. The caller has packed the item, which bounds the work.
    """
    level: list[Any] = [item]
    for _ in range(MAX_DEPTH):
        below = []
        for container in level:
            values = container
            if type(container) is dict:
                for key in container:
                    if type(key) is not str:
                        return False
                values = container.values()
            for value in values:
                kind = type(value)
                if kind not in _SCALARS:
                    if kind is not dict and kind is not list:
                        return False
                    below.append(value)
        if not below:
            return True
        level = below
    return False


def _within_size(payload: bytes) -> bytes:
    """The payload, unless it is too large; a thread that packed something large lets go of the buffer it took."""
    _packers.renew()
    if len(payload) > MAX_ITEM:
        raise _too_large(len(payload))
    return payload


def _too_large(size: int | None) -> InvalidItem:
    found = "more than 16 MiB" if size is None else f"{size:,} bytes"
    return InvalidItem(
        f"item: encodes to {found}, and an item may take {MAX_ITEM:,} bytes (16 MiB); "
        "split it, or keep large contents in a file and store its path"
    )


def _msgpack_encode_plain(item: Any) -> bytes | None:
    if type(item) is not dict:
        return None
    try:
        payload = _packers.strict(item)
    except Exception:
        return None
    if len(payload) > _LARGE:
        payload = _within_size(payload)
    return payload if _is_plain(item) else None


# ---- decoding ---------------------------------------------------------------------------------------------------


def _corrupt(problem: Exception) -> CorruptSegment:
    return CorruptSegment(
        f"a stored item could not be decoded, it is not msgpack as this package writes it ({problem}); "
        "run 'papertiger-shm check' on the store"
    )


def _msgpack_decode(payload: bytes) -> dict[str, Any]:
    try:
        item: dict[str, Any] = msgpack.unpackb(payload, timestamp=3)
    except (ValueError, OverflowError, TypeError, msgpack.UnpackException) as problem:
        raise _corrupt(problem) from problem
    return item


def _msgpack_pack(value: Any) -> bytes:
    data = _packers.loose(value)
    if len(data) > _LARGE:
        _packers.renew()
    return data


def _msgpack_unpack(data: Any) -> Any:
    try:
        return msgpack.unpackb(data, strict_map_key=False)
    except (ValueError, OverflowError, TypeError, msgpack.UnpackException) as problem:
        raise ValueError(f"the message is not msgpack: {problem}") from problem


MSGPACK: Final = Codec("msgpack", _msgpack_encode_plain, _msgpack_decode, _msgpack_pack, _msgpack_unpack)
"""The codec that is always there."""


# ---- the same with msgspec --------------------------------------------------------------------------------------


def _msgspec_codec() -> Codec:
    written = msgspec.msgpack.Encoder().encode
    decoded = msgspec.msgpack.Decoder().decode

    def encode_plain(item: Any) -> bytes | None:
        if type(item) is not dict:
            return None
        try:
            # Written first, looked at after: msgspec writes much that no item may hold, but it gives up on an
            # item that holds itself, which the look would follow for ever.
            payload = written(item)
        except RecursionError:  # too deep, or the caller is deep down; the other codec needs no stack
            return _msgpack_encode_plain(item)
        except Exception:
            return None
        if len(payload) > MAX_ITEM:
            raise _too_large(len(payload))
        return payload if _is_plain(item) else None

    def decode(payload: bytes) -> dict[str, Any]:
        try:
            item: dict[str, Any] = decoded(payload)
        except RecursionError:  # the caller is deep down; the other codec needs no stack
            return _msgpack_decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError) as problem:
            raise _corrupt(problem) from problem
        return item

    def unpack(data: Any) -> Any:
        try:
            return decoded(data)
        except RecursionError:
            return _msgpack_unpack(data)
        except (msgspec.DecodeError, UnicodeDecodeError, TypeError) as problem:
            raise ValueError(f"the message is not msgpack: {problem}") from problem

    return Codec("msgspec", encode_plain, decode, written, unpack)


MSGSPEC: Final[Codec | None] = _msgspec_codec() if _HAS_MSGSPEC else None
"""The faster codec, or None where msgspec is not installed."""


# ---- the long way: normalise, or name the culprit ---------------------------------------------------------------

_EPOCH_ORDINAL: Final = datetime(1970, 1, 1).toordinal()
_DAY: Final = 86_400
_FIRST_SECOND: Final = (datetime.min.toordinal() - _EPOCH_ORDINAL) * _DAY
_LAST_SECOND: Final = (datetime.max.toordinal() - _EPOCH_ORDINAL + 1) * _DAY - 1
_MICROSECOND: Final = timedelta(microseconds=1)

_REMEDIES: Final = {
    "bytearray": "store bytes(value)",
    "memoryview": "store bytes(value)",
    "set": "store a list",
    "frozenset": "store a list",
    "Decimal": "store str(value), or the amount in the smallest unit as an int",
    "Fraction": "store str(value)",
    "UUID": "store str(value) or value.bytes",
    "date": "store value.isoformat(), or an aware datetime",
    "time": "store value.isoformat()",
    "timedelta": "store value.total_seconds()",
    "complex": "store [value.real, value.imag]",
    "ExtType": "store its bytes",
    "Timestamp": "store value.to_datetime()",
    "generator": "store a list",
    "PosixPath": "store str(value)",
    "WindowsPath": "store str(value)",
}


class _Path:
    """Where a value is, written out only when it has to be named."""

    __slots__ = ("above", "step")

    def __init__(self, above: _Path | None, step: object) -> None:
        self.above = above
        self.step = step

    def __str__(self) -> str:
        steps: list[object] = []
        path: _Path | None = self
        while path is not None:
            steps.append(path.step)
            path = path.above
        text = "".join(_step_text(step) for step in reversed(steps)).removeprefix(".")
        return text if len(text) <= 300 else f"{text[:150]}...{text[-100:]}"


def _step_text(step: object) -> str:
    if type(step) is str and step.isidentifier():
        return f".{step}"
    return f"[{shown(step)}]"


def shown(value: object) -> str:
    """A repr that fits a message and can be printed anywhere."""
    if isinstance(value, int) and value.bit_length() > 256:
        return f"an int of {value.bit_length():,} bits"
    try:
        text = ascii(value)
    except Exception:
        return f"a {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:60]}..."


class _Normaliser:
    """One walk over one item; counts values, as each takes at least a byte."""

    __slots__ = ("values",)

    def __init__(self) -> None:
        self.values = 0

    def value(self, value: Any, path: _Path | None, depth: int) -> Any:
        self.values += 1
        if self.values > MAX_ITEM:
            raise _too_large(None)
        if isinstance(value, dict):
            return self.mapping(value, path, depth + 1)
        if isinstance(value, (list, tuple)):
            if isinstance(value, msgpack.ExtType):
                raise _unstorable(value, path)
            return self.sequence(value, path, depth + 1)
        return _scalar(value, path)

    def mapping(self, mapping: dict[Any, Any], path: _Path | None, depth: int) -> dict[str, Any]:
        _check_depth(path, depth)
        normal: dict[str, Any] = {}
        for key, value in mapping.items():
            here = _Path(path, key)
            name = _key(key, path, here)
            if name in normal:
                raise InvalidItem(f"{here}: two keys of the same dict both read {shown(name)}; keep one of them")
            normal[name] = self.value(value, here, depth)
        return normal

    def sequence(self, sequence: Any, path: _Path | None, depth: int) -> list[Any]:
        _check_depth(path, depth)
        return [self.value(value, _Path(path, place), depth) for place, value in enumerate(sequence)]


def _check_depth(path: _Path | None, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise InvalidItem(
            f"{path}: nested more than {MAX_DEPTH} levels deep (or the item holds itself); flatten the item"
        )


def _key(key: Any, path: _Path | None, here: _Path) -> str:
    if not isinstance(key, str):
        owner = "item" if path is None else str(path)
        raise InvalidItem(
            f"{owner}: the key {shown(key)} is of type {type(key).__name__}, and keys are strings; "
            f"use {shown(str(key)) if isinstance(key, (int, float)) else 'a str'} instead"
        )
    return _text(key, here, "the key")


def _text(value: str, path: _Path | None, what: str = "the string") -> str:
    text = str.__str__(value)
    try:
        text.encode()
    except UnicodeEncodeError as problem:
        raise InvalidItem(
            f"{path}: {what} holds the surrogate {text[problem.start]!a}, which UTF-8 cannot write; store bytes, "
            "or text decoded with errors='replace'"
        ) from None
    return text


def _scalar(value: Any, path: _Path | None) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value, path)
    if isinstance(value, int):
        number = int.__int__(value)
        if not _INT64_MIN <= number <= _UINT64_MAX:
            raise InvalidItem(f"{path}: {shown(number)} does not fit 64 bits; store it as a str")
        return number
    if isinstance(value, float):
        return float.__pos__(value)
    if isinstance(value, bytes):
        return bytes.__getitem__(value, slice(None))
    if isinstance(value, datetime):
        return _instant(value, path)
    raise _unstorable(value, path)


def _instant(value: datetime, path: _Path | None) -> msgpack.Timestamp:
    offset = value.utcoffset()
    if offset is None:
        raise InvalidItem(
            f"{path}: the datetime {shown(value.isoformat())} has no time zone; "
            "give it one, as value.replace(tzinfo=timezone.utc)"
        )
    days = value.toordinal() - _EPOCH_ORDINAL
    seconds = days * _DAY + value.hour * 3600 + value.minute * 60 + value.second
    instant = seconds * 1_000_000 + value.microsecond - offset // _MICROSECOND
    second, microsecond = divmod(instant, 1_000_000)
    if not _FIRST_SECOND <= second <= _LAST_SECOND:
        raise InvalidItem(
            f"{path}: the datetime {shown(value.isoformat())} is outside the years 1 to 9999 in UTC; "
            "store value.isoformat()"
        )
    return msgpack.Timestamp(second, microsecond * 1000)


def _unstorable(value: Any, path: _Path | None) -> InvalidItem:
    kind = type(value).__name__
    allowed = "store None, bool, int, float, str, bytes, list, tuple, dict or an aware datetime"
    remedy = "store value.value" if isinstance(value, Enum) else _REMEDIES.get(kind, allowed)
    return InvalidItem(f"{path}: a value of type {kind} cannot be stored; {remedy}")


def _encode_normalised(item: Any) -> bytes:
    if not isinstance(item, dict):
        raise not_an_item(item)
    try:
        normal = _Normaliser().value(item, None, 0)
        payload = _packers.strict(normal)
    except RecursionError:
        raise InvalidItem(
            "item: too deeply nested for the stack the caller has left; flatten the item, or store it from "
            "fewer calls deep"
        ) from None
    except InvalidItem:
        raise
    except (ValueError, MemoryError):  # a string beyond 4 GiB, or a buffer beyond what the Packer holds
        raise _too_large(None) from None
    return _within_size(payload) if len(payload) > _LARGE else payload


# ---- what the store asks about an item --------------------------------------------------------------------------


def not_an_item(value: object) -> InvalidItem:
    """The error that says so of a value that is no dict."""
    return InvalidItem(
        f"item: an item is a dict with string keys, not {type(value).__name__} ({shown(value)}); "
        "put the value under a key"
    )


def identity(item: dict[str, Any]) -> tuple[str, int]:
    """The item's ("id", "created"), as plain str and int.

    Raises ``InvalidItem`` where "id" is no str of 1 to 255 bytes in UTF-8, or "created" no int of 64 bits, signed.
    """
    key = item.get("id")
    if not isinstance(key, str):
        found = f"{shown(key)} of type {type(key).__name__}" if "id" in item else "missing"
        raise InvalidItem(f"id: {found}; an id is a str of 1 to {MAX_ID} bytes in UTF-8")
    if type(key) is not str or not key.isascii():
        key = _text(key, _Path(None, "id"))
        size = len(key.encode())
    else:
        size = len(key)
    if not 1 <= size <= MAX_ID:
        raise InvalidItem(f"id: {shown(key)} takes {size} bytes in UTF-8; an id takes 1 to {MAX_ID}")
    created = item.get("created")
    if type(created) is not int:
        if not isinstance(created, int) or isinstance(created, bool):
            found = f"{shown(created)} of type {type(created).__name__}" if "created" in item else "missing"
            raise InvalidItem(f"created: {found}; it is a whole number of seconds since 1970, as int(time.time())")
        created = int.__int__(created)
    if not _INT64_MIN <= created <= _INT64_MAX:
        raise InvalidItem(f"created: {shown(created)} does not fit 64 bits, signed; it is seconds since 1970")
    return key, created


def field_value(item: Any, dotted: str) -> Any:
    """The value at a dotted path such as ``"metadata.plan"``, or ``MISSING``. Goes into dicts only."""
    if "." not in dotted:
        return item.get(dotted, MISSING)
    value = item
    for step in dotted.split("."):
        if not isinstance(value, dict):
            return MISSING
        value = value.get(step, MISSING)
    return value


_LONG_MARK: Final = b"\xc1"  # the one byte msgpack never uses


def index_key(field: str, value: Any) -> bytes:
    """The bytes under which items with ``value`` in the indexed ``field`` are found: the field, a zero byte, and
    at most 255 bytes for the value, of which a longer one is told by its digest.

    Two values have the same key where Python's ``==`` holds between them: ``True``, ``1`` and ``1.0``; two
    datetimes of one instant. All NaN have one key. Raises ``InvalidItem``, its message starting with the
    field, for what cannot be looked up: dict, list, tuple, and values no item can hold.
    """
    if type(value) is not str:
        value = _canonical(field, value)
    try:
        encoded = _packers.strict(value)
    except UnicodeEncodeError:
        _text(value, _dotted(field))
        raise
    if len(encoded) > _LONG_KEY:
        encoded = _LONG_MARK + blake2b(encoded, digest_size=32).digest()
    return field.encode() + b"\0" + encoded


def _canonical(field: str, value: Any) -> Any:
    path = _dotted(field)
    if isinstance(value, (dict, list, tuple)):
        raise InvalidItem(
            f"{field}: the field is indexed, and a {type(value).__name__} cannot be looked up; "
            "use None, bool, int, float, str, bytes or an aware datetime"
        )
    scalar = _scalar(value, path)
    if isinstance(scalar, bool):
        return int(scalar)
    if isinstance(scalar, float):
        if isnan(scalar):
            return float("nan")
        if scalar.is_integer() and _INT64_MIN <= scalar <= _UINT64_MAX:
            return int(scalar)
    return scalar


def _dotted(field: str) -> _Path:
    path: _Path | None = None
    for step in field.split("."):
        path = _Path(path, step)
    assert path is not None
    return path


# ---- the codec in use -------------------------------------------------------------------------------------------


def select(name: str | None) -> Codec:
    """The codec called ``"msgpack"`` or ``"msgspec"``; the faster one there is for None or ``""``.

    Raises ``InvalidRequest`` for another name, or where that codec's package is not installed.
    """
    if not name:
        return MSGSPEC or MSGPACK
    if name == "msgpack":
        return MSGPACK
    if name != "msgspec":
        raise InvalidRequest(
            f"${CODEC_VARIABLE} is {shown(name)}, which is no codec; set it to msgpack or msgspec, or unset it"
        )
    if MSGSPEC is None:
        raise InvalidRequest(
            f"${CODEC_VARIABLE} asks for msgspec, which is not installed; "
            "pip install 'papertiger-shm[fast]', or unset the variable"
        )
    return MSGSPEC


_codec: Final = select(os.environ.get(CODEC_VARIABLE))

encode: Final[Callable[[Any], bytes]] = _codec.encode
encode_plain: Final[Callable[[Any], bytes | None]] = _codec.encode_plain
decode: Final[Callable[[bytes], dict[str, Any]]] = _codec.decode
pack: Final[Callable[[Any], bytes]] = _codec.pack
unpack: Final[Callable[[Any], Any]] = _codec.unpack
