"""The curves and the confusion matrix of an evaluation as pictures, for where no page can be opened."""

from __future__ import annotations

import json
import warnings
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Int64
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.text import Text

from setpiece.atomic import write_whole
from setpiece.evaluation.analysis import Analysis
from setpiece.evaluation.fonts import font_for

__all__ = ["beside", "calibrated", "confusion", "costs", "f1_over_threshold", "precision_over_recall", "write_beside"]

NAMED = 10  # classes: of more the names would not fit
CROSSED = 20  # classes in the matrix: of more it could not be read
LETTERS = 24  # of a name
DPI = 120


def beside(page: Path) -> list[Path]:
    """The files that `write_beside` writes next to a page, the numbers last.

    Example:
        >>> [file.name for file in beside(Path("runs/cells.html"))][-2:]
        ['cells-errors.png', 'cells-numbers.json']
    """
    return [page.with_name(f"{page.stem}-{name}") for name in (*(f"{each}.png" for each in FIGURES), NUMBERS)]


def write_beside(analysis: Analysis, page: Path) -> list[Path]:
    """Write pictures and numbers next to a page.

    Returns:
        These files, see `beside`.

    Raises:
        OutputError: one cannot be written.
    """
    *pictures, numbers = beside(page)
    for file, draw in zip(pictures, FIGURES.values(), strict=True):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph", UserWarning)  # where no font has a letter, it is a box
            write_whole(file, partial(draw(analysis).savefig, format="png", dpi=DPI))
    write_whole(numbers, json.dumps(analysis.to_dict(), indent=2) + "\n")
    return [*pictures, numbers]


def precision_over_recall(analysis: Analysis) -> Figure:
    """A line for each class, at an IoU of 0.5, with a mark at its best threshold."""
    figure, axes = _square("recall", "precision", "Precision over recall (IoU 0.5)")
    for of in analysis.curves:
        (line,) = axes.plot(of.recall, of.precision)
        precision, recall, _ = of.at(of.best)
        axes.plot([recall], [precision], "o", color=line.get_color())
    return _named(figure, axes, analysis)


def f1_over_threshold(analysis: Analysis) -> Figure:
    """A line for each class, with a mark at its best threshold."""
    figure, axes = _square("threshold", "F1", "F1 over the threshold (IoU 0.5)")
    for of in analysis.curves:
        (line,) = axes.step(of.thresholds, of.f1, where="post")
        axes.plot([of.best], [of.at(of.best)[2]], "o", color=line.get_color())
    return _named(figure, axes, analysis)


def confusion(analysis: Analysis) -> Figure:
    """Rows are labelled, columns detected; colours are shares of the row. Of many classes the most confused ones."""
    kept, classes = _most_confused(analysis.confusion), len(analysis.curves)
    counts = analysis.confusion[np.ix_(kept, kept)]
    shares = counts / analysis.confusion.sum(1)[kept, None].clip(1)
    names = [_shortened(name) for name in [*(of.name for of in analysis.curves), "nothing"]]
    names = [names[each] for each in kept]
    side = max(3.0, 1.2 + 0.1 * max(map(len, names))) + 0.5 * len(names)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    which = f":\nthe {CROSSED} most confused of {classes} classes" if classes > CROSSED else ""
    figure.suptitle(f"Confusion, best threshold of each class{which}")  # wider than the axes of a few classes
    axes.set(xlabel="detected", ylabel="labelled")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(range(len(names)), names)
        for text in axis.get_ticklabels():
            _as_written(text)
    for text in axes.get_xticklabels():
        text.set(rotation=45, ha="right", rotation_mode="anchor")
    for (row, column), count in np.ndenumerate(counts):
        if (row, column) != (len(names) - 1, len(names) - 1):
            color = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=color)
    return figure


def _most_confused(matrix: Int64[np.ndarray, "C1 C1"]) -> list[int]:
    """The classes that are most often taken for another one, or another one for them, in their order; then nothing."""
    classes = matrix[:-1, :-1]
    between = classes.sum(0) + classes.sum(1) - 2 * classes.diagonal()
    return [*np.sort(np.argsort(-between, kind="stable")[:CROSSED]).tolist(), len(classes)]


def calibrated(analysis: Analysis) -> Figure:
    """The share of right detections in each bin of confidence; on the diagonal they are equal."""
    of = analysis.calibration
    figure, axes = _square("confidence", "precision", "Precision over confidence (IoU 0.5)")
    axes.plot([0, 1], [0, 1], color="gray", linewidth=1)
    axes.scatter(of.confidence, of.precision, 20 + 180 * of.count / max(1, of.count.max()))
    return figure


def costs(analysis: Analysis) -> Figure:
    """What AP50 would gain without the errors of each kind, with their number at the best thresholds."""
    kinds, counts = list(analysis.breakdown.costs), analysis.errors
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    bars = axes.barh([f"{kind} ({counts[kind]})" for kind in kinds], [analysis.breakdown.costs[kind] for kind in kinds])
    axes.bar_label(bars, fmt="%+.3f", padding=3)
    axes.invert_yaxis()
    axes.set(xlabel="AP50 that would be gained", title="Kinds of errors, with their number at the best thresholds")
    axes.margins(x=0.15)
    return figure


def _square(x: str, y: str, title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.subplots()
    axes.set(xlabel=x, ylabel=y, title=title, xlim=(0, 1), ylim=(0, 1.02))
    axes.grid(alpha=0.3)
    return figure, axes


def _named(figure: Figure, axes: Axes, analysis: Analysis) -> Figure:
    """Name the lines, which are every other one: those between are marks."""
    names = [_shortened(of.name) for of in analysis.curves]
    if 0 < len(names) <= NAMED:
        legend = axes.legend(axes.lines[::2], ["-"] * len(names), loc="lower left")  # it leaves out names like "_a"
        for text, name in zip(legend.get_texts(), names, strict=True):
            text.set_text(name)
            _as_written(text)
    return figure


def _shortened(name: str) -> str:
    """A name that leaves room for the picture: its beginning and its end."""
    return name if len(name) <= LETTERS else f"{name[: LETTERS // 2]}…{name[1 - LETTERS // 2 :]}"


def _as_written(text: Text) -> None:
    """Show a class name in a font that has its letters, and "$" as a letter."""
    text.set_parse_math(False)
    text.set_fontproperties(FontProperties(fname=font_for(text.get_text()), size=text.get_fontsize()))


FIGURES = {
    "precision-recall": precision_over_recall,
    "f1": f1_over_threshold,
    "confusion": confusion,
    "calibration": calibrated,
    "errors": costs,
}
NUMBERS = "numbers.json"
