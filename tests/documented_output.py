"""What a command said, beside what the page shows: the same, but for what is another each time."""

from __future__ import annotations

import re

_VARIES = re.compile(
    r"""
      (?P<anything>\.\.\.)
    | (?P<rule>={3,}|-{3,}|_{3,})                                 # as long as the terminal is wide
    | (?P<path>/tmp/[^\s:,'")]+)
    | (?P<address>127\.0\.0\.1:\d+)
    | (?P<token>(?<=token=)[\w-]+)
    | (?P<version>\b\d+\.\d+\.\d+\b)
    | (?P<process>(?<=manager\ )\d+|(?<=pid\ )\d+|(?<=PID\ )\d+|(?<=writer\ )\d+)
    | (?P<worker>\bgw\d+\b)
    | (?P<measured>\b\d[\d.,]*(?=\ ?(?:s|ms|us|MB|KB|MiB|KiB|GiB|%)(?!\w)|\ seconds|\ a\ second|\ per\ second))
    | (?P<space>[ ]+)
    """,
    re.VERBOSE,
)
_PATTERNS = {
    "anything": r".*",
    "rule": r"[=_-]{3,}",
    "path": r"/[^\s:,'\")]+",
    "address": r"127\.0\.0\.1:\d+",
    "token": r"[\w-]+",
    "version": r"\d+\.\d+\.\d+\S*",
    "process": r"\d+",
    "worker": r"gw\d+",
    "measured": r"\d[\d.,]*",
    "space": r" +",
}


def is_as_shown(shown: str, said: str) -> bool:
    """Whether they are the same, but for what is another each time.

    That is times, rates, sizes, names of workers, process ids, ports, tokens, versions and paths. A line ``...`` stands
    for any lines or none, and ``...`` within a line for anything in it.
    """
    lines = [r"(?:.*\n)*" if line.strip() == "..." else f"{_pattern(line.rstrip())} *\n" for line in _lines(shown)]
    return re.fullmatch("".join(lines), "".join(f"{line}\n" for line in _lines(said))) is not None


def _lines(text: str) -> list[str]:
    return text.strip("\n").splitlines()


def _pattern(line: str) -> str:
    pattern, end = "", 0
    for varies in _VARIES.finditer(line):
        pattern += re.escape(line[end : varies.start()]) + _PATTERNS[str(varies.lastgroup)]
        end = varies.end()
    return pattern + re.escape(line[end:])
