"""Recording a run: counters over every step, snapshots of the probe images, a file for every epoch.

A step's outputs are read after its losses, so on a GPU the loop does not wait for the device a second time. Recording
counts as training time, except for the snapshot before the first step. A snapshot is taken after an epoch if at least
`PER_PROBE` images per probe were trained on since the last snapshot, and at the end of the run. A forward pass at
evaluation size takes about half as long as training on an image, so snapshots take about 1 % of the training.

With several processes the main one alone records, and it counts its own share of the images.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from setpiece.data.dataset import Dataset, Example
from setpiece.errors import NonFiniteCostError
from setpiece.inference.predictor import Predictor
from setpiece.records import Batch, Losses, Outputs
from setpiece.runs import recording_files
from setpiece.runs.recording import Epoch, Header, Snapshot
from setpiece.setloss import SetCriterion
from setpiece.training.counters import Counters, Seen, join
from setpiece.training.probes import Probes, choose

__all__ = ["JOINED", "PER_PROBE", "Recorder"]

PER_PROBE = 50  # training images for each probe image of a snapshot
FEWEST_PROBES, MOST_PROBES = 2, 8
JOINED = 8  # steps that are counted at a time
SAMPLES = 8  # training images whose predictions a snapshot keeps whole


class Recorder:
    """Records a run, step by step and epoch by epoch.

    Args:
        folder: to write to, see `setpiece.runs.recording`.
        probes: predicted by the EMA model.
        split: that the probes are from.
        criterion: that the run trains with.
        examples: the training images.
        steps_per_epoch: of which at most `SAMPLES` are sampled.
    """

    def __init__(
        self,
        folder: Path,
        probes: Probes,
        split: str,
        criterion: SetCriterion,
        examples: Sequence[Example],
        *,
        steps_per_epoch: int,
    ) -> None:
        self.folder, self.probes, self.criterion = folder, probes, criterion
        checkpoint, model = probes.predictor.checkpoint, probes.predictor.checkpoint.model
        self.steps, self.every = 0, -(-steps_per_epoch // SAMPLES)
        self.images = 0  # since the latest snapshot
        self.counters = Counters(len(model.prediction_sets), model.num_queries, examples)
        self.waiting: list[Seen] = []
        self.sample: deque[tuple[Tensor, Tensor]] = deque(maxlen=SAMPLES)
        self.header = Header(
            preset=checkpoint.preset,
            classes=list(checkpoint.classes),
            form=model.form,
            layers=list(model.prediction_sets),
            queries=model.num_queries,
            slots=model.query_slots,
            images=len(examples),
            split=split,
            probes=probes.describe(),
        )

    @classmethod
    def of_run(
        cls,
        folder: Path,
        predictor: Predictor,
        criterion: SetCriterion,
        examples: Sequence[Example],
        valid: Dataset | None,
        *,
        seed: int,
        steps_per_epoch: int,
    ) -> Recorder:
        """Draw the probes of a run, read them, and record it.

        Args:
            predictor: of the EMA model.
            valid: the data set that the probes are drawn from; the training images where None.
            seed: of that draw.
        """
        count = min(MOST_PROBES, max(FEWEST_PROBES, len(examples) // PER_PROBE))
        probes = Probes.read(choose(valid.examples if valid else examples, count, seed), predictor)
        split = valid.split if valid else "train"
        return cls(folder, probes, split, criterion, examples, steps_per_epoch=steps_per_epoch)

    def begin(self, epoch: int, step: int, seconds: float) -> None:
        """Start a recording, replacing one that is there, with a snapshot before its first step."""
        recording_files.cut(self.folder, -1)
        recording_files.write_header(self.folder, self.header)
        self.probes.write_pictures(self.folder)
        self._write(epoch, step, seconds, self._snapshot())

    def step(self, outputs: Outputs, batch: Batch, losses: Losses) -> None:
        """Count a step that was made."""
        seen = Seen.of_step(outputs, batch, losses)
        if self.waiting and self.waiting[0].boxes.shape[1] != seen.boxes.shape[1]:
            self._count()
        self.waiting.append(seen)
        if len(self.waiting) == JOINED:
            self._count()
        if self.steps % self.every == 0:
            boxes, slots = seen.boxes[0].cpu(), seen.match[-1, 0].cpu()  # (Q, 4), (T,)
            self.sample.append(
                (boxes, torch.zeros(len(boxes), dtype=torch.bool).index_fill(0, slots[slots >= 0], True))
            )
        self.steps += 1
        self.images += len(batch.image_ids)

    def _count(self) -> None:
        if self.waiting:
            self.counters.add(join(self.waiting), self.criterion)
            self.waiting.clear()

    def end_epoch(self, epoch: int, step: int, seconds: float, *, final: bool) -> None:
        """Write the file of an epoch, with a snapshot if one is due.

        Args:
            epoch: counted from 1.
            step: steps done since the start of the run.
            seconds: of training since the start of the run.
            final: whether this may be the last epoch of the run.
        """
        self._count()
        snapshot = None
        if final or self.images >= PER_PROBE * len(self.probes.examples):
            snapshot, self.images = self._snapshot(), 0
        self._write(epoch, step, seconds, snapshot)
        self.counters.clear()

    def _snapshot(self) -> Snapshot | None:
        """Predict the probes; None where the model predicts NaN or infinity, which the next step reports."""
        try:
            predicted = self.probes.snapshot()
        except NonFiniteCostError:
            return None
        boxes = np.zeros((len(self.sample), self.counters.queries, 4), np.float32)
        matched = np.zeros(boxes.shape[:2], bool)
        for row, (some, flags) in enumerate(self.sample):
            boxes[row, : len(some)], matched[row, : len(some)] = some.numpy(), flags.numpy()
        self.sample.clear()
        return Snapshot(**predicted, sample=boxes, sample_matched=matched)

    def _write(self, epoch: int, step: int, seconds: float, snapshot: Snapshot | None) -> None:
        counted = self.counters.epoch()
        written = Epoch(epoch=epoch, step=step, seconds=seconds, snapshot=snapshot, **counted)
        recording_files.write_epoch(self.folder, written)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs to go on as if it had not been interrupted, up to rounding in its sums."""
        self._count()
        return {
            "steps": self.steps,
            "images": self.images,
            "sample": list(self.sample),
            "counters": self.counters.state_dict(),
        }

    def goes_on(self) -> bool:
        """Whether the recording in the folder is of these probes and this model, so that it can be continued."""
        return recording_files.has_header(self.folder, self.header)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what `state_dict` returned."""
        self.steps, self.images = state["steps"], state["images"]
        self.sample.extend(state["sample"])
        self.counters.load_state_dict(state["counters"])
