"""Shows the running measurement on standard error."""

from __future__ import annotations

import sys


def show(what: str) -> None:
    """Replace the progress line on a terminal. Without a terminal, print nothing."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{what[:100]}")
        sys.stderr.flush()
