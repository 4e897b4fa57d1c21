"""Where a run's store is, and by what name the run is known: said by the options, the environment, or the controller.

Looked up once, when pytest is configured; nothing is connected to here.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from typing import Any, Final

import pytest

from papertiger_shm.testing.naming import store_url

__all__ = ["NAMESPACE_VARIABLE", "RUN_VARIABLE", "URL_VARIABLE", "Address", "address_of"]

NAMESPACE_VARIABLE: Final = "PAPERTIGER_NAMESPACE"
URL_VARIABLE: Final = "PAPERTIGER_URL"
RUN_VARIABLE: Final = "PAPERTIGER_RUN"
"""Set by a run for the processes that its tests start; a run within a run knows by it that the URL is not for it."""

_URL: Final = "papertiger_url"
_RUN: Final = "papertiger_run"


@dataclass(frozen=True)
class Address:
    """One run, as one of its processes sees it."""

    url: str
    run_id: str
    party: str
    """What the names of this run's workers begin with, where other pytest runs may share the run's id; else empty."""
    own: bool
    """Whether the store is the run's own, to be started and removed with it."""
    in_worker: bool
    """Whether this is a process that pytest-xdist started."""
    controlled: bool
    """Whether the controller has this plugin, and tells of the workers that die."""
    controller: str | None = None
    """The controller's lease, by which others can tell that it lives, where it has taken one."""

    @property
    def prefix(self) -> str:
        """What the namespaces of tests begin with: in a store that is not the run's own, other runs may be too."""
        return "" if self.own else f"{self.run_id}/"

    @property
    def shown(self) -> str:
        """The URL for people; of a server's, which may have a password in it, only the scheme."""
        scheme = self.url.partition("://")[0]
        return self.url if scheme == "shm" else f"{scheme}://..."

    def handed_over(self, controller: str | None) -> dict[str, str]:
        """For a worker, as plain text."""
        return {
            _URL: self.url,
            _RUN: self.run_id,
            "papertiger_party": self.party,
            "papertiger_own": "1" if self.own else "",
            "papertiger_controller": controller or "",
        }


def address_of(config: pytest.Config) -> Address:
    """The address for this process."""
    given: dict[str, Any] | None = getattr(config, "workerinput", None)
    if given is not None and _URL in given:
        return Address(
            given[_URL],
            given[_RUN],
            given["papertiger_party"],
            own=bool(given["papertiger_own"]),
            in_worker=True,
            controlled=True,
            controller=given["papertiger_controller"] or None,
        )
    asked = config.getoption(_URL) or _url_from_environment()
    fresh: str = secrets.token_hex(6) if given is None else given["testrunuid"][:12]
    run_id = config.getoption(_RUN)
    party = "" if run_id is None or asked is None else f"{fresh[:6]}."
    run_id = fresh if run_id is None else run_id
    url = asked or store_url(run_id)
    return Address(url, run_id, party, asked is None, in_worker=given is not None, controlled=False)


def _url_from_environment() -> str | None:
    return None if RUN_VARIABLE in os.environ else os.environ.get(URL_VARIABLE) or None
