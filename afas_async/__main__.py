"""Run the command line with `python -m afas_async`."""

from afas_async.commands.cli import main

main()
