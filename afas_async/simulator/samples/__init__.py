"""The connectors that a simulated service has by itself."""
