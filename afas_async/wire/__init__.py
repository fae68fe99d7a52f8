"""Requests as bytes and responses as values: the format of the service, without any I/O."""
