"""Draw a comparison as bars, on a terminal or into an SVG file."""

from __future__ import annotations

import html
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from afas_async.commands.terminal import output

_WIDTH: Final = 40
_COLOURS: Final = ("#2563eb", "#9ca3af")


def print_bars(numbers: Mapping[str, float], *, unit: str) -> None:
    """Print a bar for each number. The largest takes the whole width."""
    console = output()
    wide = max(map(len, numbers))
    room = max(10, min(_WIDTH, console.width - wide - 24))
    for number, (name, value) in enumerate(numbers.items()):
        bar = "█" * max(1, round(room * value / (max(numbers.values()) or 1)))
        console.print(f"  {name:<{wide}}  [{'bold blue' if number == 0 else 'dim'}]{bar}[/] {value:,.0f} {unit}")


def save_bars(path: Path, numbers: Mapping[str, float], *, unit: str) -> None:
    """Draw a bar for each number into an SVG file.

    Raises:
        OSError: If the file cannot be written.
    """
    bars = list[str]()
    for number, (name, value) in enumerate(numbers.items()):
        top, width = 16 + 40 * number, max(2, round(420 * value / (max(numbers.values()) or 1)))
        bars.append(
            f'<text x="110" y="{top + 19}" text-anchor="end">{html.escape(name)}</text>'
            f'<rect x="120" y="{top}" width="{width}" height="28" rx="3" fill="{_COLOURS[number % len(_COLOURS)]}"/>'
            f'<text x="{128 + width}" y="{top + 19}">{value:,.0f} {html.escape(unit)}</text>'
        )
    height = 16 + 40 * len(numbers)
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="700" height="{height}" viewBox="0 0 700 {height}"'
        f' font-family="sans-serif" font-size="14">\n' + "\n".join(bars) + "\n</svg>\n",
        "utf-8",
    )
