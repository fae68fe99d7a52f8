"""The way to the service: connections, time-outs, retries, and the task that everything runs in."""
