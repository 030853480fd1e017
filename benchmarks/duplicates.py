"""What duplicates cost a checkpoint: its AP as it predicts, and with overlapping boxes of one class removed.

    python benchmarks/duplicates.py RUN/best DATA [--split valid]

A set predictor should gain nothing from the removal. What it gains was lost to several queries on one object.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from setpiece.data.sources import open_dataset
from setpiece.evaluation import evaluate_coco, to_coco_results
from setpiece.inference.evaluation import match_classes
from setpiece.inference.predictor import Predictor
from setpiece.model.checkpoint import load

OVERLAPS = (0.9, 0.7, 0.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", default="valid")
    options = parser.parse_args()

    checkpoint, dataset = load(options.checkpoint), open_dataset(options.data, options.split)
    category_ids = match_classes(checkpoint.classes, dataset)
    found = list(Predictor(checkpoint).detect(dataset))
    kept = {"as predicted": found}
    for overlap in OVERLAPS:
        kept[f"IoU above {overlap} removed"] = [(i, detections.with_nms(overlap)) for i, detections in found]
    print("| boxes of one class | AP | AP50 | AP75 |\n|---|---|---|---|")
    for name, pairs in kept.items():
        image_ids, detections = zip(*pairs, strict=True)
        metrics = evaluate_coco(dataset.to_coco(), to_coco_results(detections, image_ids, category_ids))
        print(f"| {name} | {metrics.AP:.3f} | {metrics.AP50:.3f} | {metrics.AP75:.3f} |")


if __name__ == "__main__":
    main()
