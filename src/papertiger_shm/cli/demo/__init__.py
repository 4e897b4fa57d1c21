"""``papertiger-shm demo``: the main job, to look at. Several processes read one store while all of them write to it.

``run`` directs, ``worker`` is what each process does, ``books`` knows what must be true, ``proof`` judges, ``view``
shows. Nothing in here uses what a program of the user's could not use. Nothing is imported with the package itself,
so that a worker does not carry what only its parent needs.
"""
