"""What is measured: a file for each kind of work, which says what one round does and what is asked of the medians.

How rounds are taken, and how results look, never enters here. A target is written once, beside what it is about.
"""
