"""Requests as bytes and responses as values: what is sent and received, without any I/O."""
