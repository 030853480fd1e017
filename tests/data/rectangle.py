"""An image of which one can see where its box is."""

import torch
from torchvision import tv_tensors


def scene_with_a_rectangle(height: int, width: int, box_xyxy: tuple[int, int, int, int]):
    """A blue image with a red rectangle, and the box around it."""
    image = torch.zeros(3, height, width, dtype=torch.uint8)
    image[2] = 255
    left, top, right, bottom = box_xyxy
    image[0, top:bottom, left:right] = 255
    image[2, top:bottom, left:right] = 0
    boxes_xyxy = torch.tensor([box_xyxy], dtype=torch.float32)
    boxes = tv_tensors.BoundingBoxes(boxes_xyxy, format="XYXY", canvas_size=(height, width))
    return tv_tensors.Image(image), {"boxes": boxes, "labels": torch.tensor([7])}
