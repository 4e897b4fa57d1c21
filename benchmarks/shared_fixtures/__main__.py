"""``python -m benchmarks.shared_fixtures``: arguments, progress, table. Exit status 0 whatever the cells say."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks.console import console_of, print_machine, progress_on, steps_shown
from benchmarks.machine import describe
from benchmarks.shared_fixtures.contenders import Contender
from benchmarks.shared_fixtures.contenders.filelock_recipe import FILELOCK_RECIPE
from benchmarks.shared_fixtures.contenders.once import ONCE
from benchmarks.shared_fixtures.contenders.papertiger import PAPERTIGER
from benchmarks.shared_fixtures.contenders.parallex import PARALLEX
from benchmarks.shared_fixtures.contenders.plain import PLAIN
from benchmarks.shared_fixtures.contenders.rate_limit import RATE_LIMIT
from benchmarks.shared_fixtures.contenders.shared_session_scope import SHARED_SESSION_SCOPE
from benchmarks.shared_fixtures.report import as_data, as_markdown, machine_of, print_table, put_into
from benchmarks.shared_fixtures.table import Scale, tried

CONTENDERS: dict[str, Contender] = {
    "papertiger": PAPERTIGER,
    "recipe": FILELOCK_RECIPE,
    "shared-session-scope": SHARED_SESSION_SCOPE,
    "once": ONCE,
    "parallex": PARALLEX,
    "rate-limit": RATE_LIMIT,
}
QUICK = Scale(repeats=1, rounds=3)


def main() -> None:
    options = arguments()
    console = console_of()
    contenders = [CONTENDERS[name] for name in options.peers]
    with progress_on(console) as progress:
        table = tried(contenders, PLAIN, QUICK if options.quick else Scale(), steps_shown(progress, console))
    machine = machine_of(describe(), table)
    print_table(console, table)
    print_machine(console, machine)
    if options.json:
        options.json.write_text(json.dumps(as_data(table, machine), indent=2) + "\n", encoding="utf-8")
    if options.markdown:
        put_into(options.markdown, as_markdown(table, machine))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.shared_fixtures", description="The pytest plugin beside its peers."
    )
    names = ", ".join(CONTENDERS)
    parser.add_argument(
        "--peers",
        nargs="+",
        choices=CONTENDERS,
        default=list(CONTENDERS),
        metavar="NAME",
        help=f"only these: {names}",
    )
    parser.add_argument("--quick", action="store_true", help="everything once, and three rounds of the measured row")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every count to FILE")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="write the table to FILE, in place of an earlier one there"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
