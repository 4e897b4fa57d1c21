"""``python -m papertiger_shm``: the command line, for when its script is not on PATH. Nothing else."""

from __future__ import annotations

from papertiger_shm.cli import main

if __name__ == "__main__":
    main()
