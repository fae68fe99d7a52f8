"""Sending: connections, credentials, limits, time-outs, retries, and the task that runs all of it."""
