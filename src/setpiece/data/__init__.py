"""Files -> batches: folders of images and annotations, augmentation, padding, loaders.

What is imported here needs no torch, so that an exported model can be evaluated without it.
"""

from setpiece.data.dataset import Dataset, Example
from setpiece.data.defects import Defect, Defects
from setpiece.data.images import read_image
from setpiece.data.sources import available_splits, open_dataset

__all__ = ["Dataset", "Defect", "Defects", "Example", "available_splits", "open_dataset", "read_image"]
