"""Decisions: what to ask next, when to try again. No I/O, no clock, no event loop."""
