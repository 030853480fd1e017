"""What reading less of large JPEGs costs: AP and detections on enlarged validation images, beside reading all of them.

    python benchmarks/photos.py RUN DATA [--times 6] [--images 40]

The validation images of a data set are enlarged, get some noise as a camera adds it, and are saved as JPEG. The
detector is evaluated on them twice: as it reads photos, and with every pixel read. Differences of boxes are in pixels
of the images before they were enlarged.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from setpiece import Detector
from setpiece.data import Dataset, fitting, items, open_dataset
from setpiece.evaluation import sv
from setpiece.inference.pictures import Picture

LEAST = 0.3  # confidence of the detections that are compared
ALL = 10**6  # times the input size: no photo is as large, so that all of it is read


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("data")
    parser.add_argument("--times", type=int, default=6, help="how much longer the sides become")
    parser.add_argument("--images", type=int, default=40)
    options = parser.parse_args()
    detector = Detector.load(options.run)
    found: dict[str, list[sv.Detections]] = {}
    with tempfile.TemporaryDirectory() as folder:
        enlarge(open_dataset(options.data, "valid"), Path(folder), options.times, options.images)
        files: list[Picture] = [*sorted((Path(folder) / "valid").glob("*.jpg"))]
        dataset = open_dataset(folder, "valid")
        sharp = fitting.SHARP
        for name, times in (("all pixels", ALL), ("as photos are read", sharp)):
            fitting.SHARP = items.SHARP = times  # type: ignore[attr-defined]
            metrics = detector.evaluate_coco(dataset)
            began = time.perf_counter()
            found[name] = list(detector.predict(files, threshold=LEAST))
            seconds = (time.perf_counter() - began) / len(files)
            print(f"{name:20} AP {metrics.AP:.4f}  AP50 {metrics.AP50:.4f}  {1000 * seconds:6.1f} ms for each image")
    whole, less = found.values()
    compare(whole, less, options.times)


def enlarge(dataset: Dataset, folder: Path, times: int, count: int) -> None:
    """Write the first images as a data set of photos."""
    examples = dataset.examples[:count]
    truth = dataset.to_coco()
    names = {example.image_id: f"{number:04}.jpg" for number, example in enumerate(examples)}
    truth["images"] = [
        image | {"file_name": names[image["id"]], "width": image["width"] * times, "height": image["height"] * times}
        for image in truth["images"]
        if image["id"] in names
    ]
    truth["annotations"] = [
        one | {"bbox": [side * times for side in one["bbox"]], "area": one["area"] * times**2}
        for one in truth["annotations"]
        if one["image_id"] in names
    ]
    noise = np.random.default_rng(0)
    for split in ("train", "valid"):  # a data set has both; the first is not looked at
        (folder / split).mkdir()
        (folder / split / "_annotations.coco.json").write_text(json.dumps(truth))
        for example in examples if split == "valid" else examples[:1]:
            with Image.open(example.path) as image:
                large = image.convert("RGB").resize(
                    (image.width * times, image.height * times), Image.Resampling.BICUBIC
                )
            pixels = np.asarray(large, np.float32)
            pixels = pixels + noise.normal(0, 4, pixels.shape).astype(np.float32)
            photo = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
            photo.save(folder / split / names[example.image_id], quality=90)


def compare(whole: list[sv.Detections], less: list[sv.Detections], times: int) -> None:
    """Print how much the detections of two readings differ."""
    boxes: list[float] = []
    scores: list[float] = []
    alone = 0
    for one, other in zip(whole, less, strict=True):
        alone += abs(len(one) - len(other))
        if not len(one) or not len(other):
            continue
        iou = sv.box_iou_batch(one.xyxy, other.xyxy)
        best = iou.argmax(1)
        same = iou.max(1) > 0.7
        boxes += (np.abs(one.xyxy - other.xyxy[best]).max(1) / times)[same].tolist()
        scores += np.abs(np.asarray(one.confidence) - np.asarray(other.confidence)[best])[same].tolist()
    print(f"Of {sum(map(len, whole))} detections of {LEAST} or more, {alone} are there in one reading alone.")
    ends = np.percentile(boxes, 95), np.percentile(scores, 95)
    print(f"Of the others 95 in 100 differ by at most {ends[0]:.2f} px and {ends[1]:.3f} in confidence.")


if __name__ == "__main__":
    main()
