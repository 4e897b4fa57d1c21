"""As pytest-xdist's documentation advises: the first worker makes the catalogue, the others read it from a file.

What it leaves open: nobody removes the catalogue, since nobody knows that he is the last; a catalogue that cannot be
made is tried again by every worker; and what is handed out is one object to all tests of a worker.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from filelock import FileLock

sys.path.insert(0, str(Path(__file__).parent.parent))

from catalogue import make


@pytest.fixture(scope="session")
def catalogue(tmp_path_factory, worker_id):
    if worker_id == "master":
        return make(tmp_path_factory.mktemp("shop") / "catalogue")
    shared = tmp_path_factory.getbasetemp().parent
    file = shared / "catalogue.json"
    with FileLock(f"{file}.lock"):
        if file.is_file():
            return json.loads(file.read_text())
        made = make(shared / "catalogue")
        file.write_text(json.dumps(made))
    return made
