"""The records that the packages pass to each other, with one legend for all shapes.

`L` prediction sets (decoder layers, the last one final), `B` images, `Q` object queries, `T` targets padded
to the largest count in the batch, `C` classes, `H` and `W` pixels.

Boxes here are `cxcywh`: centre x, centre y, width, height, each a fraction of the image's own width or
height (without the padding that batching adds), so in [0, 1].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int32, Int64
from torch import Tensor

from setpiece.errors import DataError
from setpiece.input_size import STRIDE, InputSize

__all__ = ["STRIDE", "TERMS", "Batch", "Form", "Images", "InputSize", "Losses", "Outputs", "Targets"]

# How a model scores classes: softmax over the classes and no-object, or a sigmoid for each class.
Form = Literal["softmax", "sigmoid"]

# The terms of the matching cost and of the Hungarian loss.
TERMS = ("class", "l1", "giou")

ROUNDING = 1e-3  # of a box in fractions of its image, beyond which it is outside


@dataclass(frozen=True)
class Targets:
    """The ground truth of a batch, padded to `T` targets per image.

    Attributes:
        labels: class index of each target, in [0, C).
        boxes: cxcywh in [0, 1].
        count: how many targets each image really has; everything past it is padding (label 0, box 0) and has no effect.
    """

    labels: Int64[Tensor, "B T"]
    boxes: Float[Tensor, "B T 4"]
    count: Int64[Tensor, " B"]

    @classmethod
    def from_list(cls, images: Sequence[Mapping[str, Any]]) -> Targets:
        """Pad one `{"labels": (T_b,), "boxes": (T_b, 4) cxcywh}` per image into one record.

        Args:
            images: tensors, arrays or lists; both empty for an image without objects.

        Raises:
            DataError: an image's labels and boxes are missing or do not go together; or, where they are on the CPU, a
                box is not cxcywh in [0, 1].

        Example:
            >>> one = {"labels": torch.tensor([7]), "boxes": torch.tensor([[0.5, 0.5, 0.2, 0.2]])}
            >>> none = {"labels": torch.zeros(0, dtype=torch.int64), "boxes": torch.zeros(0, 4)}
            >>> targets = Targets.from_list([one, none])
            >>> targets.labels.shape, targets.count.tolist()
            (torch.Size([2, 1]), [1, 0])
        """
        if not images:
            raise DataError('There are no targets: give one {"labels": ..., "boxes": ...} for each image.')
        read = [_read_targets(b, image) for b, image in enumerate(images)]
        counts = [len(of_image) for of_image, _ in read]
        device = read[0][0].device
        labels = torch.zeros(len(read), max(counts), dtype=torch.int64, device=device)
        boxes = torch.zeros(len(read), max(counts), 4, device=device)
        for b, count in enumerate(counts):
            labels[b, :count], boxes[b, :count] = read[b]
        targets = cls(labels, boxes, torch.tensor(counts, device=device))
        if device.type == "cpu":  # elsewhere the check would wait for the device
            _refuse_other_boxes(targets)
        return targets

    @classmethod
    def none(cls, images: int) -> Targets:
        """No targets for a number of images."""
        count = torch.zeros(images, dtype=torch.int64)
        return cls(count.new_zeros(images, 0), torch.zeros(images, 0, 4), count)

    @property
    def present(self) -> Bool[Tensor, "B T"]:
        """True where a target is real, False where it is padding."""
        return torch.arange(self.labels.shape[1], device=self.count.device) < self.count[:, None]

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Targets:
        """The same targets on another device, see `Batch.to`."""
        return Targets(*(x.to(device, non_blocking=non_blocking) for x in (self.labels, self.boxes, self.count)))


def _read_targets(b: int, image: Mapping[str, Any]) -> tuple[Int64[Tensor, " T"], Float[Tensor, "T 4"]]:
    if missing := [name for name in ("labels", "boxes") if name not in image]:
        raise DataError(f"The targets of image {b} have no {missing[0]!r}: they have {', '.join(map(str, image))}.")
    labels, boxes = torch.as_tensor(image["labels"]), torch.as_tensor(image["boxes"])
    if not labels.numel() and not boxes.numel():  # empty in any shape
        labels, boxes = labels.reshape(0), boxes.reshape(0, 4)
    if labels.ndim != 1 or boxes.shape != (len(labels), 4):
        shapes = f"{tuple(labels.shape)} and {tuple(boxes.shape)}"
        raise DataError(f"The labels and boxes of image {b} have the shapes {shapes}, not (T,) and (T, 4).")
    if labels.is_floating_point() and bool((labels != labels.round()).any()):  # also NaN
        raise DataError(f"The labels of image {b} are {labels.tolist()[:5]}: a label is the index of a class.")
    return labels.to(torch.int64), boxes.to(torch.float32)


def _refuse_other_boxes(targets: Targets) -> None:
    """Boxes in pixels, or as corners, train silently on nonsense: refuse what cannot be cxcywh in [0, 1]."""
    outside = ~((targets.boxes >= -ROUNDING) & (targets.boxes <= 1 + ROUNDING)).all(-1)  # also NaN
    if not outside.any():
        return
    b, t = outside.nonzero()[0].tolist()
    box = targets.boxes[b, t]
    what = "are these pixels?" if box.isfinite().all() and (box[2:] >= 0).all() else "that is no box."
    raise DataError(
        f"Target {t} of image {b} has the box {[round(x, 4) for x in box.tolist()]}: {what} Boxes are cxcywh: centre "
        "x, centre y, width, height, in fractions of the image."
    )


@dataclass(frozen=True)
class Images:
    """Images of different sizes, padded at the right and bottom to one size: what a model reads.

    Attributes:
        pixels: RGB, normalised by the model's mean and standard deviation; 0 where padded.
        padding: True where a pixel is padding.
        original_sizes: (height, width) of each image as it was, in pixels, before any resize.
    """

    pixels: Float[Tensor, "B 3 H W"]
    padding: Bool[Tensor, "B H W"]
    original_sizes: Int64[Tensor, "B 2"]

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Images:
        """The same images on another device, see `Batch.to`."""
        fields = (self.pixels, self.padding, self.original_sizes)
        return Images(*(x.to(device, non_blocking=non_blocking) for x in fields))


@dataclass(frozen=True)
class Batch:
    """Images of a data set with their targets.

    Attributes:
        images: padded to one size.
        targets: boxes are relative to each image without its padding.
        image_ids: the data set's own ids.
    """

    images: Images
    targets: Targets
    image_ids: Int64[Tensor, " B"]

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Batch:
        """The same batch on another device.

        Args:
            non_blocking: do not wait for the copy of a batch whose memory is pinned. Only for copies to a device: what
                is copied from one could be read too early.
        """
        images = self.images.to(device, non_blocking=non_blocking)
        targets = self.targets.to(device, non_blocking=non_blocking)
        return Batch(images, targets, self.image_ids.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Batch:
        """The same batch in memory that a GPU copies by itself. Loaders of PyTorch call it."""
        images, targets = self.images, self.targets
        return Batch(
            Images(*(x.pin_memory() for x in (images.pixels, images.padding, images.original_sizes))),
            Targets(*(x.pin_memory() for x in (targets.labels, targets.boxes, targets.count))),
            self.image_ids.pin_memory(),
        )


@dataclass(frozen=True)
class Outputs:
    """Everything a model predicts for a batch: the set of `Q` predictions of every layer.

    Attributes:
        logits: class scores before softmax or sigmoid; `K` is C + 1 with no-object last in the softmax
            form, and C in the sigmoid form.
        boxes: cxcywh in [0, 1].
    """

    logits: Float[Tensor, "L B Q K"]
    boxes: Float[Tensor, "L B Q 4"]

    def at_least_float32(self) -> Outputs:
        """The same predictions in float32 where they are in half precision, in which costs and losses would round.

        Gradients go back to them in their own precision.
        """
        return Outputs(*(x.float() if x.dtype.itemsize < 4 else x for x in (self.logits, self.boxes)))


@dataclass(frozen=True)
class Losses:
    """The set prediction loss of a batch.

    Attributes:
        total: what to differentiate: every term times its weight, summed over terms and layers.
        terms: by name (`TERMS`), each without its weight, one number per layer.
        match: the query index given to every target by every layer, -1 where it has none.
        fault: where the losses are computed on a GPU or compiled, whether something is wrong, which is an error
            elsewhere: see `SetCriterion.require_no_fault`.
    """

    total: Float[Tensor, ""]
    terms: dict[str, Float[Tensor, " L"]]
    match: Int64[Tensor, "L B T"]
    fault: Int32[Tensor, ""]
