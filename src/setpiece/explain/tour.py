"""The tour: hand-made predictions on drawn scenes, and small assignment problems, which the page explains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from setpiece.atomic import write_whole
from setpiece.data.scenes import CLASSES, draw_scene
from setpiece.errors import UsageError
from setpiece.explain.payload import report_payload
from setpiece.explain.report_image import ReportImage, make_report_image
from setpiece.records import Outputs, Targets
from setpiece.setloss import SetCriterion
from setpiece.setloss.boxes import xyxy_to_cxcywh
from setpiece.web import render

__all__ = ["show_scene", "tour_payload", "write_tour"]

TITLE = "A tour of set prediction"
SIZE = (288, 384)  # (height, width) of the scenes in pixels
NONE = "no-object"

# A query's prediction in the last layer: a box, xyxy in pixels, and the probabilities of some classes and of no-object.
# The other classes share the rest equally.
Prediction = tuple[tuple[int, int, int, int], Mapping[str, float]]

# The predictions of the six queries, by the seed of their scene. The first scene has a circle (0), a star (1) and a
# ring (2): queries 1 and 2 both find the star, one with a better box, one with a higher class score. The second scene
# has a ring (0), a star (1), a small ring (2) and a triangle (3): query 2 costs least for the star and the triangle.
SCENES: dict[int, list[Prediction]] = {
    23: [
        ((270, 52, 362, 155), {"ring": 0.88, NONE: 0.06}),
        ((31, 140, 166, 268), {"star": 0.48, "cross": 0.2, NONE: 0.22}),
        ((50, 118, 186, 246), {"star": 0.93, NONE: 0.03}),
        ((142, 192, 218, 284), {"circle": 0.42, "ring": 0.16, NONE: 0.3}),
        ((300, 196, 352, 250), {"square": 0.03, NONE: 0.94}),
        ((104, 158, 240, 258), {"star": 0.3, "circle": 0.24, NONE: 0.36}),
    ],
    24: [
        ((84, 14, 182, 118), {"ring": 0.9, NONE: 0.05}),
        ((148, 80, 200, 136), {"ring": 0.71, "circle": 0.12, NONE: 0.12}),
        ((236, 138, 322, 228), {"star": 0.52, "triangle": 0.32, NONE: 0.1}),
        ((206, 112, 272, 178), {"star": 0.28, "cross": 0.22, NONE: 0.42}),
        ((300, 40, 372, 120), {"triangle": 0.1, NONE: 0.84}),
        ((58, 34, 150, 134), {"ring": 0.52, NONE: 0.42}),
    ],
}
ANCHORS = [(x, y, 0.3, 0.42) for y in (0.28, 0.72) for x in (0.2, 0.5, 0.8)]  # of the six queries, cxcywh
PROGRESS = (0.45, 0.8, 1.0)  # of each layer, from the anchor to the prediction

# The assignment problems of the page. Rows are workers or objects, columns jobs or queries.
EXAMPLES: dict[str, Any] = {
    "matching": {
        "stuck": {
            "workers": ["Ana", "Ben", "Cleo", "Dan"],
            "jobs": ["oven", "till", "garden", "shelves"],
            "able": [[0, 0], [0, 1], [1, 0], [2, 1], [2, 2], [3, 2], [3, 3]],
            "chosen": [[0, 0], [2, 1], [3, 2]],
        },
        "hours": {
            "workers": ["Ana", "Ben", "Cleo"],
            "jobs": ["oven", "till", "garden"],
            "cost": [[8, 3, 6], [5, 2, 6], [7, 9, 1]],
        },
        "short": {
            "workers": ["Eva", "Finn", "Gus", "Hana"],
            "jobs": ["milk", "bread", "fruit", "post"],
            "able": [[0, 0], [0, 1], [1, 0], [1, 1], [2, 1], [3, 1], [3, 2], [3, 3]],
        },
        "trips": {
            "workers": ["Eva", "Finn", "Gus"],
            "jobs": ["milk", "bread", "fruit"],
            "cost": [[5, 4, 3], [2, 6, 1], [7, 4, 8]],
        },
    },
    "permutations": {
        "worked": [[1, 2], [2, 4]],
        "three": [[4, 5, 8], [1, 7, 3], [6, 3, 9]],
        "pick": [[7, 9, 4], [3, 6, 5], [2, 8, 1]],
        "greedy": [[5, 2, 3], [7, 8, 4], [6, 1, 6]],
        "regret": [[6, 4, 1], [5, 7, 3], [2, 8, 9]],
    },
    # Pairs of boxes, cxcywh.
    "boxes": {
        "pair": [[0.5, 0.3, 0.2, 0.14], [0.54, 0.328, 0.22, 0.154]],
        "near": [[0.4, 0.45, 0.3, 0.4], [0.5, 0.55, 0.3, 0.4]],
        "close": [[0.38, 0.4, 0.28, 0.36], [0.5, 0.48, 0.28, 0.36]],
    },
}


def write_tour(path: str | Path) -> None:
    """Write the tour as one HTML file that needs nothing else.

    Raises:
        UsageError: `path` is a folder, or the folder that it names does not exist.
        OutputError: it cannot be written.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     write_tour(Path(folder) / "tour.html")
        ...     (Path(folder) / "tour.html").stat().st_size < 1_000_000
        True
    """
    file = Path(path)
    if file.is_dir() or not file.parent.is_dir():
        raise UsageError(f"{file} cannot be written: name a file in a folder that exists.")
    page = render(tour_payload())
    write_whole(file, page)


def tour_payload() -> dict[str, Any]:
    """What the page of the tour reads: see `payload.report_payload`; `chapters` holds `EXAMPLES`."""
    layers = [f"layer {layer}" for layer in range(1, len(PROGRESS) + 1)]
    images = [show_scene(seed) for seed in SCENES]
    return report_payload(images, title=TITLE, classes=CLASSES, layers=layers) | {"kind": "tour", "chapters": EXAMPLES}


def show_scene(seed: int) -> ReportImage:
    """Draw one of the scenes and compute the facts of its predictions."""
    pixels, boxes_xyxy, labels = draw_scene(seed, SIZE)
    boxes = _fractions(torch.from_numpy(boxes_xyxy).float())
    targets = Targets.from_list([{"labels": torch.from_numpy(labels), "boxes": boxes}])
    return make_report_image(f"{len(labels)} objects", seed, pixels, hand_made(SCENES[seed]), targets, SetCriterion())


def hand_made(predictions: Sequence[Prediction]) -> Outputs:
    """Move each query from its anchor and from equal probabilities to its prediction, layer by layer."""
    progress = torch.tensor(PROGRESS)[:, None, None]  # (L, 1, 1)
    start = torch.tensor(ANCHORS)
    final = _fractions(torch.tensor([box_xyxy for box_xyxy, _ in predictions]))  # (Q, 4)
    p = torch.stack([_distribution(probabilities) for _, probabilities in predictions])  # (Q, K)
    p = (1 - progress) / p.shape[-1] + progress * p
    return Outputs(p.log()[:, None], (start + progress * (final - start))[:, None])


def _distribution(probabilities: Mapping[str, float]) -> Tensor:
    """Probabilities of all classes, no-object last, (K,)."""
    names = (*CLASSES, NONE)
    rest = (1 - sum(probabilities.values())) / (len(names) - len(probabilities))
    return torch.tensor([probabilities.get(name, rest) for name in names])


def _fractions(boxes_xyxy: Tensor) -> Tensor:
    """Pixels of a scene to cxcywh in [0, 1]."""
    height, width = SIZE
    return xyxy_to_cxcywh(boxes_xyxy / torch.tensor([width, height, width, height]))
