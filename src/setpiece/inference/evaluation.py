"""A model on a data set -> detections -> COCO metrics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import gather_object

from setpiece.data.augmentation.paper import InputSize
from setpiece.data.batching import eval_loader
from setpiece.data.dataset import Dataset
from setpiece.errors import DataError
from setpiece.evaluation import CocoMetrics, evaluate_coco, to_coco_results, to_detections
from setpiece.inference.precision import autocast
from setpiece.model.checkpoint import Checkpoint

import supervision as sv  # isort: skip  # after our evaluation, which imports it without its warning


def detect(
    checkpoint: Checkpoint,
    dataset: Dataset,
    *,
    threshold: float = 0.0,
    batch_size: int = 8,
    workers: int = 0,
    bf16: bool = False,
    rank: int = 0,
    world_size: int = 1,
) -> Iterator[tuple[int, sv.Detections]]:
    """(image id, detections in the original image's pixels) of every image that this process looks at."""
    model = checkpoint.model
    loader = eval_loader(
        dataset,
        InputSize(checkpoint.shortest, checkpoint.longest),
        checkpoint.mean,
        checkpoint.std,
        batch_size=batch_size,
        workers=workers,
        rank=rank,
        world_size=world_size,
    )
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            for batch in loader:
                batch = batch.to(device)
                with autocast(device, bf16):
                    outputs = model(batch.images, batch.padding)
                found = to_detections(
                    outputs, batch.original_sizes, checkpoint.classes, model.form, threshold=threshold
                )
                yield from zip(batch.image_ids.tolist(), found, strict=True)
    finally:
        model.train(was_training)


def evaluate(checkpoint: Checkpoint, dataset: Dataset, **options: Any) -> CocoMetrics:
    """COCO metrics of a checkpoint on one split of a data set; classes are brought together by their names.

    Where several processes run, each looks at its share of the images, and all return the same metrics.

    Args:
        options: `batch_size`, `workers` and `bf16` of `detect`.

    Raises:
        DataError: the data set has classes that the checkpoint does not know.
    """
    category_ids = match_classes(checkpoint.classes, dataset)
    processes = PartialState()
    results: list[dict[str, Any]] = []
    share = {"rank": processes.process_index, "world_size": processes.num_processes}
    for image_id, found in detect(checkpoint, dataset, **share, **options):
        results += to_coco_results([found], [image_id], category_ids)
    return evaluate_coco(dataset.to_coco(), gather_object(results))


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
