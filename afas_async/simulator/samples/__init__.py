"""The sample connectors of a simulated service."""
