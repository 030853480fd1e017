"""Make the data again that the head start is trained on: public repositories -> COCO folders with small images.

    python tools/corpus.py OUT [--git FOLDER] [--sets NAME ...]

`corpus.toml` names the sets. Each becomes `OUT/NAME/train/`, whole or not at all. One that is there already is left
alone, so a command that was stopped can be run again. Repositories are fetched from GitHub, or found in a folder of
bare clones, each below a folder called `OWNER+NAME`. Sets that cannot be made are named at the end, with exit code 1.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any

import numpy as np
from PIL import Image

from setpiece.data.dataset import Example
from setpiece.data.formats.coco_files import ROBOFLOW_FILE
from setpiece.data.formats.files import IMAGE_SUFFIXES
from setpiece.data.images import read_image
from setpiece.data.sources import open_dataset
from setpiece.errors import DataError, SetpieceError

TABLE = Path(__file__).with_suffix(".toml")
LONGER, QUALITY, SMALLEST = 480, 88, 2.0  # pixels of an image at most; its JPEG; pixels of a box in it at least
HELD_OUT = {"test", "valid", "val"}  # Roboflow augments the training split alone
Annotated = tuple[str, Example, tuple[str, ...]]  # path in the repository, annotations, class names
Box = tuple[str, list[float]]  # class name; left, top, width, height in pixels
Picture = tuple[str, bytes, tuple[int, int], list[Box]]  # path in the repository, JPEG, width and height, boxes


@dataclass(frozen=True)
class Source:
    """One data set as the table has it; the table says what the fields mean."""

    name: str
    repository: str
    commit: str
    licence: str
    stated: str
    attribution: str
    folders: list[str]
    annotations: dict[str, str] = field(default_factory=dict)
    classes: list[str] = field(default_factory=list)
    labels: str = "labels"
    only: str = ""
    limit: int = 0
    similar: int = 4
    rename: dict[str, str] = field(default_factory=dict)


class Repository:
    """The files of one commit in a git directory."""

    def __init__(self, folder: Path, commit: str) -> None:
        self.folder = folder
        listing = _git(folder, "ls-tree", "-r", "-z", commit).decode("utf-8", "replace").split("\0")
        self.files = {path: entry.split()[2] for entry, path in (line.split("\t", 1) for line in listing if line)}

    def extract(self, places: dict[str, Path]) -> None:
        """Write files to the places given."""
        objects = "".join(f"{self.files.get(path)}\n" for path in places)
        with TemporaryFile() as blobs:
            command = ["git", "-C", str(self.folder), "cat-file", "--batch"]
            subprocess.run(command, input=objects.encode(), stdout=blobs, check=True)
            blobs.seek(0)
            for path, place in places.items():
                *_, size = blobs.readline().split()
                if size == b"missing":
                    raise DataError(f"{self.folder} has no {path}.")
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(blobs.read(int(size) + 1)[:-1])


def git_directory(source: Source, clones: Path | None, new: Path) -> Path:
    """The git directory of a repository: one below the clones, or else a new one, fetched from GitHub."""
    if clones is None:
        _git(new.parent, "init", "--quiet", "--bare", new.name)
        _git(new, "fetch", "--quiet", "--depth", "1", f"https://github.com/{source.repository}", source.commit)
        return new
    for head in clones.glob(f"**/{source.repository.replace('/', '+')}/**/HEAD"):
        if (head.parent / "objects").is_dir():
            return head.parent
    raise DataError(f"{clones} has no git directory of {source.repository}.")


def _git(folder: Path, *words: str) -> bytes:
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}  # a repository that is gone must not ask for a password
    result = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, env=environment, check=False)
    if result.returncode:
        raise DataError(f"git {words[0]} failed: {' '.join(result.stderr.decode('utf-8', 'replace').split())}")
    return result.stdout


def selected(source: Source, files: Iterable[str]) -> list[str]:
    """The images that are looked at: of each Roboflow original one version, and of many images every n-th."""
    versions: dict[str, list[str]] = {}
    for path in sorted(files):
        place = PurePosixPath(path)
        in_folders = any(fnmatchcase(str(place.parent), pattern) for pattern in source.folders)
        if in_folders and place.suffix.lower() in IMAGE_SUFFIXES and re.search(source.only, place.name):
            versions.setdefault(place.name.split(".rf.")[0] if ".rf." in place.name else path, []).append(path)
    if not versions:
        raise DataError(f"{source.repository} has no images in {source.folders} that the table asks for.")
    chosen = [min(paths, key=lambda path: (HELD_OUT.isdisjoint(path.split("/")), path)) for paths in versions.values()]
    return chosen[:: max(1, len(chosen) // (2 * source.limit))] if source.limit else chosen


def annotated(source: Source, repository: Repository, folder: Path) -> list[Annotated]:
    """The selected images with their annotations, read from copies in a folder."""
    chosen = selected(source, repository.files)
    images = {path: folder / path for path in chosen}
    names = sorted({str(PurePosixPath(path).parent) for path in chosen})
    if source.classes:
        texts = [str(PurePosixPath(path).with_suffix(".txt")) for path in chosen]
        labels = {re.sub(r"(^|.*/)images/", rf"\1{source.labels}/", text): folder / text for text in texts}
        repository.extract(images | {path: place for path, place in labels.items() if path in repository.files})
        (folder / "data.yaml").write_text(json.dumps({"names": source.classes, "train": names}), encoding="utf-8")
        opened = [open_dataset(folder, "train")]
    else:
        files = {name: source.annotations.get(name, f"{name}/{ROBOFLOW_FILE}") for name in names}
        repository.extract(images | {file: folder / name / ROBOFLOW_FILE for name, file in files.items()})
        for name in (name for name, file in files.items() if file.endswith(".csv")):
            _csv_to_coco(folder / name / ROBOFLOW_FILE)
        opened = [open_dataset((folder / name).parent, Path(name).name) for name in names]
    read = {example.path: (example, dataset.classes) for dataset in opened for example in dataset.examples}
    return [(path, *read[place]) for path, place in images.items() if place in read]


def _csv_to_coco(file: Path) -> None:
    """Rewrite a table that Roboflow exported for TensorFlow as COCO."""
    rows = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))
    classes, names = (sorted({row[key] for row in rows}) for key in ("class", "filename"))
    annotations = []
    for row in rows:
        left, top, right, bottom = (float(row[key]) for key in ("xmin", "ymin", "xmax", "ymax"))
        ids = {"image_id": names.index(row["filename"]), "category_id": classes.index(row["class"])}
        annotations.append(ids | {"bbox": [left, top, right - left, bottom - top]})
    images = [{"id": i, "file_name": name} for i, name in enumerate(names)]
    categories = [{"id": i, "name": name} for i, name in enumerate(classes)]
    file.write_text(
        json.dumps({"images": images, "annotations": annotations, "categories": categories}), encoding="utf-8"
    )


def pictures(source: Source, examples: Iterable[Annotated]) -> list[Picture]:
    """Small images with a box at least, none much like one of the 400 before it, thinned evenly to the limit."""
    taken: list[Picture] = []
    fingerprints: list[int] = []
    for path, example, classes in examples:
        image = Image.fromarray(read_image(example.path, upright=example.upright))
        scale = min(1.0, LONGER / max(image.size))
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        boxes, fingerprint = _boxes(source, example, classes, size), _fingerprint(image)
        if boxes and all((fingerprint ^ other).bit_count() > source.similar for other in fingerprints[-400:]):
            jpeg = io.BytesIO()
            image.resize(size, Image.Resampling.LANCZOS).save(jpeg, "JPEG", quality=QUALITY)
            taken.append((path, jpeg.getvalue(), size, boxes))
            fingerprints.append(fingerprint)
        if source.limit and len(taken) > 2 * source.limit:
            break
    count = min(len(taken), source.limit or len(taken))
    return [taken[i * len(taken) // count] for i in range(count)]


def _boxes(source: Source, example: Example, classes: tuple[str, ...], size: tuple[int, int]) -> list[Box]:
    """The boxes of the small image, without tiny ones and repetitions."""
    scale = np.array([size[0] / example.width, size[1] / example.height] * 2)
    boxes: list[Box] = []
    for (left, top, right, bottom), label in zip(example.boxes_xyxy * scale, example.labels, strict=True):
        name = source.rename.get(classes[label], classes[label])
        box = name, [round(float(value), 2) for value in (left, top, right - left, bottom - top)]
        if name and min(right - left, bottom - top) >= SMALLEST and box not in boxes:
            boxes.append(box)
    return boxes


def _fingerprint(image: Image.Image) -> int:
    """64 bits: whether brightness falls from each cell of a coarse grid to the next."""
    grid = np.asarray(image.resize((9, 8), Image.Resampling.BILINEAR).convert("L"))
    return int.from_bytes(np.packbits(grid[:, :-1] > grid[:, 1:]).tobytes(), "big")


def coco(source: Source, taken: list[Picture]) -> dict[str, Any]:
    """The annotation file, as Roboflow writes it."""
    classes = sorted({name for *_, boxes in taken for name, _ in boxes})
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for i, (path, _, (width, height), boxes) in enumerate(taken):
        name = {"file_name": f"{source.name}_{i:04}.jpg", "source": path}
        images.append({"id": i + 1, "width": width, "height": height, **name})
        for class_name, box in boxes:
            ids = {"id": len(annotations) + 1, "image_id": i + 1, "category_id": classes.index(class_name)}
            annotations.append({**ids, "bbox": box, "area": round(box[2] * box[3], 2), "iscrowd": 0})
    url = f"https://github.com/{source.repository}/tree/{source.commit}"
    info = {"url": url, "contributor": source.attribution, "description": f"{source.licence}; shrunk and subsampled"}
    categories = [{"id": i, "name": name, "supercategory": "none"} for i, name in enumerate(classes)]
    return {"info": info, "images": images, "annotations": annotations, "categories": categories}


def make(source: Source, out: Path, clones: Path | None) -> str:
    """Write one data set, and say what it holds."""
    with TemporaryDirectory(prefix=f".{source.name}-", dir=out) as temporary:
        folder = Path(temporary)
        (train := folder / source.name / "train").mkdir(parents=True)
        repository = Repository(git_directory(source, clones, folder / "git"), source.commit)
        taken = pictures(source, annotated(source, repository, folder / "read"))
        written = coco(source, taken)
        (train / ROBOFLOW_FILE).write_text(json.dumps(written), encoding="utf-8")
        for image, (_, jpeg, _, _) in zip(written["images"], taken, strict=True):
            (train / image["file_name"]).write_bytes(jpeg)
        train.parent.rename(out / source.name)
    return ", ".join(f"{len(written[part])} {part}" for part in ("images", "annotations", "categories"))


def main(arguments: list[str] | None = None) -> int:
    """Make the sets that are not there yet; return the exit code."""
    sources = {row["name"]: Source(**row) for row in tomllib.loads(TABLE.read_text(encoding="utf-8"))["set"]}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--git", type=Path, metavar="FOLDER")
    parser.add_argument("--sets", nargs="+", choices=sources, default=[*sources], metavar="NAME")
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    failed = []
    for name in given.sets:
        try:
            if not (given.out / name).exists():
                print(f"{name}: {make(sources[name], given.out, given.git)}", flush=True)
        except SetpieceError as error:
            failed.append(f"{name} was not made: {error}")
    sys.stderr.writelines(f"{sentence}\n" for sentence in failed)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
