"""docs/testing.md: every suite in it runs as it stands, and its reference names what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from suites import run_suite

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "testing.md"

pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="the documentation is not shipped with the tests")


def suites() -> dict[str, dict[str, str]]:
    """By heading: the files in the section, each a code block that begins with its name."""
    found: dict[str, dict[str, str]] = {}
    for section in re.split(r"^##+ ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE):
        for block in re.findall(r"```python\n(.*?)```", section, re.DOTALL):
            name = re.match(r"# (\w+\.py)\n", block)
            assert name, f"a code block that does not begin with the name of its file:\n{block}"
            files = found.setdefault(section.partition("\n")[0], {})
            assert name[1] not in files, f"{name[1]} twice in one section"
            files[name[1]] = block
    return found


@pytest.mark.parametrize(("heading", "files"), suites().items() if PAGE.is_file() else [])
def test_suite(heading: str, files: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    for name, block in files.items():
        (tmp_path / name).write_text(block, encoding="utf-8")
    ran = run_suite(tmp_path, "-n", "2", "-W", "error", f"--basetemp={tmp_path / 'base'}")
    assert (ran.status, set(ran.counts)) == (0, {"passed"}), ran.output


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
