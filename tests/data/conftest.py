"""Small data sets, written into the test's own folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ..shared import SHARED


@pytest.fixture
def shared_data() -> Path:
    """The real data beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip("needs the real data in a folder `shared/data` beside the checkout")
    return SHARED


@pytest.fixture
def write_image() -> Callable[..., Path]:
    """Write noise of a size (width, height) to a path, its folders made."""

    def write(path: Path, size: tuple[int, int] = (64, 48), seed: int = 0, **options: Any) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
        Image.fromarray(noise).save(path, **options)
        return path

    return write


@pytest.fixture
def write_coco(tmp_path: Path, write_image: Callable[..., Path]) -> Callable[..., Path]:
    """Write a split in Roboflow's layout: one class, one image per list of boxes (xywh), 64x48 pixels."""

    def write(*boxes_of_image: list[Any], split: str = "train", **replace: Any) -> Path:
        images, annotations = [], []
        for index, boxes in enumerate(boxes_of_image):
            write_image(tmp_path / split / f"{index}.jpg", seed=index)
            images.append({"id": 10 + index, "file_name": f"{index}.jpg", "height": 48, "width": 64})
            for box in boxes:
                fields = box if isinstance(box, dict) else {"bbox": box}
                annotation_id = {"id": len(annotations)}
                annotations.append(annotation_id | {"image_id": 10 + index, "category_id": 1} | fields)
        categories = [{"id": 1, "name": "cell", "supercategory": "none"}]
        content = {"images": images, "annotations": annotations, "categories": categories} | replace
        (tmp_path / split).mkdir(exist_ok=True)
        (tmp_path / split / "_annotations.coco.json").write_text(json.dumps(content))
        return tmp_path

    return write
