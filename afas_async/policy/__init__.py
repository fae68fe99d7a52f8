"""Decisions: what to request next, and when to retry. This room does no I/O, reads no clock and needs no event loop."""
