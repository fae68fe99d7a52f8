"""What the documentation names is there."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CONTRIBUTING = (ROOT / ".github" / "CONTRIBUTING.md").read_text()
GUIDES = ("read", "write", "client", "errors", "commands", "simulator", "integrations")
DOCUMENTS = {path.name: path.read_text() for path in (*ROOT.glob("*.md"), *ROOT.glob(".github/*.md"))} | {
    guide: importlib.import_module(f"afas_async.{guide}").__doc__ or "" for guide in GUIDES
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_tests_that_it_names_are_there(name: str) -> None:
    """Every test that a document names exists."""
    named = set(re.findall(r"\b(tests/[\w/.]*\w)", DOCUMENTS[name]))
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_each_endpoint_names_its_tests() -> None:
    """Each entry of the list of what the API offers ends with its tests."""
    listed = DOCUMENTS["client"].partition("Everything the API offers\n")[2]
    entries = re.findall(r"^- .*\n((?:  .+\n)*)", listed, re.MULTILINE)
    assert len(entries) > 25
    assert all(re.search(r"^  Tests: `tests/", more, re.MULTILINE) for more in entries)


def test_the_variables_of_the_long_runs_are_named() -> None:
    """Each variable that makes a test longer is explained."""
    texts = [path.read_text() for path in (ROOT / "tests").rglob("*.py")]
    read = {name for text in texts for name in re.findall(r'environ\.get\("(AFAS_\w+)"', text)}
    assert len(read) >= 8
    assert sorted(read - set(re.findall(r"`(AFAS_\w+)(?:=1)?`", CONTRIBUTING))) == []
