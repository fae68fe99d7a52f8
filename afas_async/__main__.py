"""`python -m afas_async`."""

import sys

from afas_async.commands.cli import run

sys.exit(run(sys.argv[1:]))
