"""Draws results as a picture."""

from __future__ import annotations

from benchmarks.figures import Standing
from benchmarks.report import Results, describe


def draw(results: Results, path: str) -> None:
    """Draw the rates of all contestants into an SVG file: bars for each comparison, then curves.

    Raises:
        ImportError: If matplotlib is not installed. It comes with the extra `benchmarks`.
        ValueError: If no rates were measured.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - only drawing needs it

    groups = dict[str, list[Standing]]()
    for section in results.sections:
        for line in section.standings:
            if line.rate:
                groups.setdefault(f"{section.title}\n{line.group}".strip(), []).append(line)
    curved = [section for section in results.sections if section.curves]
    if not groups and not curved:
        raise ValueError("nothing to draw: this benchmark does not measure rates")
    height = sum(0.6 + 0.3 * len(lines) for lines in groups.values()) + 4 * len(curved)
    canvas = Figure(figsize=(9, 1 + height), layout="constrained")
    ratios = [len(lines) + 1 for lines in groups.values()] + [12] * len(curved)
    axes = canvas.subplots(len(ratios), 1, squeeze=False, gridspec_kw={"height_ratios": ratios})[:, 0]
    for axis, section in zip(axes[len(groups) :], curved, strict=True):
        for name, curve in section.curves.items():
            axis.plot([*curve], [*curve.values()], marker="o", label=name)
        axis.set_title(section.title, fontsize=9, loc="left")
        axis.set_xlabel("workers", fontsize=7)
        axis.set_ylabel("rows/s", fontsize=7)
        axis.tick_params(labelsize=7)
        axis.legend(fontsize=7)
    for axis, (title, lines) in zip(axes, groups.items(), strict=False):
        names = [line.contestant for line in lines]
        bars = axis.barh(
            names, [line.rate for line in lines], color=["#c33" if "afas" in name else "#789" for name in names]
        )
        axis.bar_label(
            bars,
            [f"{line.rate:,.0f} rows/s, this library: {line.ours[0]:.2f}x" for line in lines],
            padding=3,
            fontsize=7,
        )
        axis.set_title(title, fontsize=9, loc="left")
        axis.invert_yaxis()
        axis.margins(x=0.45)
        axis.tick_params(labelsize=7)
        axis.xaxis.set_visible(False)
    canvas.suptitle(describe(results.machine), fontsize=6, wrap=True)
    canvas.savefig(path, format="svg")
