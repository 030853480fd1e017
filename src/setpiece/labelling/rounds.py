"""Rounds of training: each goes on from the weights of the one before, with the labels that there are by then.

```
training/round-7/    model.safetensors, config.json, and round.json, which is written last: then the round is whole
training/rounds.json    what each round measured
```
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from setpiece.atomic import write_whole
from setpiece.data.dataset import Dataset
from setpiece.errors import SetpieceError
from setpiece.evaluation import evaluate_coco
from setpiece.evaluation.matches import class_matches
from setpiece.evaluation.precision import bootstrap
from setpiece.inference.evaluation import results_of
from setpiece.inference.predictor import Predictor
from setpiece.labelling.labels import Category
from setpiece.model.checkpoint import Checkpoint, load, save, with_classes
from setpiece.training.config import TrainConfig, resolve
from setpiece.training.start import starting_checkpoint
from setpiece.training.studies import extrapolate
from setpiece.training.train import train

__all__ = ["LEAST_HELD_OUT", "Recipe", "Rounds", "measured"]

LEAST_HELD_OUT = 2  # labelled images with objects from which on AP is measured
MORE = 50  # images that the forecast is about
RECENT = 8  # rounds that it is read from


@dataclass(frozen=True)
class Recipe:
    """How is trained.

    Attributes:
        model: a preset.
        size: input size in pixels; the preset's own where None.
        seconds: of a round; by the number of images where None.
    """

    model: str
    size: int | None = None
    seconds: float | None = None

    def config(self, dataset: Dataset, seconds: float, start: Checkpoint | None = None, **given: Any) -> TrainConfig:
        """The settings of a training of so many seconds."""
        size = self.size if start is None else start.size.shortest
        return resolve(dataset.root, self.model, start, minutes=seconds / 60, size=size, **given)

    def round_seconds(self, images: int) -> float:
        """Of a round: few images are learned soon, and their labeller waits for the first suggestions."""
        return self.seconds or float(min(25, 8 + images))


class Rounds:
    """The rounds of a folder of labels, read from disk.

    Args:
        folder: `training` in it.
        recipe: how is trained.

    Attributes:
        rows: what each round measured.
        checkpoint: of the last round; None before it.
        categories: ids of the classes of that checkpoint.
        sequence: the last change of the labels that it has learned from; -1 before the first round.
        number: of the last round.
    """

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        self._folder, self._recipe = folder, recipe
        self.rows: list[dict[str, Any]] = []
        self.checkpoint: Checkpoint | None = None
        self.categories: tuple[int, ...] = ()
        self.sequence = -1
        with suppress(OSError, ValueError):
            self.rows = json.loads((folder / "rounds.json").read_bytes())
        self.number = int(self.rows[-1]["round"]) if self.rows else 0
        whole = [path for path in folder.glob("round-*") if (path / "round.json").is_file()]
        for path in sorted(whole, key=lambda path: int(path.name.removeprefix("round-")), reverse=True):
            with suppress(SetpieceError, OSError, ValueError, KeyError):
                about = json.loads((path / "round.json").read_bytes())
                checkpoint = load(path)
                self.number = max(self.number, int(path.name.removeprefix("round-")))
                if checkpoint.preset == recipe.model:
                    self.checkpoint, self.categories = checkpoint, tuple(about["categories"])
                    self.sequence = about["sequence"]
                    return
                self.rows = []  # what another preset measured says nothing of this one

    def start_for(self, classes: Sequence[Category]) -> Checkpoint | None:
        """The last round's weights for the present classes; a class keeps what was learned of it under any name."""
        if self.checkpoint is None:
            return None
        names = {category.id: category.name for category in classes}
        gone = (f"removed class {id}" for id in self.categories)
        now = tuple(names.get(id, old) for id, old in zip(self.categories, gone, strict=True))
        return with_classes(replace(self.checkpoint, classes=now), [each.name for each in classes], None)

    def train(self, dataset: Dataset, classes: Sequence[Category], sequence: int) -> None:
        """Train a round, and keep its weights.

        Args:
            dataset: what to learn from.
            classes: of the labels.
            sequence: the last change that is in it.

        Raises:
            SetpieceError: see `train`.
        """
        start = self.start_for(classes)
        seconds = self._recipe.round_seconds(len(dataset.examples))
        config = self._recipe.config(dataset, seconds, start, seed=self.number)
        run = self._folder / "run"
        shutil.rmtree(run, ignore_errors=True)
        start = start or starting_checkpoint(config, dataset.classes)
        self.checkpoint = train(start, dataset, None, config, run).checkpoint
        self.categories, self.sequence = tuple(category.id for category in classes), sequence
        shutil.rmtree(run, ignore_errors=True)
        self._publish()

    def _publish(self) -> None:
        assert self.checkpoint is not None
        earlier = list(self._folder.glob("round-*"))
        self.number += 1
        folder = self._folder / f"round-{self.number}"
        shutil.rmtree(folder, ignore_errors=True)
        save(self.checkpoint, folder)
        about = {"categories": self.categories, "sequence": self.sequence}
        write_whole(folder / "round.json", json.dumps(about))
        for path in earlier:
            if path != folder:
                shutil.rmtree(path, ignore_errors=True)

    def measure(self, dataset: Dataset, valid: Dataset) -> dict[str, Any]:
        """AP of the last round on the labelled images that are held out, and a row of it."""
        assert self.checkpoint is not None
        ap = low = high = None
        if sum(len(example.labels) > 0 for example in valid.examples) >= LEAST_HELD_OUT:
            ap, low, high = measured(self.checkpoint, valid)
        row = {
            "round": self.number,
            "labelled": len(dataset.examples) + len(valid.examples),
            "boxes": sum(len(example.labels) for part in (dataset, valid) for example in part.examples),
            "ap": ap, "low": low, "high": high,
        }  # fmt: skip
        self.rows.append(row)
        write_whole(self._folder / "rounds.json", json.dumps(self.rows))
        return row

    def forecast(self) -> dict[str, Any] | None:
        """What AP 50 more images would add, between "low" and "high"; None where too few rounds say it."""
        by_images = {row["labelled"]: row["ap"] for row in self.rows if row["ap"] is not None}
        recent = sorted(by_images.items())[-RECENT:]
        if not recent:
            return None
        images, ap = [count for count, _ in recent], [value for _, value in recent]
        reached = extrapolate(images, ap, images[-1] + MORE)
        if reached is None:
            return None
        low, high = (round(min(value, 1.0) - ap[-1], 4) for value in reached)
        return {"images": MORE, "low": low, "high": high}


def measured(checkpoint: Checkpoint, valid: Dataset) -> tuple[float | None, float | None, float | None]:
    """AP of a detector and its 95 % interval (bootstrap over the images); None where there are no objects."""
    truth, results = valid.to_coco(), results_of(Predictor(checkpoint), valid)
    ap = evaluate_coco(truth, results).AP
    interval, _ = bootstrap(class_matches(truth, results))
    values = (None if math.isnan(value) else round(value, 4) for value in (ap, interval.low, interval.high))
    first, low, high = values
    return first, low, high
