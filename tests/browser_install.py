"""What `tox -e browser` runs first: sees that Chromium is there, and installs Debian's where it is not.

Only in CI and for root, who has said so, or need not ask: anybody else is told what to install.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

PROGRAMS = ("chromium", "chromedriver")
PACKAGES = ("chromium", "chromium-driver")


def main() -> str | None:
    """What is to be said on the way out, with exit status 1; None where both programs are there."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if not missing:
        return None
    remedy = f"apt-get install {' '.join(PACKAGES)}"
    if "CI" not in os.environ and os.geteuid() != 0:
        return (
            f"{' and '.join(missing)} not found: install Debian's packages, {remedy}, or what your system has for them"
        )
    if shutil.which("apt-get") is None:
        return f"{' and '.join(missing)} not found, and no apt-get to install them with: provide both on PATH"
    as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update"], ["install", "-y", "--no-install-recommends", *PACKAGES]):
        done = subprocess.run([*as_root, "apt-get", "-q", *words], env=environment, check=False)
        if done.returncode != 0:
            return f"apt-get {words[0]} failed with status {done.returncode}; by hand: {remedy}"
    return None


if __name__ == "__main__":
    sys.exit(main())
