"""docs/testing.md: its reference names what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from suites import run_suite

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "testing.md"

pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="the documentation is not shipped with the tests")


def test_options_are_those_of_the_plugin(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    told = run_suite(tmp_path, "--help").output
    assert options(PAGE.read_text(encoding="utf-8")) == options(told)


def options(text: str) -> set[str]:
    return set(re.findall(r"--papertiger-[a-z]+", text))


def test_fixtures_and_markers_are_those_of_the_plugin(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    markers = set(
        re.findall(r"^@pytest\.mark\.(papertiger_\w+)", run_suite(tmp_path, "--markers").output, re.MULTILINE)
    )
    fixtures = set(
        re.findall(
            r"^(papertiger\w*|events|stripe_api)\b.* -- ", run_suite(tmp_path, "--fixtures").output, re.MULTILINE
        )
    )
    page = PAGE.read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `@pytest\.mark\.(\w+)", page, re.MULTILINE)) == markers
    assert set(re.findall(r"^\| `(\w+)` \| (?:function|session) \|", page, re.MULTILINE)) == fixtures
