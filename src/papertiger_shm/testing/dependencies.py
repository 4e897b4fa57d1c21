"""What shared fixtures depend on, as pytest has found it: checked for circles, and not set up where it is not needed.

pytest sets up everything a fixture names before it runs it. For a shared fixture that would be once in every worker,
while only the one that sets it up needs it. So, once pytest knows what depends on what, it is told to leave that to us.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from papertiger_shm.testing.declaration import declaration_of
from papertiger_shm.testing.ownership import circle_sentence

__all__ = ["make_lazy", "parametrised_dependency", "refuse_circles", "shared_in"]


def shared_in(item: pytest.Item) -> list[Any]:
    """The definitions of all shared fixtures that pytest has found for this test."""
    found = getattr(item, "_fixtureinfo", None)
    if found is None:
        return []
    return [one for ones in found.name2fixturedefs.values() for one in ones if declaration_of(one) is not None]


def make_lazy(items: Sequence[pytest.Item]) -> None:
    """For every shared fixture that these tests use: keep what pytest has to know, and leave the rest to the owner."""
    seen = set()
    for item in items:
        info = getattr(item, "_fixtureinfo", None)
        if info is not None and id(info) not in seen:
            seen.add(id(info))
            shared, found = shared_in(item), info.name2fixturedefs
            for definition in shared:
                definition.argnames = tuple(name for name in definition.argnames if _concerns_pytest(found.get(name)))
            if shared:
                # pytest sets up each name of the closure for a test; those that nothing asks for now have to go.
                info.prune_dependency_tree()


def refuse_circles(item: pytest.Item) -> None:
    """Fail the test if shared fixtures that it uses need each other; pytest would name one of them only."""
    info = getattr(item, "_fixtureinfo", None)
    if info is None:
        return
    done: set[str] = set()
    for name in info.initialnames:
        circle = _circle(name, info.name2fixturedefs, [], done)
        if circle:
            pytest.fail(circle_sentence(circle), pytrace=False)


def _circle(name: str, found: Mapping[str, Sequence[Any]], path: list[str], done: set[str]) -> list[str]:
    """The names of a circle of shared fixtures that ``name`` leads to; empty where there is none."""
    if name in path:
        return [*path[path.index(name) :], name]
    declaration = declaration_of(found[name][-1]) if found.get(name) else None
    if declaration is None or name in done:
        return []
    done.add(name)
    for needed in declaration.arguments:
        # A fixture that overrides another of its name gets that one.
        circle = _circle(needed, found, [*path, name], done) if needed != name else []
        if circle:
            return circle
    return []


def parametrised_dependency(name: str, request: Any) -> str | None:
    """The name of an ordinary fixture with parameters that the fixture ``name`` is, or is made of; None for none."""
    found = getattr(request._pyfuncitem, "_fixtureinfo", None)
    definitions = {} if found is None else found.name2fixturedefs
    names, seen = [name], set()
    while names:
        name = names.pop()
        known = definitions.get(name)
        if name in seen or not known or declaration_of(known[-1]) is not None:
            continue
        seen.add(name)
        if known[-1].params is not None:
            return name
        names += known[-1].argnames
    return None


def _concerns_pytest(definitions: Sequence[Any] | None) -> bool:
    """What has parameters makes several tests of one, and what is shared is had by all: pytest hands both over."""
    if not definitions:  # nothing of that name is there, which pytest tells best
        return True
    return any(one.params is not None or declaration_of(one) is not None for one in definitions)
