"""Writing: single calls, loads in batches, and the journal that makes them resumable."""
