"""The notation of a simulator's latency on the command line."""

from __future__ import annotations

import argparse

import typer

from afas_async.simulator.latency import Latency, parse_latency


def typed_latency(text: str) -> Latency:
    """Return the latency that was typed."""
    try:
        return parse_latency(text)
    except argparse.ArgumentTypeError as error:  # raised for the simulator's own command line
        raise typer.BadParameter(str(error)) from None
