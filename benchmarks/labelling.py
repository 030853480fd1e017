"""How much of a person's time `setpiece label` saves: an annotator is replayed against the real server and trainer.

    python benchmarks/labelling.py DATA... [--order helpful|random] [--images 100] [--speed 8] [--output FILE.json]

Each DATA is a data set; its training images are the photos, and its labels what the annotator knows. For every image
that is offered, the annotator looks at the suggestions that the page shows, and does what costs least:

    a suggestion that fits an object (IoU >= 0.7)     confirmed                1.6 s [1]
    a suggestion that is off (IoU 0.3 to 0.7)         corrected: drawn anew    7.0 s [2]
    ... either of another class                       and its class chosen     + 1 s
    a suggestion that is of nothing                   rejected                 1.6 s
    an object without a suggestion                    drawn, class chosen      7.0 + 1 s
    every image                                       the next one             1 s

[1] Papadopoulos et al., CVPR 2016; there a box was right from an IoU of 0.5 on, and the seconds for that are printed
too. [2] The same, ICCV 2017: by extreme clicking; 25.5 s by dragging a box.
A class is chosen only where there are several. Drawing everything costs the last two lines. What was confirmed is
stored as the detector saw it, so later rounds learn from boxes that are not exact, as they would from a person's.

The annotator's clock runs `--speed` times as fast as the real one, in which the trainer works: so it has an eighth of
the time that it would have beside a person, and the figures are low. Where the trainer has learned everything the
annotator does not wait. Prints seconds with and without suggestions, for all images and for their last half; what they
would have been with other thresholds (for the same suggestions), or if rejecting took no time, as where the data set
lacks labels of what is there; and AP on the held-out fifth by human minute.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from scipy.optimize import linear_sum_assignment

from setpiece.data import Dataset, Example, open_dataset

CONFIRM, CHOOSE, TURN = 1.6, 1.0, 1.0  # seconds
DRAW, DRAG = 7.0, 25.5
FITS = 0.7  # IoU from which on a person leaves a box as it is
NEAR = 0.3  # IoU from which on a box is of an object, and is corrected
FITS_PUBLISHED = 0.5  # ... in the experiment that the seconds of a confirmation are from
HEADERS = {"X-Setpiece": "label"}
THRESHOLDS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--order", choices=["helpful", "random"], default="helpful")
    parser.add_argument("--images", type=int, help="Label the first N training images only.")
    parser.add_argument("--threshold", type=float, default=0.4, help="that of the page, unless given")
    parser.add_argument("--speed", type=float, default=8.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    results = []
    for data in options.data:
        results.append({"data": data.name, **replay(open_dataset(data, "train"), options)})
        print(describe(results[-1]), flush=True)
    saved = [each["saved"] for each in results]
    print(f"median over {len(saved)}: {np.median(saved):.2f} times fewer seconds ({options.order} order)")
    if options.output is not None:
        options.output.write_text(json.dumps(results, indent=1))


def replay(dataset: Dataset, options: argparse.Namespace) -> dict[str, Any]:
    """Label all images of a data set."""
    examples = {example.path.name: example for example in dataset.examples[: options.images]}
    chance, several = random.Random(options.seed), len(dataset.classes) > 1
    by_image: list[dict[tuple[float, float], Counter[str]]] = []  # what was done, and what would have been
    asked, published = (options.threshold, FITS), (options.threshold, FITS_PUBLISHED)
    ways = {asked, published, *((threshold, FITS) for threshold in THRESHOLDS)}
    curve: list[tuple[float, float, int]] = []
    human = 0.0
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder) / "photos"
        photos.mkdir()
        for name, example in examples.items():
            shutil.copy(example.path, photos / name)
        with serving(photos, Path(folder) / "labels", dataset.classes) as client:
            while True:
                state = client.get("/api/state").json()
                note(curve, state, human)
                ids = state["order"]["next"]
                if not ids:
                    break
                chosen = ids[0] if options.order == "helpful" else chance.choice(ids)
                coming = ids[:5] if options.order == "helpful" else [chosen]
                client.post("/api/order", json={"mode": "helpful", "coming": coming}, headers=HEADERS)
                image = client.get(f"/api/images/{chosen}").json()
                name = next(each["file"] for each in state["images"] if each["id"] == chosen)
                tried = {}
                for threshold, fits in ways:
                    tried[threshold, fits] = annotate(image["suggestions"], examples[name], threshold, fits)
                by_image.append({way: done for way, (_, done) in tried.items()})
                boxes, done = tried[asked]
                sent = {
                    "revision": image["revision"],
                    "state": "labelled" if boxes else "empty",
                    "boxes": boxes,
                    "action": "label",
                }
                client.put(f"/api/images/{chosen}", json=sent, headers=HEADERS).raise_for_status()
                human += seconds(done, several)
                wait(client, seconds(done, several) / options.speed)
            note(curve, client.get("/api/state").json(), human)

    def saved(which: tuple[float, float], first: int = 0, draw: float = DRAW, without: tuple[str, ...] = ()) -> float:
        total = sum((row[which] for row in by_image[first:]), Counter[str]())
        counted = Counter({name: count for name, count in total.items() if name not in without})
        return round(seconds(without_suggestions(total), several, draw) / seconds(counted, several, draw), 3)

    counts = sum((row[asked] for row in by_image), Counter[str]())
    return {
        "images": len(examples),
        "objects": counts["objects"],
        "counts": dict(counts),
        "seconds": round(human),
        "seconds_alone": round(seconds(without_suggestions(counts), several)),
        "saved": saved(asked),
        "saved_in_last_half": saved(asked, len(by_image) // 2),
        "saved_by_dragging": saved(asked, draw=DRAG),
        "saved_without_rejections": saved(asked, without=("rejected",)),
        "saved_where_half_fits": saved(published),
        "saved_with_thresholds": {threshold: saved((threshold, FITS)) for threshold in THRESHOLDS},
        "seconds_by_image": [
            {threshold: round(seconds(row[threshold, FITS], several), 1) for threshold in THRESHOLDS}
            for row in by_image
        ],
        "ap_by_minute": curve,
    }


def annotate(
    suggestions: Sequence[dict[str, Any]], example: Example, threshold: float, fits: float
) -> tuple[list[dict[str, Any]], Counter[str]]:
    """The labels of an image, and what was done for them where boxes of an IoU of `fits` are left as they are."""
    shown = [each for each in suggestions if each["score"] >= threshold]
    real = zip(example.boxes_xyxy, example.labels, example.crowd, strict=True)
    wanted = [(box, int(label)) for box, label, crowd in real if not crowd]
    iou = np.array([[overlap(each["box"], box) for box, _ in wanted] for each in shown]).reshape(
        len(shown), len(wanted)
    )
    pairs = [(s, t) for s, t in zip(*linear_sum_assignment(-iou), strict=True) if iou[s, t] >= NEAR]
    fitting = {int(t): shown[s]["box"] for s, t in pairs if iou[s, t] >= fits}
    done = Counter({
        "images": 1,
        "objects": len(wanted),
        "confirmed": len(fitting),
        "corrected": len(pairs) - len(fitting),
        "class chosen": sum(shown[s]["class"] != wanted[t][1] for s, t in pairs),
        "rejected": len(shown) - len(pairs),
        "drawn": len(wanted) - len(pairs),
    })  # fmt: skip
    return [{"box": fitting.get(t, box.tolist()), "class": label} for t, (box, label) in enumerate(wanted)], done


def without_suggestions(counts: Counter[str]) -> Counter[str]:
    """What has to be done for the same images where there are none."""
    return Counter({"images": counts["images"], "drawn": counts["objects"]})


def seconds(counts: Counter[str], several: bool, draw: float = DRAW) -> float:
    """Of a person, for what was done."""
    choose = CHOOSE if several else 0.0
    looked = counts["confirmed"] + counts["rejected"]
    chosen = counts["class chosen"] + counts["drawn"]
    drawn = counts["corrected"] + counts["drawn"]
    return TURN * counts["images"] + CONFIRM * looked + choose * chosen + draw * drawn


def overlap(a: Sequence[float], b: Sequence[float]) -> float:
    """IoU."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    both = max(0.0, width) * max(0.0, height)
    either = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both
    return float(both / either) if either > 0 else 0.0


