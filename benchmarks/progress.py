"""What is being measured now, on standard error."""

from __future__ import annotations

import sys


def show(what: str) -> None:
    """Show what is being measured, in place on a terminal; nothing where nobody looks."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{what[:100]}")
        sys.stderr.flush()
