"""How fast, how steady and how complete: figures that anyone can repeat with `python -m benchmarks`."""
