"""The same stores for asyncio: reads stay direct, and what may have to wait for another process is awaited.

``connection`` carries requests out one after another, in a thread; ``subscription`` lets a thread wait in place of the
loop; ``interest`` ends a thread's work that nobody wants any more; ``store``, ``watch`` and ``checkout`` are what an
application works with.
"""
