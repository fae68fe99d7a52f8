"""Reads: how the simulated service understands requests for rows."""
