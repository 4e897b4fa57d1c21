"""The ``shm://`` backend: one manager process that writes a shared segment, and clients that read it directly.

This room owns processes, sockets, files and shared memory. It knows nothing of stores or items: payloads are opaque
bytes here, but for the one number that an increment changes.
"""
