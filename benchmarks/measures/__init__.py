"""The benchmarks, by name."""
