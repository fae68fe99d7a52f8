"""The file of `--env-file`: one variable on each line, as shells and containers write them."""

from __future__ import annotations

import re
from pathlib import Path

from afas_async.errors import ConfigurationError

_LINE = re.compile(
    r"""(?:export\s+)?(?P<name>[A-Za-z_]\w*)\s*=\s*(?:'(?P<single>[^']*)'|"(?P<double>[^"]*)"|(?P<bare>(?!['"]).*?))"""
)


def read_env_file(path: Path) -> dict[str, str]:
    """Return the AFAS_* variables of a file, and ignore others.

    Raises:
        ConfigurationError: If a line is not NAME=VALUE. The message leaves out the line, which may be the token.
        OSError: If the file cannot be read.
    """
    found = dict[str, str]()
    if wrong := _read_lines(path, found):
        found.clear()  # no traceback may show the token
        raise ConfigurationError(f"{path}, line {wrong}: expected NAME=VALUE, such as AFAS_ENVIRONMENT=12345")
    return found


def _read_lines(path: Path, found: dict[str, str]) -> int:
    """Read the variables of a file. Return the number of the first malformed line, or 0."""
    for number, line in enumerate(path.read_text("utf-8-sig").splitlines(), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = _LINE.fullmatch(text)
        if match is None:
            return number
        if match["name"].startswith("AFAS_"):
            found[match["name"]] = match["single"] or match["double"] or match["bare"] or ""
    return 0
