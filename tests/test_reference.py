"""The reference, as `python -m pdoc afas_async` builds it out of docstrings."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

import afas_async
from tests.support.thoroughness import full_only

# pdoc's own, not those of the libraries that it imports with the integrations.
WARNINGS = [f"-Werror::UserWarning:pdoc.{module}" for module in ("doc", "doc_types", "docstrings", "extract")]


class Reference(HTMLParser):
    """One page: its anchors and its links."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.anchors = {""}
        self.links = set[str]()
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.anchors.add(found.get("id") or "")
        if tag == "a" and (link := found.get("href")) and "://" not in link:
            self.links.add(link)


@full_only
@pytest.mark.timeout(180)
def test_the_reference(tmp_path: Path) -> None:
    """It is built without a warning, no link is broken, and it has each guide and each method of the client."""
    command = [sys.executable, *WARNINGS, "-m", "pdoc", "afas_async", "-o", str(tmp_path)]
    done = subprocess.run(
        command, env=os.environ | {"PDOC_ALLOW_EXEC": "1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    pages = {page: Reference(page) for page in tmp_path.rglob("*.html")}
    broken = list[str]()
    for page, reference in pages.items():
        for link in reference.links:
            file, _, anchor = link.partition("#")
            target = (page.parent / file).resolve() if file else page
            if target not in pages or anchor not in pages[target].anchors:
                broken.append(f"{page.relative_to(tmp_path)}: {link}")
    assert broken == []
    assert [page for page in pages if "<p>Args:" in page.read_text()] == []  # it knows how docstrings are written
    for room in ("client", "columns", "commands", "errors", "integrations", "models", "read", "simulator", "write"):
        assert tmp_path / "afas_async" / f"{room}.html" in pages
    links = pages[tmp_path / "afas_async.html"].links
    methods = {name for name, _ in inspect.getmembers(afas_async.AfasClient, callable) if not name.startswith("_")}
    assert {name for name in methods if not any(link.endswith(f".{name}") for link in links)} == set()
