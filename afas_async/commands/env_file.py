"""The file of `--env-file`: a variable a line, as shells and containers write them."""

from __future__ import annotations

import re
from pathlib import Path

from afas_async.errors import ConfigurationError

_LINE = re.compile(
    r"""(?:export\s+)?(?P<name>[A-Za-z_]\w*)\s*=\s*(?:'(?P<single>[^']*)'|"(?P<double>[^"]*)"|(?P<bare>.*?))"""
)


def read_env_file(path: Path) -> dict[str, str]:
    """Return the AFAS_* variables of a file; others are left out.

    Raises:
        ConfigurationError: If a line is no variable. The text does not hold the line, as it may be the token.
        OSError: If the file cannot be read.
    """
    found = dict[str, str]()
    for number, line in enumerate(path.read_text("utf-8-sig").splitlines(), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = _LINE.fullmatch(text)
        if match is None:
            raise ConfigurationError(f"{path}, line {number}: expected NAME=VALUE, such as AFAS_ENVIRONMENT=12345")
        if match["name"].startswith("AFAS_"):
            found[match["name"]] = match["single"] or match["double"] or match["bare"] or ""
    return found
