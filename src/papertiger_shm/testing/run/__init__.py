"""What the workers of a test run share: counters, locks, barriers, queues, dicts, and what happens once.

Nothing but names to import lives here.
"""

from __future__ import annotations

from papertiger_shm.testing.run.run import Run

__all__ = ["Run"]
