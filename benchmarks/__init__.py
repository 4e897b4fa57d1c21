"""papertiger-shm beside what one would use instead: the same work, payloads and codec, in one run, as ratios.

``python -m benchmarks`` (or ``tox -e bench``) runs all of it. A measurement never fails: what falls short of its
target is shown, and the exit status stays 0. No part of the package proper may know that this is here.
"""
