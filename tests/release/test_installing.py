"""What a user gets who installs the wheel into an empty environment, with each extra, on each Python at hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from release.interpreters import Environment, at_hand

PYTHONS = at_hand()

BROUGHT = {"": set(), "fast": set(), "http": {"jinja2", "markupsafe", "starlette", "uvicorn"}, "valkey": {"valkey"}}
"""What modules of the package import that is not there without the extra. ``fast`` is used where it is found."""

NEVER_BROUGHT = {"pytest"}
"""The plugin stands on it: whoever has the plugin imported has pytest, since pytest is what imports it."""

IMPORTS = """
import importlib, json, pkgutil, papertiger_shm
missing = set()
for module in pkgutil.walk_packages(papertiger_shm.__path__, "papertiger_shm."):
    if not module.name.endswith("__main__"):
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            missing.add(error.name.partition(".")[0].lstrip("_"))
for name in papertiger_shm.__all__:
    getattr(papertiger_shm, name)
print(json.dumps(sorted(missing)))
"""

INSTALLED = """
import json, re
from importlib.metadata import distributions, requires
extras = {}
for requirement in requires("papertiger-shm"):
    name, extra = re.match("[A-Za-z0-9_.-]+", requirement)[0], re.search("extra == '(.*)'", requirement)
    extras.setdefault(extra[1] if extra else "", []).append(name.lower())
print(json.dumps({"asked": extras, "there": sorted({found.name.lower() for found in distributions()})}))
"""


@pytest.fixture(scope="module", params=PYTHONS)
def python(request: pytest.FixtureRequest) -> str:
    return PYTHONS[request.param]


@pytest.mark.parametrize("extra", BROUGHT)
def test_an_extra_brings_what_it_is_for_and_no_other(
    python: str, extra: str, built: dict[str, str], tmp_path: Path
) -> None:
    environment = Environment(python, tmp_path / "env", built["wheel"] + (f"[{extra}]" if extra else ""))
    everything = set().union(*BROUGHT.values()) | NEVER_BROUGHT
    assert set(json.loads(environment.python(IMPORTS))) == everything - BROUGHT[extra]
    found = json.loads(environment.python(INSTALLED))
    assert {*found["asked"][""], *found["asked"].get(extra, ())} <= set(found["there"])
    assert not {name for other in BROUGHT.keys() - {"", extra} for name in found["asked"][other]} & set(found["there"])
    assert "every namespace as its writer left it" in environment.command("papertiger-shm", "demo", "--seconds", "0.5")


def test_there_is_more_than_one_python_to_try() -> None:
    assert len(PYTHONS) > 1
