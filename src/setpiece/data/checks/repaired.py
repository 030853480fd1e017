"""A copy of a data set as training reads it, with a log of what differs from the original."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, count
from pathlib import Path

from PIL import Image

from setpiece.atomic import write_whole
from setpiece.data.checks.files import RULES
from setpiece.data.checks.finding import Severity
from setpiece.data.checks.survey import Survey
from setpiece.data.dataset import Dataset
from setpiece.data.defects import Defect
from setpiece.data.formats.coco_files import ROBOFLOW_FILE
from setpiece.data.formats.files import composed
from setpiece.data.images import read_image
from setpiece.errors import DataError, OutputError, UsageError

__all__ = ["LOG", "refuse_target", "write_repaired"]

LOG = "changes.txt"
DOUBTFUL = (Defect.OTHER_SIZE, Defect.OTHER_ASPECT)


def write_repaired(survey: Survey, target: Path) -> int:
    """Write the splits that can be read in Roboflow's COCO layout, and `changes.txt`; the original stays as it is.

    Boxes are as they are trained on: inside their images, of some size, none twice. Image files are copied as they are,
    but for those that were annotated as stored, against their EXIF orientation: they are saved as PNG without it.
    Images of another size than declared are left out: only a person can say whether their boxes fit. The log has a line
    for each place of which something was dropped, changed or guessed.

    Args:
        survey: what was read.
        target: see `refuse_target`.

    Returns:
        The number of lines of the log.

    Raises:
        UsageError: see `refuse_target`.
        DataError: no split can be read, or no image of any is left.
        OutputError: it cannot be written; then it is removed again, as it is with any other error.
    """
    refuse_target(survey.root, target)
    if not survey.splits:
        refused = " ".join(survey.unreadable.values())
        raise DataError(f"{survey.root} has no split that can be read, so there is no repaired copy: {refused}")
    kept = {split: _without_doubtful(dataset) for split, dataset in survey.splits.items()}
    if not any(dataset.examples for dataset in kept.values()):
        read = sum(len(dataset.examples) for dataset in survey.splits.values())
        what = f"of the size that is declared (0 of {read})" if read else "that can be read"
        raise DataError(
            f"{survey.root} has no image {what}, so there is no repaired copy: correct first what is found."
        )
    try:
        for split, dataset in kept.items():
            _write_split(dataset, target / split)
        lines = list(_log(survey))
        write_whole(target / LOG, b"".join(_encoded(f"{line}\n") for line in lines))
    except BaseException as error:
        shutil.rmtree(target, ignore_errors=True)
        if isinstance(error, OSError):
            raise OutputError(f"{target} could not be written ({error.strerror or error}).") from error
        raise
    return len(lines)


def refuse_target(root: Path, target: Path) -> None:
    """Where a repaired copy cannot go.

    Raises:
        UsageError: `target` holds something, is a file, or lies in the data set.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"{target} exists and is not empty: name another folder for the repaired copy.")
    if target.resolve().is_relative_to(root.resolve()):
        raise UsageError(f"{target} lies in the data set, which would then hold both: name a folder outside of {root}.")


def _log(survey: Survey) -> Iterator[str]:
    for split, sentence in survey.unreadable.items():
        yield f"{split}: {sentence}"
    for split, dataset in survey.splits.items():
        for kind, places in dataset.defects.places.items():
            check, severity, _ = RULES[kind]
            if severity == Severity.NOTE and check.startswith("images"):
                continue  # handled whenever the image is read; its file is as it was
            rule = "left out of this copy, since its boxes may not fit" if kind in DOUBTFUL else kind.rule
            yield from (f"{split}: {place}: {kind.singular}: {rule}" for place in places)


def _encoded(line: str) -> bytes:
    """With the bytes of names that are not UTF-8; else with "?" for what is no character, as JSON may have it."""
    try:
        return line.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return line.encode("utf-8", "replace")


def _without_doubtful(dataset: Dataset) -> Dataset:
    doubtful = {place.image for kind in DOUBTFUL for place in dataset.defects.places.get(kind, [])}
    return replace(dataset, examples=tuple(e for e in dataset.examples if e.path not in doubtful))


def _write_split(dataset: Dataset, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    names = _names(dataset)
    for example, name in zip(dataset.examples, names, strict=True):
        if example.upright:
            shutil.copyfile(example.path, folder / name)
        else:
            Image.fromarray(read_image(example.path, upright=False)).save(folder / name)
    coco = dataset.to_coco()
    for image, name in zip(coco["images"], names, strict=True):
        image["file_name"] = name
    write_whole(folder / ROBOFLOW_FILE, json.dumps(coco) + "\n")


def _names(dataset: Dataset) -> list[str]:
    """A file name for each image: its own, with a number before it where that is taken."""
    taken: set[str] = set()
    names = []
    for number, example in enumerate(dataset.examples):
        own = example.path.name if example.upright else f"{example.path.stem}.png"
        candidates = chain([own], (f"{unused}-{own}" for unused in count(number)))
        name = next(candidate for candidate in candidates if _key(candidate) not in taken)
        taken.add(_key(name))
        names.append(name)
    return names


def _key(name: str) -> str:
    """Equal for names that are one file on some machine: in another case, or in another Unicode form."""
    return composed(name).casefold()
