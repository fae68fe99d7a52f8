"""Run the simulator: `python -m afas_async.simulator`."""

import sys

from afas_async.simulator.command import run

sys.exit(run(sys.argv[1:]))
