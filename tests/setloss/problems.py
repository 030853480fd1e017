"""Random predictions and targets for the tests of the heart."""

import torch

from setpiece.records import Outputs, Targets


def random_boxes(*shape, generator, dtype=torch.float32):
    """cxcywh boxes of some size near the middle, so that many overlap."""
    centres = torch.rand(*shape, 2, generator=generator, dtype=dtype) * 0.5 + 0.25
    return torch.cat([centres, torch.rand(*shape, 2, generator=generator, dtype=dtype) * 0.35 + 0.05], -1)


def random_problem(L, Q, counts, K, *, classes=None, seed=0, dtype=torch.float32):
    """Leaf logits (L, B, Q, K) and boxes (L, B, Q, 4) that need gradients, and one target dict per image."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(L, len(counts), Q, K, generator=generator, dtype=dtype).requires_grad_()
    boxes = random_boxes(L, len(counts), Q, generator=generator, dtype=dtype).requires_grad_()
    targets = [
        {
            "labels": torch.randint(0, classes or K - 1, (count,), generator=generator),
            "boxes": random_boxes(count, generator=generator, dtype=dtype),
        }
        for count in counts
    ]
    return logits, boxes, targets


def records(logits, boxes, targets):
    """The same as the records that the heart takes."""
    return Outputs(logits, boxes), Targets.from_list(targets)
