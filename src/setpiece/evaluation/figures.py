"""The curves and the confusion matrix of an evaluation as pictures, for where no page can be opened."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from setpiece.atomic import write_whole
from setpiece.evaluation.analysis import Analysis

__all__ = ["confusion", "f1_over_threshold", "precision_over_recall", "write_beside"]

NAMED = 10  # classes: of more the names would not fit
NUMBERED = 20  # classes whose counts are written into the matrix
DPI = 120


def write_beside(analysis: Analysis, page: Path) -> list[Path]:
    """Write pictures and numbers next to a page.

    Args:
        page: such as `eval.html`; then `eval-precision-recall.png`, `eval-f1.png`, `eval-confusion.png` and `eval.json`
            are written.

    Returns:
        These files.

    Raises:
        OutputError: one cannot be written.
    """
    figures = {
        "-precision-recall.png": precision_over_recall(analysis),
        "-f1.png": f1_over_threshold(analysis),
        "-confusion.png": confusion(analysis),
    }
    files = []
    for suffix, figure in figures.items():
        files.append(page.with_name(f"{page.stem}{suffix}"))
        write_whole(files[-1], partial(figure.savefig, format="png", dpi=DPI))
    files.append(page.with_suffix(".json"))
    write_whole(files[-1], json.dumps(analysis.to_dict(), indent=2) + "\n")
    return files


def precision_over_recall(analysis: Analysis) -> Figure:
    """A line for each class, at an IoU of 0.5, with a mark at its best threshold."""
    figure, axes = _square("recall", "precision", "Precision over recall (IoU 0.5)")
    for of in analysis.curves:
        (line,) = axes.plot(of.recall, of.precision, label=of.name)
        precision, recall, _ = of.at(of.best)
        axes.plot([recall], [precision], "o", color=line.get_color())
    return _named(figure, axes, len(analysis.curves))


def f1_over_threshold(analysis: Analysis) -> Figure:
    """A line for each class, with a mark at its best threshold."""
    figure, axes = _square("threshold", "F1", "F1 over the threshold (IoU 0.5)")
    for of in analysis.curves:
        (line,) = axes.step(of.thresholds, of.f1, where="post", label=of.name)
        axes.plot([of.best], [of.at(of.best)[2]], "o", color=line.get_color())
    return _named(figure, axes, len(analysis.curves))


def confusion(analysis: Analysis) -> Figure:
    """Rows are labelled, columns are detected; colours are shares of the row."""
    counts = analysis.confusion
    names = [*(of.name for of in analysis.curves), "nothing"]
    side = min(14.0, 3.0 + 0.5 * len(names))
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(counts / counts.sum(1, keepdims=True).clip(1), cmap="Blues", vmin=0, vmax=1)
    axes.set(xlabel="detected", ylabel="labelled", title="Confusion, best threshold of each class")
    if len(names) <= NUMBERED:
        axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
        axes.set_yticks(range(len(names)), names)
        for (row, column), count in np.ndenumerate(counts):
            share = count / max(1, counts[row].sum())
            if (row, column) != (len(names) - 1, len(names) - 1):
                axes.text(column, row, str(count), ha="center", va="center", color="white" if share > 0.5 else "black")
    return figure


def _square(x: str, y: str, title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.subplots()
    axes.set(xlabel=x, ylabel=y, title=title, xlim=(0, 1), ylim=(0, 1.02))
    axes.grid(alpha=0.3)
    return figure, axes


def _named(figure: Figure, axes: Axes, lines: int) -> Figure:
    if 0 < lines <= NAMED:
        axes.legend(loc="lower left")
    return figure
