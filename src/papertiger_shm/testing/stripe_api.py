"""Stripe's endpoints for a test, and the installed ``stripe`` package pointed at them and back.

How requests are answered is the business of ``papertiger_shm.http``; which test runs, and on which namespace, is that
of ``worker``. Neither enters here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from stripe import StripeClient

__all__ = ["API_KEY", "StripeApi", "pointed_at"]

API_KEY: Final = "sk_test_papertiger"


class StripeApi:
    """Where a test's Stripe endpoints are. ``url``: the base of all paths; ``namespace``: the one that they read."""

    def __init__(self, url: str, namespace: str) -> None:
        self.url = url
        self.namespace = namespace
        self.api_key = API_KEY

    def client(self, **options: Any) -> StripeClient:
        """A ``stripe.StripeClient`` of these endpoints; ``options`` are those of its class, as ``stripe_account``."""
        from stripe import StripeClient

        addresses: Any = {"api": self.url}
        return StripeClient(**{"api_key": self.api_key, "base_addresses": addresses, **options})

    def __repr__(self) -> str:
        return f"<StripeApi {self.url} namespace={self.namespace}>"


@contextmanager
def pointed_at(api: StripeApi) -> Iterator[None]:
    """``stripe`` with its address and key set to these, and to what they were before at the end.

    Its HTTP client is a new one, since the one before may be tied to an event loop that is closed by now.
    """
    if find_spec("stripe") is None:  # other clients take the address from the handle
        yield
        return
    import stripe

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stripe, "api_base", api.url)
        patch.setattr(stripe, "api_key", api.api_key)
        patch.setattr(stripe, "default_http_client", None)
        for variable in ("NO_PROXY", "no_proxy"):  # a proxy does not know what is on this machine
            patch.setenv(variable, ",".join(filter(None, [os.environ.get(variable), "127.0.0.1"])))
        try:
            yield
        finally:
            client: Any = stripe.default_http_client
            if client is not None:
                client.close()
