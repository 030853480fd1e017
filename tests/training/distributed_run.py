"""A run of each model, alone or as one of several processes: `python distributed_run.py DATA OUTPUT MODEL...`.

Batch norm computes its statistics per process on CPU, so it is frozen here; nothing else differs from a user's run.
"""

import sys
from pathlib import Path

import torch
from torch import nn
from torchvision.ops import FrozenBatchNorm2d

from setpiece.training.config import resolve
from setpiece.training.start import open_data, starting_checkpoint
from setpiece.training.train import train


def freeze(module):
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, FrozenBatchNorm2d(child.num_features))
        else:
            freeze(child)


if __name__ == "__main__":
    torch.set_num_threads(1)
    data, output, *models = sys.argv[1:]
    settings = {"size": 64, "batch_size": 4, "evaluations": 2, "precision": "fp32"}
    settings |= {"learning_rate": 1e-4, "backbone_learning_rate": 1e-4}
    for model in models:
        config = resolve(data, model, epochs=2, **settings)
        dataset, valid = open_data(config.data)
        checkpoint = starting_checkpoint(config, dataset.classes)
        freeze(checkpoint.model)
        train(checkpoint, dataset, valid, config, Path(output) / model)
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
