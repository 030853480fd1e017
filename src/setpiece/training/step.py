"""One optimiser step: a batch -> outputs -> losses -> new weights, and their EMA."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from accelerate import Accelerator
from accelerate.utils.memory import release_memory, should_reduce_batch_size
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from setpiece.data.sampler import stable_seed
from setpiece.errors import NonFiniteError, OutOfMemoryError, UsageError
from setpiece.inference.precision import autocast, uses_bf16
from setpiece.model.backbones.named import synchronise_norms
from setpiece.model.base import SetModel
from setpiece.records import Batch, Losses, Outputs
from setpiece.setloss import active_losses, auxiliary_losses, training_criterion
from setpiece.training.config import TrainConfig
from setpiece.training.cuda_graphs import (
    Capture,
    Computed,
    GraphedGradients,
    GraphedUpdate,
    capture_on_gpu,
    require_graphs,
)
from setpiece.training.finite import require_finite, require_finite_losses
from setpiece.training.optimiser import Ema, make_optimisers, scale_learning_rates, update_ema
from setpiece.training.replicas import Replicas, replica_count
from setpiece.training.schedule import learning_rate_factor
from setpiece.training.shares import Shares

__all__ = ["Step", "Stepper"]


@dataclass(frozen=True)
class Step:
    """What a step computed.

    Attributes:
        outputs: predictions of the model before the step.
        losses: the Hungarian loss of this process's share of the batch.
        values: means over processes, by name: "loss" (the weighted Hungarian loss), its unweighted terms in the last
            prediction set, and the unweighted auxiliary losses that are active.
    """

    outputs: Outputs
    losses: Losses
    values: dict[str, float]


class Stepper:
    """The model in training, with its optimisers, its losses and its EMA.

    Args:
        model: where to start from; a copy of it is trained.
        config: the settings of the run.
        accelerator: brings the processes of the run together.
        batch_size: images of a step; fewer than the settings say where the data set has fewer.
    """

    def __init__(self, model: SetModel, config: TrainConfig, accelerator: Accelerator, batch_size: int) -> None:
        self.config, self.accelerator, self.process = config, accelerator, accelerator.process_index
        self.bf16 = uses_bf16(config.precision, accelerator.device)
        self.criterion = training_criterion(model.form)
        self.auxiliary = auxiliary_losses(config.one_to_many_weight)
        trained = copy.deepcopy(model).to(accelerator.device)
        trained.to(memory_format=torch.channels_last)
        self.ema = Ema(trained, config.ema_decay)
        self.shares = Shares(trained, config.accumulate)
        count = replica_count(trained, accelerator.device, batch_size, accelerator.num_processes)
        count = 1 if config.accumulate > 1 else count
        self.replicas = Replicas(trained, count) if count > 1 else None
        optimisers = make_optimisers(trained, config, self.replicas.threads if self.replicas else None)
        together = accelerator.num_processes > 1 and accelerator.device.type == "cuda"
        prepared = accelerator.prepare(synchronise_norms(self.shares) if together else self.shares, *optimisers)
        model, *self.optimisers = prepared
        self.shares = cast(Shares, accelerator.unwrap_model(model))
        self.trained = self.shares.module
        self.model: nn.Module = self.replicas or model
        self.compute: Callable[[Batch, float], Computed] = self._losses_and_gradients
        self.update: Callable[[], None] = self._update
        self.graphed = False
        if config.cuda_graphs:
            require_graphs(accelerator.device, accelerator.num_processes, config.accumulate)
            self.use_graphs(capture_on_gpu())

    def use_graphs(self, capture: Capture) -> None:
        """Compute and update by work that is captured, see `cuda_graphs`."""
        self.graphed = True
        self.compute = GraphedGradients(self.compute, self._active, capture)
        self.update = GraphedUpdate(self.update, self.optimisers, capture)

    @property
    def ema_model(self) -> SetModel:
        """The model with the EMA weights, which is evaluated and saved."""
        return cast(SetModel, self.ema.module)

    @property
    def learning_rate(self) -> float:
        """Of the latest step, for everything but the class heads and the CNN."""
        return self.optimisers[-1].param_groups[0]["lr"]

    def step(self, batch: Batch, step: int, progress: float) -> Step:
        """Train on a batch.

        Args:
            batch: the share of this process, on its device.
            step: optimiser steps done before.
            progress: share of the run that is done, in [0, 1].

        Raises:
            NonFiniteCostError: the model predicted NaN or infinity; the index says for which image of the batch.
            NonFiniteError: a loss or a gradient is NaN or infinite, and the weights are as they were; or a weight is.
            OutOfMemoryError: memory runs out, with one image at a time too where there is one process.
        """
        scale_learning_rates(self.optimisers, learning_rate_factor(step, progress, self.config.warmup_steps))
        while (computed := self._backward(batch, step, progress)) is None:
            self._take_more_shares(len(batch.image_ids))
        outputs, losses, total, auxiliary = computed
        gradients = {name: p.grad for name, p in self.trained.named_parameters() if p.grad is not None}
        norm = get_total_norm(list(gradients.values()))
        last_terms = {name: term[-1] for name, term in losses.terms.items()}
        sound, values = self._read(
            total.isfinite() & norm.isfinite(), {"loss": losses.total, **last_terms, **auxiliary}
        )
        if not sound:  # before clipping, which would make all of the gradients NaN
            self.criterion.require_no_fault(outputs, batch.targets, losses)
            require_finite_losses(losses.terms | auxiliary)
            require_finite("gradient", gradients.items())
            raise NonFiniteError("The gradient is too large for its norm to be finite.", ())
        clip_grads_with_norm_(self.trained.parameters(), self.config.clip_norm, norm)
        self.update()
        self.require_finite_weights()
        update_ema(self.ema, self.trained, step)
        return Step(outputs, losses, values)

    def _backward(self, batch: Batch, step: int, progress: float) -> Computed | None:
        """The losses of a batch and their gradients; None where memory ran out."""
        if self.replicas is None:  # they have no dropout, and the next batch is being drawn beside them
            torch.manual_seed(stable_seed(self.config.seed, self.process, step))
        try:
            return self.compute(batch, progress)
        except RuntimeError as error:
            if not should_reduce_batch_size(error):
                raise
            return None

    def _losses_and_gradients(self, batch: Batch, progress: float) -> Computed:
        with autocast(self.accelerator.device, self.bf16):
            pixels = batch.images.pixels.contiguous(memory_format=torch.channels_last)
            outputs = self.model(pixels, batch.images.padding)
        losses = self.criterion(outputs, batch.targets, self._mean)
        added, auxiliary = active_losses(
            self.auxiliary, progress, outputs, batch.targets, losses.match, self.criterion.weights, self._mean
        )
        total = losses.total + added
        self.accelerator.backward(total)
        return Computed(outputs, losses, total, auxiliary)

    def _update(self) -> None:
        for optimiser in self.optimisers:
            optimiser.step()
            optimiser.zero_grad(set_to_none=not self.graphed)  # a graph adds to those that it was captured with

    def _active(self, progress: float) -> tuple[str, ...]:
        """The auxiliary losses that are on."""
        return tuple(one.name for one in self.auxiliary if progress < one.until)

    def _divide(self, count: int) -> None:
        """Compute each step in so many shares, and not by replicas, which are shares at the same time."""
        self.shares.count = count
        if self.replicas is not None:
            self.model, self.replicas = self.shares, None

    def _take_more_shares(self, images: int) -> None:
        """Divide each step further, so that it takes less memory."""
        if self.graphed:
            raise OutOfMemoryError(
                "Memory ran out, and a CUDA graph cannot be divided: train without --cuda-graphs, or take fewer images."
            )
        if self.accelerator.num_processes > 1:  # the others wait for gradients that this one does not have
            raise OutOfMemoryError(
                "Memory ran out: divide each step with --accumulate 2 or more, or take fewer images."
            )
        if self.shares.count >= images:
            raise OutOfMemoryError("Memory runs out with one image at a time: take a smaller --size.")
        self._divide(min(2 * self.shares.count, images))
        for optimiser in self.optimisers:
            optimiser.zero_grad()
        release_memory()

    def require_finite_weights(self) -> None:
        """Raise NonFiniteError where a weight is NaN or infinite."""
        require_finite("weight", self.trained.named_parameters())

    def _mean(self, x: Tensor) -> Tensor:
        """Over processes."""
        return cast(Tensor, self.accelerator.reduce(x, "mean"))

    def _read(self, sound: Tensor, losses: Mapping[str, Tensor]) -> tuple[bool, dict[str, float]]:
        """Whether the step is sound, and the means of losses over processes: all in one wait for the device."""
        means = self._mean(torch.stack([loss.detach() for loss in losses.values()]))
        first, *rest = torch.cat([sound[None].to(means.dtype), means]).tolist()
        return bool(first), dict(zip(losses, rest, strict=True))

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        return {
            "model": self.trained.state_dict(),
            "ema": self.ema.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "shares": self.shares.count,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned.

        Raises:
            RuntimeError, ValueError: names or shapes of weights differ, or groups of the optimisers.
            UsageError: steps were divided into shares, and are to be captured now.
        """
        if state.get("shares", 1) > self.shares.count:
            if self.graphed:
                raise UsageError(
                    f"This run divided each step into {state['shares']} shares to save memory, which --cuda-graphs "
                    "cannot: resume it without."
                )
            self._divide(state["shares"])
        self.trained.load_state_dict(state["model"])
        self.ema.load_state_dict(state["ema"])
        for optimiser, optimiser_state in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(optimiser_state)
