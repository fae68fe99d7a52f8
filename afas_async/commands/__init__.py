"""One file a command of `python -m afas_async`."""