def note(curve: list[tuple[float, float, int]], state: dict[str, Any], human: float) -> None:
    """Keep AP where a round has measured it anew: (human minutes, AP, labelled images)."""
    rows = state["progress"]["ap"]
    if rows and (not curve or curve[-1][1:] != (rows[-1]["ap"], rows[-1]["labelled"])):
        curve.append((round(human / 60, 2), rows[-1]["ap"], rows[-1]["labelled"]))


def wait(client: httpx.Client, real: float) -> None:
    """Until a person would have finished an image, or the trainer has nothing to do."""
    end = time.monotonic() + real
    time.sleep(min(0.3, real))  # in which the trainer hears of it
    while time.monotonic() < end:
        training = client.get("/api/state").json()["training"]
        if training["state"] == "idle":
            return
        if training["state"] == "failed":
            raise SystemExit(training["said"])
        time.sleep(0.2)


@contextmanager
def serving(photos: Path, labels: Path, classes: Sequence[str]) -> Iterator[httpx.Client]:
    """A server of its own process, and a client."""
    command = [sys.executable, "-m", "setpiece.cli", "label", str(photos), "--output", str(labels), "--no-browser"]
    command += ["--classes", ",".join(classes)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"COLUMNS": "1000"}) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        address = re.search(r"http://\S+", line)
        if address is None:
            raise SystemExit(f"The server did not start: {line}")
        try:
            with httpx.Client(base_url=address[0], timeout=60) as client:
                yield client
        finally:
            process.terminate()


def describe(result: dict[str, Any]) -> str:
    """One data set, in a few lines."""
    counts = ", ".join(f"{count} {what}" for what, count in result["counts"].items())
    thresholds = ", ".join(f"{threshold}: {saved:.2f}" for threshold, saved in result["saved_with_thresholds"].items())
    curve = ", ".join(f"{ap:.3f} at {minute:.0f} min ({images} images)" for minute, ap, images in thin(result))
    return (
        f"{result['data']}: {result['seconds']} s for {result['images']} images with {result['objects']} objects, "
        f"{result['seconds_alone']} s to draw everything: {result['saved']:.2f} times fewer "
        f"({result['saved_in_last_half']:.2f} in the last half of the images; "
        f"{result['saved_by_dragging']:.2f} where a box takes {DRAG} s; "
        f"{result['saved_where_half_fits']:.2f} where an IoU of {FITS_PUBLISHED} fits; "
        f"{result['saved_without_rejections']:.2f} if rejecting took no time)\n  {counts}\n"
        f"  with other thresholds {thresholds}\n  held-out AP {curve}"
    )


def thin(result: dict[str, Any], most: int = 8) -> list[tuple[float, float, int]]:
    """At most so many points of the curve, the last one among them."""
    curve = result["ap_by_minute"]
    step = max(1, -(-len(curve) // most))
    return curve[::-1][::step][::-1]


if __name__ == "__main__":
    main()
