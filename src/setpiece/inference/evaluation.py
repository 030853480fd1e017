"""A model on a data set -> COCO metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from setpiece.data.dataset import Dataset
from setpiece.errors import DataError
from setpiece.evaluation import CocoMetrics, evaluate_coco, to_coco_results
from setpiece.inference.detecting import BATCH_SIZE, Detecting

__all__ = ["evaluate", "match_classes", "results_of"]

Results = list[dict[str, Any]]


def evaluate(predictor: Detecting, dataset: Dataset, *, batch_size: int = BATCH_SIZE) -> CocoMetrics:
    """COCO metrics of a model on one split of a data set; classes are brought together by their names.

    Args:
        batch_size: images per forward pass.

    Raises:
        DataError: the data set has classes that the model does not know.
    """
    return evaluate_coco(dataset.to_coco(), results_of(predictor, dataset, batch_size=batch_size))


def results_of(
    predictor: Detecting,
    dataset: Dataset,
    *,
    batch_size: int = BATCH_SIZE,
    workers: int = 0,
    rank: int = 0,
    world_size: int = 1,
    gather: Callable[[Results], Results] = list,
) -> Results:
    """What a model detects in one split of a data set, as COCO results; classes are brought together by their names.

    Args:
        batch_size: images per forward pass.
        workers: processes that load images ahead.
        rank: which process this is, in [0, world_size).
        world_size: number of processes that evaluate; each predicts for its share of the images.
        gather: the results of this process -> the results of all processes. By default a copy: there is one.

    Raises:
        DataError: the data set has classes that the model does not know.
    """
    category_ids = match_classes(predictor.classes, dataset)
    results: Results = []
    share = {"rank": rank, "world_size": world_size}
    for image_id, found in predictor.detect(dataset, batch_size=batch_size, workers=workers, **share):
        results += to_coco_results([found], [image_id], category_ids)
    return gather(results)


def match_classes(classes: Sequence[str], dataset: Dataset) -> list[int | None]:
    """The data set's category id of each class of a model; None for a class that the data set does not have.

    Raises:
        DataError: the data set has a class that the model does not know.
    """
    unknown = [name for name in dataset.classes if name not in classes]
    if unknown:
        raise DataError(
            f"The model detects {', '.join(classes[:8])}{' …' if len(classes) > 8 else ''} and does not know the "
            f"class{'es' if len(unknown) > 1 else ''} {', '.join(unknown[:8])} of {dataset.root}: train it on this "
            "data set first."
        )
    ids = dict(zip(dataset.classes, dataset.category_ids, strict=True))
    return [ids.get(name) for name in classes]
