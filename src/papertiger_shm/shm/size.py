"""Sizes as people write them, in bytes: nothing else."""

from __future__ import annotations

import re

from ..errors import InvalidRequest

__all__ = ["MIN_SIZE", "parse_size"]

MIN_SIZE = 64 << 10
"""Bytes of the smallest store that is of any use."""

_UNITS = {"": 1, "b": 1}
for _power, _letter in enumerate("kmgt", 1):
    _UNITS[_letter] = _UNITS[_letter + "ib"] = 1 << 10 * _power
    _UNITS[_letter + "b"] = 1000**_power

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", re.IGNORECASE)


def parse_size(size: int | str) -> int:
    """``size`` in bytes, a whole number of pages: an int, or a str such as "64 MiB", "4GiB", "1GB" or "2.5 G".

    Raises InvalidRequest for what is no size, and for one below 64 KiB.
    """
    bytes_ = None
    if isinstance(size, int) and not isinstance(size, bool):
        bytes_ = size
    elif isinstance(size, str) and (match := _SIZE.fullmatch(size)) and match[2].lower() in _UNITS:
        unit = _UNITS[match[2].lower()]
        bytes_ = int(float(match[1]) * unit) if "." in match[1] else int(match[1]) * unit
    if bytes_ is None:
        raise InvalidRequest(
            f"max_size={size!r} is no size: give bytes as an int, or a str such as '64 MiB' or '4 GiB'"
        )
    if not MIN_SIZE <= bytes_ < 1 << 47:
        raise InvalidRequest(f"max_size={size!r} is out of range: from 64 KiB up to 128 TiB can be asked for")
    return -(-bytes_ // 65536) * 65536
