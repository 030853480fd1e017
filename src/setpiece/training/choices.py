"""Settings that the data decides, where the user does not: what is chosen, and why."""

from __future__ import annotations

import copy
import re
from collections import Counter
from dataclasses import replace
from typing import cast

import numpy as np
from jaxtyping import Float64, Int64

from setpiece.data.dataset import Dataset, Example
from setpiece.data.items import Orientations
from setpiece.model.checkpoint import Checkpoint
from setpiece.training.config import TrainConfig

__all__ = ["choose_orientations", "choose_queries", "choose_weights", "common_aspect", "fit_to_data"]

TURNED = {"left", "right", "l", "r", "up", "down", "clockwise", "counterclockwise", "anticlockwise", "arrow"}
ELONGATED = 0.3  # |mean| over standard deviation of log(w / h), from which on objects lie or stand
RARE = 0.1  # share of the images: a class in fewer of them is drawn more often
STEADY = 0.2  # standard deviation of log(w / h) of a class whose boxes are as good as alike
ALIKE = 1.05  # ratio of two aspects that count as the same
MOST_OFTEN = 4.0  # times the others


def choose_orientations(dataset: Dataset) -> tuple[Orientations, str]:
    """The orientations in which an image shows the same classes.

    "upright" where names of classes suggest that turning or mirroring changes them: digits, letters, left and right.
    "mirrored" where most objects lie or stand, since then the images have an above and a below: by the mean of
    log(w / h) over its standard deviation, averaged over the boxes of all classes. Else "all".
    """
    words = [set(re.split(r"[\W_]+", name.lower())) for name in dataset.classes]
    turned = [name for name, parts in zip(dataset.classes, words, strict=True) if parts & TURNED]
    characters = [name for name in dataset.classes if len(name) == 1 and name.isalnum()]
    if turned or len(characters) > 1:
        return "upright", f"turning may change classes such as {', '.join((turned or characters)[:2])}"
    elongation = _elongation(dataset)
    if elongation > ELONGATED:
        return "mirrored", "most objects are wider than high, or higher than wide"
    return "all", "objects are as often high as wide"


def _labels(example: Example) -> Int64[np.ndarray, " N"]:
    """Those that are trained on: crowds are left out."""
    return example.labels[~example.crowd]


def _elongation(dataset: Dataset) -> float:
    labels = np.concatenate([[], *(_labels(example) for example in dataset.examples)])
    boxes_xyxy = np.concatenate([np.zeros((0, 4)), *(e.boxes_xyxy[~e.crowd] for e in dataset.examples)])
    width, height = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).T
    log = np.log(width / height)
    total = 0.0
    for label in set(labels):
        of_class = log[labels == label]
        total += len(of_class) * abs(of_class.mean()) / max(of_class.std(), STEADY)
    return total / max(len(log), 1)


def common_aspect(dataset: Dataset, orientations: Orientations) -> float:
    """Height over width of the images where all have nearly the same and keep it in every orientation; else 1."""
    aspects = [example.height / example.width for example in dataset.examples]
    if orientations == "all" or not aspects or max(aspects) > ALIKE * min(aspects):
        return 1.0
    return float(np.median(aspects))


def choose_queries(dataset: Dataset, fewest: int) -> tuple[int, str]:
    """Queries for the densest image, with half as many to spare; a multiple of 50, at least `fewest`."""
    densest = _densest(dataset)
    wanted = -(-densest * 3 // 2 // 50) * 50
    if wanted <= fewest:
        return fewest, f"at most {densest} objects in an image"
    return wanted, f"up to {densest} objects in an image"


def _densest(dataset: Dataset) -> int:
    return max((len(_labels(example)) for example in dataset.examples), default=0)


def choose_weights(dataset: Dataset) -> Float64[np.ndarray, " N"]:
    """How often training draws each image: more often where it shows a rare class.

    max over its classes c of √(t / f_c), within [1, 4], with f_c the share of the images that show c, and t the smaller
    of 0.1 and the median of all f_c.

    References:
        Gupta et al., LVIS, arXiv 1908.03195 (repeat factor sampling).
    """
    shown = Counter(label for example in dataset.examples for label in set(_labels(example).tolist()))
    shares = {label: count / len(dataset.examples) for label, count in shown.items()}
    threshold = min([RARE, float(np.median(list(shares.values())))]) if shares else RARE
    factors = {label: float(np.clip((threshold / share) ** 0.5, 1, MOST_OFTEN)) for label, share in shares.items()}
    labels = (set(_labels(example).tolist()) for example in dataset.examples)
    return np.array([max((factors[label] for label in of_image), default=1.0) for of_image in labels])


def fit_to_data(
    config: TrainConfig, checkpoint: Checkpoint, dataset: Dataset
) -> tuple[TrainConfig, Checkpoint, Dataset, list[str]]:
    """Decide what the user left to the data.

    Returns:
        The settings without "auto"; the checkpoint with its number of queries; the data set with its weights; what was
        chosen and why, as sentences.
    """
    chosen: dict[str, object] = {}
    reasons = []
    if config.orientations == "auto":
        chosen["orientations"], why = choose_orientations(dataset)
        reasons.append(f"orientations {chosen['orientations']} ({why})")
    queries = config.queries or checkpoint.model.num_queries
    if config.queries is None and checkpoint.model.query_slots == "top-k":
        queries, why = choose_queries(dataset, checkpoint.model.num_queries)
        chosen["queries"] = queries
        if queries != checkpoint.model.num_queries:
            reasons.append(f"{queries} queries ({why})")
    if queries != checkpoint.model.num_queries:
        checkpoint = replace(checkpoint, model=copy.deepcopy(checkpoint.model))
        checkpoint.model.change_queries(queries)
    if config.balance and dataset.weights is None:
        weights = choose_weights(dataset)
        if len(weights) and weights.max() > weights.min():
            dataset = replace(dataset, weights=tuple(weights.tolist()))
            reasons.append("images with rare classes drawn more often")
    aspect = common_aspect(dataset, cast(Orientations, chosen.get("orientations", config.orientations)))
    if config.augmentation == "canvas" and aspect != 1:
        reasons.append(f"a canvas {aspect:.2f} times as high as wide (as all images are)")
    sentences = [f"Chosen by the data: {', '.join(reasons)}."] if reasons else []
    if _densest(dataset) > queries:
        sentences.append(
            f"There are up to {_densest(dataset)} objects in an image, and {queries} queries, each of which finds one: "
            "the others of such an image are not learned."
        )
    return config.model_copy(update=chosen), checkpoint, dataset, sentences
