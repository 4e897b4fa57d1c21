"""The same stores for asyncio: reads stay direct, and what may have to wait for another process is awaited.

``connection`` carries requests out one after another, in a thread; ``subscription`` lets a thread wait in place of the
loop; ``thread`` does other work in one, and ``interest`` ends it where nobody wants it any more; ``store``, ``watch``
and ``checkout`` are what an application works with.
"""
