"""The resources of Stripe's API, each a store: ``Charges``, ``Customers``, ... A declaration is a few lines.

They live with their like: ``payments``, ``methods``, ``billing``, ``catalogue``, ``balance``, ``delivery``; what they
are looked up by, in ``finders``; all of them on one namespace, in ``checkout``.
"""
