"""Bytes and values: what is sent and what comes back, without any I/O."""
