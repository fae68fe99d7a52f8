"""A folder in memory, where the system has one: a journal waits for the disk at each step, and its tests need not."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MEMORY = Path("/dev/shm")  # noqa: S108 (of Linux)
_NEEDED = 64_000_000


@contextmanager
def quick_folder() -> Iterator[Path]:
    """Make a folder, in memory if there is room, and remove it."""
    in_memory = os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _NEEDED
    with tempfile.TemporaryDirectory(dir=_MEMORY if in_memory else None) as folder:
        yield Path(folder)
