"""The pytest plugin beside what one would use instead: the same small suites, in real pytest runs, judged from logs.

``python -m benchmarks.shared_fixtures`` (or ``tox run -e fixtures``, which installs the peers) tries every row of the
table with every contender. A cell says what was seen to happen in this run of the script, and nothing else.
"""
