"""The name under which the program was called, for its advice, and its exit statuses."""

from __future__ import annotations

import sys
from pathlib import PurePath
from typing import Final

NOT_ALL: Final = 1  # a fault, or not everything was done
USAGE: Final = 2
UNKNOWN_LEFT: Final = 3
INTERRUPTED: Final = 130  # 128 plus the number of SIGINT, as shells count

SCRIPT: Final = "afas-async"
PROGRAM: Final = SCRIPT if PurePath(sys.argv[0]).stem == SCRIPT else "python -m afas_async"
