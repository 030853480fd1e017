"""A world in which the right answer can be computed: pure red, green and blue rectangles on black, and a model that
measures them in the pixels that it is given."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from setpiece.model.base import SetModel, layer_names
from setpiece.model.checkpoint import Checkpoint
from setpiece.model.tracing import tracing_queries
from setpiece.records import InputSize, Outputs

COLOURS = ("red", "green", "blue")
# (height, width) of each image, and its boxes xyxy in pixels by colour
IMAGES = (
    ((60, 90), {"red": (5, 5, 35, 25), "green": (40, 10, 85, 50), "blue": (8, 30, 30, 58)}),
    ((96, 64), {"red": (0, 0, 30, 40), "blue": (32, 50, 64, 96)}),
    ((128, 48), {"green": (4, 20, 44, 100)}),
    ((33, 77), {"blue": (50, 2, 76, 31), "red": (10, 4, 40, 30)}),
    ((64, 64), {}),
)


def paint(size, boxes):
    """The image of a size (height, width) with a rectangle per colour: HWC RGB uint8."""
    pixels = np.zeros((*size, 3), np.uint8)
    for name, (left, top, right, bottom) in boxes.items():
        pixels[top:bottom, left:right, COLOURS.index(name)] = 255
    return pixels


def write_colours(folder: Path, category_ids, split="valid", images=IMAGES) -> Path:
    """Write the images as a split in Roboflow's layout; `category_ids` names each colour's, in the file's order."""
    (folder / split).mkdir(parents=True)
    coco = {"images": [], "annotations": [], "categories": []}
    coco["categories"] = [{"id": number, "name": name} for name, number in category_ids.items()]
    for index, (size, boxes) in enumerate(images):
        Image.fromarray(paint(size, boxes)).save(folder / split / f"{index}.png")
        image = {"id": 100 - 7 * index, "file_name": f"{index}.png", "height": size[0], "width": size[1]}
        coco["images"].append(image)
        for name, (left, top, right, bottom) in boxes.items():
            annotation = {"id": len(coco["annotations"]), "image_id": image["id"], "category_id": category_ids[name]}
            coco["annotations"].append(annotation | {"bbox": [left, top, right - left, bottom - top]})
    (folder / split / "_annotations.coco.json").write_text(json.dumps(coco))
    return folder


class Measuring(SetModel):
    """One query per colour, which finds that colour's rectangle exactly; only the last of two layers is right."""

    def __init__(self, form, classes=COLOURS):
        super().__init__()
        self.form = form
        self.channels = [COLOURS.index(name) for name in classes]
        self.num_queries = len(classes)
        self.backbone = nn.Linear(1, 1)

    def forward(self, images, padding):
        height, width = (~padding).sum(1).amax(1), (~padding).sum(2).amax(1)  # of each image without its padding
        colour = images[:, self.channels]  # (B, Q, H, W), 1 inside a rectangle, partly 1 at a resized edge
        x, w = _middle_and_length(colour.amax(2), width)
        y, h = _middle_and_length(colour.amax(3), height)
        boxes_cxcywh = torch.stack([x, y, w, h], -1).clamp(0, 1)  # (B, Q, 4)
        own = torch.eye(self.num_queries, device=images.device)
        found = 16 * own * colour.amax((2, 3))[..., None] - 8  # (B, Q, C)
        if self.form == "softmax":
            found = torch.cat([found, torch.zeros_like(found[..., :1])], -1)  # (B, Q, C + 1)
        return Outputs(torch.stack([-found, found]), torch.stack([boxes_cxcywh / 2, boxes_cxcywh]))

    @property
    def prediction_sets(self):
        return layer_names(2)

    def change_classes(self, rows):
        raise NotImplementedError

    def class_head_parameters(self):
        return ()

    def tracing(self):
        return tracing_queries()


def _middle_and_length(profile, side):
    """Of what a profile (B, Q, S) is 1 on, in fractions of each image's side (B,)."""
    length = profile.sum(-1)
    middle = (profile * (torch.arange(profile.shape[-1], device=profile.device) + 0.5)).sum(-1) / length.clamp(min=1e-6)
    return middle / side[:, None], length / side[:, None]


def measuring(form="softmax", classes=COLOURS, shortest=64, longest=96) -> Checkpoint:
    """A checkpoint of the measuring model."""
    model = Measuring(form, classes)
    return Checkpoint(model, "measuring", tuple(classes), (0.0,) * 3, (1.0,) * 3, InputSize(shortest, longest))
