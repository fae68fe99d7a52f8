"""The house style of everything that a person reads, as far as it can be counted."""

from __future__ import annotations

import ast
import inspect
import io
import pydoc
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import afas_async

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
SPEAKS_TO_YOU = r"\byou(rs?|rself)?\b"
AT_LEAST = 60  # for 10,000 words
AT_MOST = 5  # likewise
RIDDLES = {
    "tell": r"\b(told|tells?)\b",
    "hand out": r"\bhand(s|ed)? (them |it )?out\b",
    "is none": r"\bis (none|no)\b",
    "what is": r"\bwhat (is|was)\b",
    "behind": r"\bbehind\b",
}
LONG = 30  # words
MOST_OF_THEM_LONG = 0.03
NO_PROSE = re.compile(r"^(>>>|\.\.\.|\|)|^\s{4,}(python3|def |async |class )")
SECTIONS = "Args|Returns|Raises|Attributes|Yields|Example|Source"
BLOCKS = re.compile(rf"\n\s*\n|\n(?=[\-*] )|\n(?=\w+(?: or \w+)?: )|\n(?=(?:{SECTIONS}):)")
ENDS = re.compile(r"(?<=[.!?:;])\s+(?=[A-Z`\"(])")


@cache
def texts() -> tuple[str, ...]:
    """Every docstring and comment of the package, and the README, without code and tables."""
    sources = [path.read_text() for path in sorted((ROOT / "afas_async").rglob("*.py"))]
    found = [README, *(text for source in sources for text in (*_docstrings(source), *_comments(source)))]
    return tuple(_prose(text) for text in found)


def _docstrings(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""


def _comments(source: str) -> Iterator[str]:
    """Comments, those on lines after each other as one."""
    block, last = list[str](), 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and not re.match(r"#\s*(noqa|type:|pyright:|pragma)", token.string):
            if token.start[0] != last + 1:
                yield " ".join(block)
                block.clear()
            block.append(token.string.lstrip("# ").partition("# noqa")[0])
            last = token.start[0]
    yield " ".join(block)


def _prose(text: str) -> str:
    lines = re.sub(r"```.*?```", " ", text, flags=re.DOTALL).splitlines()
    return "\n".join("" if NO_PROSE.search(line) or NO_PROSE.search(line.strip()) else line.strip() for line in lines)


def sentences() -> list[str]:
    """All sentences."""
    blocks = (" ".join(block.split()) for text in texts() for block in BLOCKS.split(text))
    return [sentence for block in blocks for sentence in ENDS.split(block) if sentence]


def in_ten_thousand(pattern: str) -> float:
    """How often a pattern is found in 10,000 words."""
    words = sum(len(re.findall(r"[A-Za-z']+", text)) for text in texts())
    return sum(len(re.findall(pattern, text, re.IGNORECASE)) for text in texts()) / words * 10_000


def test_it_speaks_to_the_reader() -> None:
    """Documentation that people like says "you"."""
    assert in_ten_thousand(SPEAKS_TO_YOU) >= AT_LEAST


@pytest.mark.parametrize("riddle", RIDDLES)
def test_no_riddles(riddle: str) -> None:
    """Words that have a plainer one stay rare."""
    assert in_ten_thousand(RIDDLES[riddle]) < AT_MOST, [
        text for text in sentences() if re.search(RIDDLES[riddle], text, re.IGNORECASE)
    ]


def test_sentences_are_short() -> None:
    """Few sentences have more than 30 words."""
    long = [sentence for sentence in sentences() if len(sentence.split()) > LONG]
    assert len(long) < MOST_OF_THEM_LONG * len(sentences()), long


def _methods(kind: type) -> dict[str, Any]:
    found = {name: value for name, value in inspect.getmembers(kind) if not name.startswith("_")}
    return {name: value for name, value in found.items() if inspect.isroutine(value)}


@pytest.mark.parametrize("kind", [afas_async.AfasClient, afas_async.ClientPool, afas_async.Load, afas_async.Rows])
def test_methods_say_enough_and_no_more(kind: type) -> None:
    """A method has 60 to 250 words: what it does, its arguments, returns, errors, and an example."""
    words = {name: len((inspect.getdoc(method) or "").split()) for name, method in _methods(kind).items()}
    assert {name: count for name, count in words.items() if not 60 <= count <= 250} == {}


def test_help_fits_on_a_screen() -> None:
    """What `help(AfasClient.rows)` prints has 60 lines at most."""
    assert len(pydoc.plain(pydoc.render_doc(afas_async.AfasClient.rows)).splitlines()) <= 60
