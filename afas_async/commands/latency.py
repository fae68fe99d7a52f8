"""How long the answers of a simulator take, as it is written on a command line."""

from __future__ import annotations

import argparse

import typer

from afas_async.simulator.latency import Latency, parse_latency


def typed_latency(text: str) -> Latency:
    """Return a latency of the simulator that was typed."""
    try:
        return parse_latency(text)
    except argparse.ArgumentTypeError as error:  # which the simulator's own command line is for
        raise typer.BadParameter(str(error)) from None
