"""The training loop: epochs of steps, with evaluation, saving and recording between them, in one process or many.

Everything that a step draws at random is drawn from (seed, epoch, image) or (seed, step), and everything that it
depends on is in the saved state. So a run of a given number of epochs that was killed and resumed ends exactly like an
uninterrupted one. (A run of a given number of minutes depends on the clock.)
"""

from __future__ import annotations

import copy
import signal
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch.utils.data import DataLoader

from setpiece.data.batching import (
    EpochSampler,
    Item,
    TrainImages,
    batches_of,
    load_ahead,
    loading_processes,
    train_loader,
)
from setpiece.data.dataset import Dataset
from setpiece.errors import (
    LoadingError,
    NonFiniteCostError,
    NonFiniteError,
    OutputError,
    StoppedError,
    WeightsError,
)
from setpiece.evaluation import CocoMetrics, evaluate_coco
from setpiece.evaluation.matches import THRESHOLDS, class_matches
from setpiece.evaluation.thresholds import curve
from setpiece.inference.evaluation import results_of
from setpiece.inference.fast import fast
from setpiece.inference.predictor import Predictor
from setpiece.inference.thresholds import DEFAULT
from setpiece.model.checkpoint import Checkpoint, load, save
from setpiece.records import Batch
from setpiece.runs import recording_files
from setpiece.runs.capture import Capture, write_capture
from setpiece.runs.layout import RunFolder, read_metrics, write_metrics
from setpiece.runs.provenance import provenance
from setpiece.runs.state import Position, load_state, save_state
from setpiece.training import memory_use
from setpiece.training.config import TrainConfig
from setpiece.training.display import Display, Status
from setpiece.training.events import Events
from setpiece.training.finite import likely_cause, usual_learning_rate
from setpiece.training.neighbours import Neighbours
from setpiece.training.pictures import write_pictures
from setpiece.training.recorder import Recorder
from setpiece.training.replicas import one_thread_per_operation
from setpiece.training.result import TrainingResult
from setpiece.training.schedule import Stopwatch, image_scale
from setpiece.training.step import Stepper
from setpiece.training.stopping import StopNow, StopSignals
from setpiece.training.trackers import Tracker

__all__ = ["Trainer"]

SAVE_SECONDS = 60.0  # a kill loses at most this much
MOST_DEATHS = 3  # of loading processes in an epoch


