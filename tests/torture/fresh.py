"""Where a fresh interpreter finds the books and the rest of this package, besides what this one was told to search."""

from __future__ import annotations

import os
from pathlib import Path

PYTHONPATH = os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")]))
