"""Files -> batches: folders of images and annotations, augmentation, padding, loaders."""

from setpiece.data.augmentation.paper import train_transform
from setpiece.data.batching import EpochSampler, TrainImages, collate, eval_loader, train_loader
from setpiece.data.dataset import Dataset, Example
from setpiece.data.defects import Defect, Defects
from setpiece.data.images import read_image
from setpiece.data.resize import FitSize, normalise
from setpiece.data.sources import available_splits, open_dataset

__all__ = [
    "Dataset",
    "Defect",
    "Defects",
    "EpochSampler",
    "Example",
    "FitSize",
    "TrainImages",
    "available_splits",
    "collate",
    "eval_loader",
    "normalise",
    "open_dataset",
    "read_image",
    "train_loader",
    "train_transform",
]
