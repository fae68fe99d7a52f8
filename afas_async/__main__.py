"""`python -m afas_async`."""

import sys

from afas_async.cli import run

sys.exit(run(sys.argv[1:]))
