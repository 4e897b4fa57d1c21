"""The same with a shared fixture: made once, removed once, whatever dies; every test has a fresh copy.

With and without workers it is the same three lines, so that nothing has to be asked about the worker.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from catalogue import make, remove

from papertiger_shm.testing import shared_fixture


@shared_fixture(reap=remove)
def catalogue(tmp_path_factory):
    made = make(tmp_path_factory.mktemp("shop") / "catalogue")
    yield made
    remove(made)