class Trainer:
    """A run in progress. It reads and writes no file before `run`.

    Args:
        config: the settings of the run.
        accelerator: brings the processes of the run together.
        checkpoint: what to start from; it stays as it is.
        images: to train on.
        valid: to evaluate on; nothing is evaluated where None.
        folder: of the run.
        display: where progress is shown.
    """

    def __init__(
        self,
        config: TrainConfig,
        accelerator: Accelerator,
        checkpoint: Checkpoint,
        images: TrainImages,
        valid: Dataset | None,
        folder: RunFolder,
        display: Display,
    ) -> None:
        self.config, self.accelerator, self.images, self.valid = config, accelerator, images, valid
        self.folder, self.display = folder, display
        self.sampler = EpochSampler(
            len(images),
            config.batch_size,
            seed=config.seed,
            rank=accelerator.process_index,
            world_size=accelerator.num_processes,
            weights=images.weights,
        )
        self.stepper = Stepper(checkpoint.model, config, accelerator, self.sampler.batch_size)
        self.checkpoint = replace(checkpoint, model=self.stepper.ema_model, thresholds=None)
        self.predictor = Predictor(self.checkpoint, config.precision)
        by_device = loading_processes(accelerator.device, accelerator.num_processes)
        self.workers = by_device if config.workers is None else config.workers
        self.loader = self._new_loader()
        self.position, self.watch, self.saved_at = Position(), Stopwatch(), 0.0
        # Where all of a run is in this process, and on its cores.
        whole = accelerator.device.type == "cpu" and accelerator.num_processes == 1 and self.workers == 0
        self.neighbours = Neighbours() if whole else None
        self.progress = 0.0  # share of the run that is done; all processes agree on it
        self.best: TrainingResult | None = None
        self.best_step: int | None = None  # that it was evaluated after
        self.recorder: Recorder | None = None  # of the main process, like the events
        self.events: Events | None = None
        self.tracker: Tracker | None = None
        self.signals = StopSignals()

    def run(self) -> TrainingResult:
        """Train to the end, from the saved state if there is one.

        Raises:
            WeightsError: the saved state cannot be read, or is of another model.
            NonFiniteError: the training diverged; the step is captured, see `runs.capture`.
            OutputError: a file of the run cannot be written.
            UsageError: the tracker cannot be started.
            StoppedError: Ctrl-C or SIGTERM came; the state after the latest step is saved.
        """
        self.saved_at = time.monotonic()
        recorded = self._load_state()
        if self.accelerator.is_main_process:
            self.folder.cut_metrics(self._recorded_step())
            self.folder.begin()
            self.display.resumed(self.folder.metrics_rows())
            if (tracker := self.config.tracker) is not None:
                self.tracker = Tracker(tracker, self.folder, self.config.to_dict(), self.display.say)
            self.events = Events(self.folder.tensorboard, self._recorded_step())
        with self.events or nullcontext(), self.tracker or nullcontext(), self.signals:
            if self.accelerator.is_main_process:
                self._start_recording(recorded)
            self.progress = self._measure_progress()
            try:
                while self._is_open() or (self.progress < 1 and not self._is_stale()):
                    self._epoch()
                    self._stop_if_asked()
            except StopNow:
                raise self._stopped(int(self.signals.received or 0)) from None
        ended = "done"
        if self.progress < 1:
            count = self.position.stale
            ended = f"Ended at {self.progress:.0%}: {count} evaluations in a row brought no higher AP."
            self.display.say(ended)
        if broken := self._broken():
            self.display.say(
                f"{len(broken)} of the images could not be read any more when their turn came; a grey one without "
                f"objects took the place of {', '.join(broken[:5])}{' and others' if len(broken) > 5 else ''}."
            )
        if self.neighbours is not None and (sentence := self.neighbours.sentence()):
            self.display.say(sentence)
        if self.accelerator.is_main_process:
            self.folder.end(ended)
        self.accelerator.wait_for_everyone()  # what the main process writes is there for all
        return self.best or TrainingResult(self.folder.last, self._copy(), None)

    def _broken(self) -> list[str]:
        """The files that broke while all processes trained."""
        examples = self.images.examples
        broken = gather_object([str(examples[index].path) for index in self.images.broken.nonzero()[:, 0].tolist()])
        return sorted(set(broken))

    def _is_open(self) -> bool:
        """Whether an epoch is begun, of which all steps may be done, or an evaluation lacks that is due."""
        return self.position.batch > 0 or self._due() > self.position.evaluated

    def _is_stale(self) -> bool:
        return self.config.patience is not None and self.position.stale >= self.config.patience

    def _may_be_last(self) -> bool:
        """Whether the run may end with this epoch: that of the evaluation after which patience may be lost is one."""
        position = self.position
        losing = self.config.patience is not None and position.stale + 1 >= self.config.patience
        return self.progress >= 1 or (losing and self._due() > position.evaluated)

    def _recorded_step(self) -> int:
        """The step at the end of the last whole epoch. What was written of later ones is written again."""
        return self.position.step - self.position.batch

    def _start_recording(self, recorded: dict[str, Any] | None) -> None:
        """Go on with the recording of the saved state, or begin one."""
        recording_files.cut(self.folder.recording, self._recorded_step())
        self.recorder = Recorder.of_run(
            self.folder.recording,
            self.predictor,
            self.stepper.criterion,
            self.images.examples,
            self.valid,
            seed=self.config.seed,
            steps_per_epoch=self.sampler.batches_per_epoch,
        )
        if recorded is not None and self.recorder.goes_on():
            self.recorder.load_state_dict(recorded)
        else:
            self.recorder.begin(self.position.epoch, self.position.step, self.watch.elapsed)

    def _measure_progress(self) -> float:
        if self.config.minutes is None:
            return self.position.step / ((self.config.epochs or 1) * self.sampler.batches_per_epoch)
        elapsed = self.watch.elapsed
        if self.accelerator.num_processes > 1:
            seconds = torch.tensor(elapsed, device=self.accelerator.device)
            torch.distributed.broadcast(seconds, src=0)
            elapsed = seconds.item()
        return min(1.0, elapsed / (60 * self.config.minutes))

    def _image_scale(self, batch: int) -> float:
        """The image scale of a batch: from its number if the run's length is in epochs, else from the clock."""
        progress = self.progress
        if self.config.epochs is not None:  # the batch's own progress: loading workers draw it before its step
            progress = (self.position.epoch + batch / self.sampler.batches_per_epoch) / self.config.epochs
        return image_scale(progress, self.config.first_scale)

    def _new_loader(self) -> DataLoader[Item]:
        mean, std = self.checkpoint.mean, self.checkpoint.std
        pinned = self.accelerator.device.type == "cuda"
        return train_loader(self.images, self.sampler, mean, std, workers=self.workers, pinned=pinned)

    def _batches(self) -> Iterator[Batch]:
        """The batches that are left of this epoch. Loading processes that were killed are replaced."""
        deaths = 0
        while True:
            self.sampler.set_epoch(self.position.epoch, self.position.batch, self._image_scale)
            ahead = self.stepper.replicas is not None and self.workers == 0
            try:
                for batch in load_ahead(self.loader) if ahead else batches_of(self.loader):
                    yield batch
                    if ahead and self.stepper.replicas is None:
                        break  # memory ran out: what replaces them draws from the global generators
                else:
                    return
            except LoadingError as error:
                deaths += 1
                if deaths == MOST_DEATHS:
                    raise
                self.display.say(f"{error} Others take its place.")
                self.loader = self._new_loader()

    def _epoch(self) -> None:
        position = self.position
        started_at, seconds = position.batch, self.watch.elapsed
        self.stepper.model.train()
        replicas = self.stepper.replicas is not None
        self.watch.start()
        with one_thread_per_operation() if replicas else nullcontext():
            for batch in self._batches() if self.progress < 1 else ():
                self._step(batch.to(self.accelerator.device, non_blocking=True))
                if self.progress >= 1:
                    break
                self._stop_if_asked()
                if time.monotonic() - self.saved_at > SAVE_SECONDS:
                    self.watch.pause()
                    self._save_state()
                    self.watch.start()
        if self._due() > position.evaluated:
            self.watch.pause()
            self._save_state()  # so that a kill in the evaluation costs no step
            self.watch.start()
        if self.recorder is not None:
            self.recorder.end_epoch(position.epoch + 1, position.step, self.watch.elapsed, final=self._may_be_last())
        self.watch.pause()
        seconds = self.watch.elapsed - seconds
        rate = (position.batch - started_at) * self.sampler.batch_size / max(seconds, 1e-9)
        self._end_epoch({"images_per_second": round(rate, 1), "seconds": round(self.watch.elapsed, 1)})

    def _step(self, batch: Batch) -> None:
        position, shares = self.position, self.stepper.shares.count
        try:
            step = self.stepper.step(batch, position.step, self.progress)
        except NonFiniteError as error:
            raise self._diverged(error, batch) from error
        if self.stepper.shares.count > shares:
            self.display.say(
                f"Memory ran out: each step is now computed in {self.stepper.shares.count} shares, one after the other."
            )
        position.step += 1
        position.batch += 1
        for name, value in step.values.items():
            position.sums[name] = position.sums.get(name, 0.0) + value
        if self.recorder is not None:
            self.recorder.step(step.outputs, batch, step.losses)
        self.progress = self._measure_progress()
        self._show()

    def _stop_if_asked(self) -> None:
        """Save and raise where a signal came, in whichever process."""
        received = int(self.signals.received or 0)
        if self.accelerator.num_processes > 1:
            of_any = torch.tensor(received, device=self.accelerator.device)
            torch.distributed.all_reduce(of_any, torch.distributed.ReduceOp.MAX)
            received = int(of_any)
        if self.progress >= 1 or not received:
            return
        self.watch.pause()
        self._save_state()
        self.accelerator.wait_for_everyone()  # before a process ends, and its launcher ends the one that saves
        raise self._stopped(received)

    def _stopped(self, received: int) -> StoppedError:
        name = "Ctrl-C" if received == signal.SIGINT else signal.Signals(received).name
        if self.accelerator.is_main_process:
            self.folder.end(f"stopped by {name}")
        return StoppedError(
            f"{name} stopped this run after {self.position.step} steps, which are saved. To go on, give the same "
            f"command with --resume --output {self.folder.path}",
            received,
        )

    def _diverged(self, error: NonFiniteError, batch: Batch) -> NonFiniteError:
        """Capture the step, and say where and why it may be."""
        names = {example.image_id: example.path.name for example in self.images.examples}
        files = [names[image_id] for image_id in batch.image_ids.tolist()]
        where = files[error.index[1]] if isinstance(error, NonFiniteCostError) else f"a batch of {', '.join(files)}"
        usual = usual_learning_rate(self.config, self.checkpoint.preset)
        cause = likely_cause(self.stepper.trained, batch, self.config.learning_rate, usual, bf16=self.stepper.bf16)
        process = self.accelerator.process_index
        folder = self.folder.capture(process)
        capture = Capture(
            settings=self.config.to_dict()
            | {"precision": "bf16" if self.stepper.bf16 else "fp32", "cuda_graphs": False},
            batch=batch.to("cpu"),
            files=files,
            step=self.position.step,
            progress=self.progress,
            process=process,
            error=str(error),
            cause=cause,
            made_with=provenance(),
        )
        kept = (
            f"The step is kept in {folder}: setpiece train --replay {folder} computes it again, and setpiece explain "
            f"{folder} shows it."
        )
        try:
            self.folder.end(f"diverged at step {self.position.step}")
            save(replace(self.checkpoint, model=self.stepper.trained), folder)
            write_capture(folder, capture, self.stepper.state_dict())
        except OutputError as failure:
            kept = f"The step could not be kept: {failure}"
        return type(error)(
            f"Training diverged at step {self.position.step} on {where}. {error} {cause} {kept}", error.index
        )

    def _means(self) -> dict[str, float]:
        """Of each loss over this epoch's batches so far."""
        return {name: total / max(self.position.batch, 1) for name, total in self.position.sums.items()}

    def _show(self) -> None:
        seconds = max(self.watch.elapsed, 1e-9)
        self.display.step(
            Status(
                epoch=self.position.epoch + 1,
                done=self.progress,
                losses=self._means(),
                learning_rate=self.stepper.learning_rate,
                rate=self.position.step * self.sampler.batch_size / seconds,
                memory=memory_use.used(self.accelerator.device),
                left=seconds / max(self.progress, 1e-9) * (1 - self.progress),
                note=self.neighbours.note() if self.neighbours else "",
            )
        )

    def _end_epoch(self, speed: dict[str, float]) -> None:
        position, means = self.position, self._means()
        position.epoch, position.batch, position.sums = position.epoch + 1, 0, {}
        row: dict[str, Any] = {"epoch": position.epoch, "step": position.step, **means}
        row["lr"] = self.stepper.learning_rate
        metrics = None
        if self.valid is not None and self._due() > position.evaluated:
            position.evaluated = self._due()
            metrics = self._evaluate(self.valid)
            row |= {name: value for name, value in metrics.to_dict().items() if name != "per_class"}
        if self.events is not None:
            self.folder.append_metrics(row | speed)
            self.events.write(row | speed)
        if self.tracker is not None:
            self.tracker.write(row | speed)
        if metrics is not None:
            is_best = self.best is not None and self.best.metrics is metrics
            self.display.evaluated(position.epoch, self.watch.elapsed, metrics, best=is_best)
        if self.progress >= 1 or metrics is not None:
            self._save_state()

    def _due(self) -> int:
        """How many evaluations are due by now."""
        return 0 if self.valid is None else int(self.progress * self.config.evaluations + 1e-9)

    def _evaluate(self, valid: Dataset) -> CocoMetrics:
        """Evaluate the EMA model. Save it as the last checkpoint, and as the best one if its AP is the highest."""
        self.display.evaluating(self.progress, len(valid.examples))
        predictor = Predictor(fast(self.checkpoint), self.config.precision)  # as `Detector` does: AP is the same there
        share = {"rank": self.accelerator.process_index, "world_size": self.accelerator.num_processes}
        # Several processes stop together, after the evaluation.
        with self.signals.at_once() if self.accelerator.num_processes == 1 else nullcontext():
            try:
                results = results_of(predictor, valid, workers=self.workers, **share)
            except LoadingError as error:
                self.display.say(f"{error} The evaluation goes on without.")
                results = results_of(predictor, valid, **share)
        results = gather_object(results)
        truth = valid.to_coco()
        metrics = evaluate_coco(truth, results)
        if self.accelerator.is_main_process:  # which saves them
            self.checkpoint = replace(self.checkpoint, thresholds=self._thresholds(truth, results))
        best = None if self.best is None else self.best.metrics
        again = self.best_step == self.position.step  # a resumed run evaluates once more what was the best
        if best is None or again or not best.AP >= metrics.AP:  # without objects, where AP is NaN, the latest is best
            self.position.stale, self.best_step = 0, self.position.step
            self.best = TrainingResult(self.folder.best, self._copy(), metrics)
            self._save_checkpoint(self.folder.best, metrics)
        else:
            self.position.stale += 1
        self._save_checkpoint(self.folder.last, metrics)
        if self.accelerator.is_main_process:
            write_pictures(predictor, valid, self.folder.pictures)
        return metrics

    def _thresholds(self, truth: dict[str, Any], results: list[dict[str, Any]]) -> tuple[float, ...]:
        """The threshold with the best F1 of each class; where nothing of a class is found, the usual one."""
        best = {of.name: curve(of).threshold for of in class_matches(truth, results, THRESHOLDS[:1])}
        return tuple(best.get(name, DEFAULT) for name in self.checkpoint.classes)

    def _copy(self) -> Checkpoint:
        """A copy of the EMA checkpoint on the CPU, laid out in memory as one that is loaded."""
        model = copy.deepcopy(self.checkpoint.model).eval().cpu().to(memory_format=torch.contiguous_format)
        return replace(self.checkpoint, model=model)

    def _save_checkpoint(self, folder: Path, metrics: CocoMetrics | None) -> None:
        if self.accelerator.is_main_process:
            save(self.checkpoint, folder)
            if metrics is not None:
                write_metrics(folder, metrics.to_dict() | {"step": self.position.step})

    def _save_state(self) -> None:
        self.saved_at = time.monotonic()
        self.position.seconds = self.watch.elapsed
        if self.accelerator.is_main_process:
            tensors = self.stepper.state_dict()
            if self.recorder is not None:
                tensors["recording"] = self.recorder.state_dict()
            save_state(self.folder.state, self.position, tensors)
            if not self.position.evaluated:  # a run that is stopped before its first evaluation has a checkpoint, too
                self._save_checkpoint(self.folder.last, None)

    def _load_state(self) -> dict[str, Any] | None:
        """Continue from the saved state, if there is one; returns the recorder's."""
        state = load_state(self.folder.state)
        if state is None:
            return None
        self.position, tensors = state
        self.watch.seconds = self.position.seconds
        try:
            self.stepper.load_state_dict(tensors)
        except (RuntimeError, ValueError) as error:
            raise WeightsError(
                f"{self.folder.path} was begun by another version of {self.config.model}; start a new run."
            ) from error
        numbers = read_metrics(self.folder.best)  # written last: with them, the checkpoint is whole
        if numbers is not None:
            self.best_step = numbers.get("step")
            self.best = TrainingResult(self.folder.best, load(self.folder.best), CocoMetrics.from_dict(numbers))
        self.display.say(f"Resumed after {self.position.step} steps, in epoch {self.position.epoch + 1}.")
        return tensors.get("recording")
