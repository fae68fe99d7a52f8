"""Results as pictures: one for light pages and one for dark pages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.figures import Section, Standing
from benchmarks.report import Results, describe

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_THEMES = {"": ("#1f2328", "#c2410c", "#8c959f"), "-dark": ("#e6edf3", "#fb923c", "#6e7681")}  # ink, ours, others
_PANELS = {"rows per second": "rate", "MB of memory at the peak": "memory", "ms the event loop is held": "hold"}


def draw(results: Results, path: Path) -> None:
    """Draw what was measured of all contestants, as two SVG files: FILE.svg, and FILE-dark.svg for dark pages.

    Each comparison is a row of panels: rates, and memory and holds where they were measured. Curves follow below.

    Raises:
        ImportError: matplotlib is missing. It comes with the extra `benchmarks`.
        ValueError: No rates were measured.
    """
    import matplotlib as mpl  # noqa: PLC0415 - only who draws needs it
    from matplotlib.figure import Figure  # noqa: PLC0415 - as above

    groups = _groups(results)
    curved = [section for section in results.sections if section.curves]
    if not groups and not curved:
        raise ValueError("nothing to draw: this benchmark measures no rates")
    heights = [len(lines) + 2 for lines in groups.values()] + [12] * len(curved)
    for name, (ink, ours, others) in _THEMES.items():
        style: dict[Any, Any] = dict.fromkeys(
            ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), ink
        )
        # Text stays text, in the reader's own font; the same results give the same file.
        style |= {"font.size": 8, "svg.fonttype": "none", "svg.hashsalt": "afas_async"}
        with mpl.rc_context(style):
            canvas = Figure(figsize=(9, 0.5 + 0.25 * sum(heights)), layout="constrained")
            rows = canvas.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
            for row, (title, lines) in zip(rows, groups.items(), strict=False):
                row.suptitle(title, x=0.01, ha="left")
                measured = {label: field for label, field in _PANELS.items() if any(_values(lines, field))}
                panels = row.subplots(1, len(measured), sharey=True, squeeze=False)[0]
                for panel, (label, field) in zip(panels, measured.items(), strict=True):
                    _bars(panel, lines, field, [ours if "afas" in line.contestant else others for line in lines])
                    panel.set_title(label, fontsize=8, color=ink)
            for row, section in zip(rows[len(groups) :], curved, strict=True):
                _curves(row.subplots(), section)
            canvas.supxlabel(describe(results.machine), fontsize=5, wrap=True)
            file = path.with_stem(path.stem + name)
            canvas.savefig(file, format="svg", transparent=True, metadata={"Date": None})


def _groups(results: Results) -> dict[str, list[Standing]]:
    """Return the contestants that have a rate, by what they were compared in."""
    groups = dict[str, list[Standing]]()
    for section in results.sections:
        for line in section.standings:
            if line.rate:
                groups.setdefault(f"{section.title}: {line.group}".removesuffix(": "), []).append(line)
    return groups


def _values(lines: list[Standing], field: str) -> list[float]:
    return [getattr(line, field) for line in lines]


def _bars(panel: Axes, lines: list[Standing], field: str, colours: list[str]) -> None:
    """Draw a bar for each contestant, the first on top, with its figure beside it."""
    values = _values(lines, field)
    bars = panel.barh([line.contestant for line in lines], values, color=colours)
    digits = 0 if max(values) >= 100 else 1
    panel.bar_label(bars, [f"{value:,.{digits}f}" if value else "n/a" for value in values], padding=3)
    panel.margins(x=0.3)
    panel.xaxis.set_visible(False)
    panel.spines[["top", "right", "bottom"]].set_visible(False)
    if not panel.yaxis_inverted():
        panel.invert_yaxis()


def _curves(panel: Axes, section: Section) -> None:
    """Draw the rates of a cluster by the number of its workers."""
    for name, curve in section.curves.items():
        panel.plot([*curve], [*curve.values()], marker="o", label=name)
    panel.set_title(section.title, loc="left")
    panel.set_xlabel("workers")
    panel.set_ylabel("rows per second")
    panel.legend(framealpha=0)
