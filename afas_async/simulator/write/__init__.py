"""Writes: how the simulated service carries out elements."""
