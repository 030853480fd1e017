"""The training loop: batches -> losses -> optimiser, in one process or many.

Everything that a step draws at random is drawn from (seed, epoch, image) or (seed, step), and everything that it
depends on is in the saved state; so a run of given epochs that was killed and resumed ends where an uninterrupted one
ends. (A run of given minutes follows the clock.)
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from setpiece.data.batching import EpochSampler, TrainImages, loading_processes, train_loader
from setpiece.data.dataset import Dataset
from setpiece.data.sampler import stable_seed
from setpiece.errors import NonFiniteCostError, WeightsError
from setpiece.evaluation import CocoMetrics
from setpiece.inference.evaluation import evaluate
from setpiece.inference.precision import autocast, uses_bf16
from setpiece.inference.predictor import Predictor
from setpiece.model.backbones.named import synchronise_norms
from setpiece.model.base import SetModel
from setpiece.model.checkpoint import Checkpoint
from setpiece.records import Batch, Losses
from setpiece.runs.layout import Position, RunFolder
from setpiece.runs.recording import cut
from setpiece.setloss import active_losses, auxiliary_losses, training_criterion
from setpiece.training.config import TrainConfig
from setpiece.training.display import Display, duration
from setpiece.training.optimiser import make_ema, make_optimisers, scale_learning_rates, update_ema
from setpiece.training.pictures import write_pictures
from setpiece.training.recorder import Recorder
from setpiece.training.schedule import Stopwatch, image_scale, learning_rate_factor

SAVE_SECONDS = 60.0  # a kill loses at most this much


class Trainer:
    """A run in progress."""

    def __init__(
        self,
        config: TrainConfig,
        accelerator: Accelerator,
        checkpoint: Checkpoint,
        images: TrainImages,
        valid: Dataset | None,
        run: RunFolder,
        display: Display,
    ) -> None:
        self.config, self.accelerator, self.valid = config, accelerator, valid
        self.run_folder, self.display = run, display
        self.examples = {example.image_id: example for example in images.examples}
        self.bf16 = uses_bf16(config.precision, accelerator.device)
        self.criterion = training_criterion(checkpoint.model.form)
        self.auxiliary = auxiliary_losses(config.one_to_many_weight)
        model = checkpoint.model.to(accelerator.device)
        model.to(memory_format=torch.channels_last)
        self.average = make_ema(model, config.ema_decay)
        self.checkpoint = replace(checkpoint, model=cast(SetModel, self.average.module))
        self.predictor = Predictor(self.checkpoint, config.precision)
        optimisers = make_optimisers(model, config)
        together = accelerator.num_processes > 1 and accelerator.device.type == "cuda"
        trained = synchronise_norms(model) if together else model
        self.model, *self.optimisers = accelerator.prepare(trained, *optimisers)
        self.sampler = EpochSampler(
            len(images),
            config.batch_size,
            seed=config.seed,
            rank=accelerator.process_index,
            world_size=accelerator.num_processes,
        )
        by_device = loading_processes(accelerator.device, accelerator.num_processes)
        self.workers = by_device if config.workers is None else config.workers
        self.loader = train_loader(images, self.sampler, checkpoint.mean, checkpoint.std, workers=self.workers)
        self.position = Position()
        self.watch = Stopwatch()
        self.saved_at = time.monotonic()
        recorded = self._load_state()
        main = accelerator.is_main_process
        self.events = SummaryWriter(str(run.tensorboard), purge_step=self.position.step + 1) if main else None
        self.recorder = self._make_recorder(images, recorded) if main else None

    def _make_recorder(self, images: TrainImages, recorded: dict[str, Any] | None) -> Recorder:
        recorder = Recorder(
            self.run_folder.recording,
            self.predictor,
            self.criterion,
            images.examples,
            self.valid,
            seed=self.config.seed,
            steps_per_epoch=self.sampler.batches_per_epoch,
        )
        if recorded is not None and recorder.goes_on():
            recorder.load_state_dict(recorded)
        else:
            recorder.begin(self.position.epoch, self.position.step, self.watch.elapsed)
        return recorder

    def run(self) -> Path:
        """Train to the end; returns the folder of the checkpoint to use."""
        while self._progress() < 1:
            self._epoch()
        if self.events is not None:
            self.events.close()
        self.accelerator.wait_for_everyone()  # what the main process writes is there for all
        return self.run_folder.best if self.valid is not None else self.run_folder.last

    def _progress(self) -> float:
        """Share of the run that is done; all processes agree on it."""
        if self.config.minutes is None:
            return self.position.step / ((self.config.epochs or 1) * self.sampler.batches_per_epoch)
        seconds = torch.tensor(self.watch.elapsed, device=self.accelerator.device)
        if self.accelerator.num_processes > 1:
            torch.distributed.broadcast(seconds, src=0)
        return min(1.0, seconds.item() / (60 * self.config.minutes))

    def _image_scale(self, batch: int) -> float:
        """Of a batch of this epoch: by its number where the run's length is in epochs, else by the clock."""
        progress = self._progress()
        if self.config.epochs is not None:  # of the batch, which with workers is drawn ahead of its step
            progress = (self.position.epoch + batch / self.sampler.batches_per_epoch) / self.config.epochs
        return image_scale(progress, self.config.first_scale)

    def _epoch(self) -> None:
        position = self.position
        self.sampler.set_epoch(position.epoch, position.batch, self._image_scale)
        started_at, seconds = position.batch, self.watch.elapsed
        self.model.train()
        self.watch.start()
        for batch in self.loader:
            self._step(batch.to(self.accelerator.device))
            if self._progress() >= 1:
                break  # without a save: the end is saved once it is evaluated, or a kill in between would lose that
            if time.monotonic() - self.saved_at > SAVE_SECONDS:
                self.watch.pause()
                self._save_state()
                self.watch.start()
        final = self._progress() >= 1
        if self.recorder is not None:
            self.recorder.end_epoch(position.epoch + 1, position.step, self.watch.elapsed, final=final)
        self.watch.pause()
        seconds = self.watch.elapsed - seconds
        rate = (position.batch - started_at) * self.sampler.batch_size / max(seconds, 1e-9)
        self._end_epoch({"images_per_second": round(rate, 1), "seconds": round(self.watch.elapsed, 1)})

    def _step(self, batch: Batch) -> None:
        position, progress = self.position, self._progress()
        scale_learning_rates(self.optimisers, learning_rate_factor(position.step, progress, self.config.warmup_steps))
        torch.manual_seed(stable_seed(self.config.seed, self.accelerator.process_index, position.step))  # dropout
        with autocast(self.accelerator.device, self.bf16):
            pixels = batch.images.pixels.contiguous(memory_format=torch.channels_last)
            outputs = self.model(pixels, batch.images.padding)
        losses = self._losses(outputs, batch)
        added, auxiliary = active_losses(
            self.auxiliary, progress, outputs, batch.targets, losses.match, self.criterion.weights, self._mean
        )
        parts = {"loss": losses.total, **{name: term[-1] for name, term in losses.terms.items()}, **auxiliary}
        self.accelerator.backward(losses.total + added)
        self.accelerator.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        for optimiser in self.optimisers:
            optimiser.step()
            optimiser.zero_grad()
        update_ema(self.average, self.accelerator.unwrap_model(self.model), position.step)
        position.step += 1
        position.batch += 1
        self._count(parts)
        if self.recorder is not None:
            self.recorder.step(outputs, batch, losses)
        self._show()

    def _mean(self, x: Tensor) -> Tensor:
        """Over processes."""
        return cast(Tensor, self.accelerator.reduce(x, "mean"))

    def _losses(self, outputs: Any, batch: Batch) -> Losses:
        try:
            return self.criterion(outputs, batch.targets, self._mean)
        except NonFiniteCostError as error:
            example = self.examples[int(batch.image_ids[error.index[1]])]
            raise NonFiniteCostError(
                f"Training diverged at step {self.position.step} on {example.path.name}. {error} A lower "
                "--learning-rate usually helps.",
                error.index,
            ) from error

    def _count(self, parts: dict[str, Tensor]) -> None:
        """Add a step's Hungarian loss, its terms in the last layer and the auxiliary losses to the epoch's sums."""
        values = self._mean(torch.stack([part.detach() for part in parts.values()])).tolist()
        for name, value in zip(parts, values, strict=True):
            self.position.sums[name] = self.position.sums.get(name, 0.0) + value

    def _means(self) -> dict[str, float]:
        return {name: total / max(self.position.batch, 1) for name, total in self.position.sums.items()}

    def _show(self) -> None:
        position, progress = self.position, self._progress()
        means = "  ".join(f"{name} {value:.3f}" for name, value in self._means().items())
        seconds = max(self.watch.elapsed, 1e-9)
        left = seconds / max(progress, 1e-9) * (1 - progress)
        rate = position.step * self.sampler.batch_size / seconds
        self.display.show(
            f"epoch {position.epoch + 1}",
            progress,
            f"{means}  lr {self._learning_rate():.1e}  {rate:.0f} images/s  {duration(left)} left",
        )

    def _learning_rate(self) -> float:
        return self.optimisers[-1].param_groups[0]["lr"]

    def _end_epoch(self, speed: dict[str, float]) -> None:
        position, progress = self.position, self._progress()
        means = self._means()
        position.epoch, position.batch, position.sums = position.epoch + 1, 0, {}
        row: dict[str, Any] = {"epoch": position.epoch, "step": position.step, **means, "lr": self._learning_rate()}
        due = int(progress * self.config.evaluations + 1e-9)
        if self.valid is not None and due > position.evaluated:
            position.evaluated = due
            row |= {k: v for k, v in self._evaluate(self.valid).to_dict().items() if k != "per_class"}
        if self.events is not None:
            self._record(row | speed)
        if progress >= 1 or "AP" in row:
            self._save_state()

    def _evaluate(self, valid: Dataset) -> CocoMetrics:
        metrics = evaluate(
            self.predictor,
            valid,
            workers=self.workers,
            rank=self.accelerator.process_index,
            world_size=self.accelerator.num_processes,
            gather=gather_object,
        )
        position = self.position
        improved = position.best < metrics.AP
        if improved:
            position.best = metrics.AP
        if self.accelerator.is_main_process:
            if improved or not self.run_folder.best.is_dir():
                self.run_folder.save_checkpoint(self.run_folder.best, self.checkpoint, metrics)
            self.run_folder.save_checkpoint(self.run_folder.last, self.checkpoint, metrics)
            write_pictures(self.predictor, valid, self.run_folder.pictures)
        self.display.say(
            f"epoch {position.epoch:3d}  {duration(self.watch.elapsed):>12}  AP {metrics.AP:.3f}  AP50 "
            f"{metrics.AP50:.3f}{'  best so far' if improved else ''}"
        )
        return metrics

    def _record(self, row: dict[str, Any]) -> None:
        self.run_folder.append_metrics(row)
        for name, value in row.items():
            if isinstance(value, float) and self.events is not None:
                self.events.add_scalar(name, value, row["step"])

    def _save_state(self) -> None:
        self.saved_at = time.monotonic()
        self.position.seconds = self.watch.elapsed
        if self.accelerator.is_main_process:
            tensors = {
                "model": self.accelerator.unwrap_model(self.model).state_dict(),
                "average": self.average.state_dict(),
                "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            }
            if self.recorder is not None:
                tensors["recording"] = self.recorder.state_dict()
            self.run_folder.save_state(self.position, tensors)
            if self.valid is None:
                self.run_folder.save_checkpoint(self.run_folder.last, self.checkpoint, None)

    def _load_state(self) -> dict[str, Any] | None:
        """Take up the saved state, if there is one; returns the recorder's."""
        state = self.run_folder.load_state()
        if self.accelerator.is_main_process:
            self.run_folder.cut_metrics(state[0].step if state else 0)
            cut(self.run_folder.recording, state[0].step if state else 0)
        if state is None:
            return None
        self.position, tensors = state
        self.watch.seconds = self.position.seconds
        try:
            self.accelerator.unwrap_model(self.model).load_state_dict(tensors["model"])
            self.average.load_state_dict(tensors["average"])
            for optimiser, optimiser_state in zip(self.optimisers, tensors["optimisers"], strict=True):
                optimiser.load_state_dict(optimiser_state)
        except (RuntimeError, ValueError) as error:  # shapes or names of weights differ; groups of the optimisers
            raise WeightsError(
                f"{self.run_folder.path} was begun by another version of {self.config.model}; start a new run."
            ) from error
        self.display.say(f"Resumed after {self.position.step} steps, in epoch {self.position.epoch + 1}.")
        return tensors.get("recording")
