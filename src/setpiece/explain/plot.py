"""The match of one image as a matplotlib figure."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from setpiece.explain.facts import ImageFacts
from setpiece.explain.report_image import ReportImage

__all__ = ["plot"]

TARGET, PREDICTION = "#0072B2", "#D55E00"  # Okabe & Ito's blue and vermilion
MOST_COLUMNS = 30  # of the matrix: the cheapest queries
MOST_NUMBERED_ROWS = 12  # with more targets, colours alone show the costs


def plot(image: ReportImage, classes: Sequence[str]) -> Figure:
    """Draw the last layer: matched boxes joined to their targets by lines, beside the matrix of pair costs.

    Args:
        image: of a report.
        classes: the name of each class.
    """
    figure = Figure(figsize=(13, 5.5), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.2))
    _draw_boxes(left, image, classes)
    _draw_matrix(right, image.facts)
    return figure


def _draw_boxes(axes: Axes, image: ReportImage, classes: Sequence[str]) -> None:
    facts, size = image.facts, np.array([image.width, image.height] * 2)
    if image.src is not None:
        pixels = Image.open(io.BytesIO(base64.b64decode(image.src.split(",", 1)[1])))
        axes.imshow(np.asarray(pixels), extent=(0, image.width, image.height, 0))
    axes.set(xlim=(0, image.width), ylim=(image.height, 0), aspect="equal", xticks=[], yticks=[])
    axes.set_title(f"{image.name}\nsolid: targets; dashed: predictions", fontsize=10)
    targets, boxes = facts.target_boxes.numpy() * size, facts.boxes[-1].numpy() * size
    for target, (box, label) in enumerate(zip(targets, facts.labels.tolist(), strict=True)):
        _draw_box(axes, box, TARGET, "-", f"{target} {classes[label]}")
        query = int(facts.match[-1, target])
        if query >= 0:
            _draw_box(axes, boxes[query], PREDICTION, "--", "")
            axes.plot(*zip(box[:2], boxes[query][:2], strict=True), color=PREDICTION, marker="o", markersize=3)
    if not len(facts.labels):
        for query in facts.best_score[-1].topk(min(10, len(boxes))).indices.tolist():
            name = f"{classes[int(facts.best_label[-1, query])]} {facts.best_score[-1, query]:.2f}"
            _draw_box(axes, boxes[query], PREDICTION, "--", name)


def _draw_box(axes: Axes, box: np.ndarray, colour: str, style: str, name: str) -> None:
    x, y, width, height = box
    corner = (x - width / 2, y - height / 2)
    axes.add_patch(Rectangle(corner, width, height, fill=False, edgecolor=colour, linestyle=style, linewidth=1.8))
    # A class may be called "$x$": draw it as a name, not as a formula.
    if name:
        axes.text(*corner, name, color="white", backgroundcolor=colour, fontsize=8, va="bottom", parse_math=False)


def _draw_matrix(axes: Axes, facts: ImageFacts) -> None:
    """The costs of targets (rows) and the queries that are cheapest for some target (columns), matches framed."""
    if not len(facts.labels):
        axes.set(xticks=[], yticks=[], title="nothing is matched")
        return
    axes.set(xlabel="query", ylabel="target")
    axes.set_title("cost of every pair (darker is cheaper); the match is framed", fontsize=10)
    cost, match = facts.total[-1], facts.match[-1].tolist()
    columns = cost.amin(0).argsort()[:MOST_COLUMNS].tolist()
    columns = sorted({*columns, *(query for query in match if query >= 0)})
    axes.imshow(cost[:, columns].numpy(), cmap="viridis", aspect="auto")
    axes.set_xticks(range(len(columns)), [str(query) for query in columns], rotation=90, fontsize=8)
    axes.set_yticks(range(len(match)), [str(target) for target in range(len(match))], fontsize=8)
    for target, query in enumerate(match):
        if query >= 0:
            column = columns.index(query)
            axes.add_patch(Rectangle((column - 0.5, target - 0.5), 1, 1, fill=False, edgecolor=PREDICTION, linewidth=2))
            if len(match) <= MOST_NUMBERED_ROWS:
                axes.text(
                    column, target, f"{cost[target, query]:.1f}", color="white", fontsize=7, ha="center", va="center"
                )
