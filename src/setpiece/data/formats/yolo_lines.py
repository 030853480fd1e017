"""The lines of YOLO's label files -> boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from setpiece.data.defects import Defect
from setpiece.data.formats.annotations import AnnotatedBox, read_text
from setpiece.data.formats.yolo_config import Config
from setpiece.errors import DataError

__all__ = ["Line", "boxes_of", "check_ids", "check_poses", "read_lines"]

FEW = 3  # fewer lines may have as many numbers each by chance
MOST = 0.5  # of the lines
APART = 0.35  # of the outline's extent, from which on a point does not belong to it
ROUNDING = 0.01  # of the image
_HEADS_OF_DOTA = ("imagesource:", "gsd:")


@dataclass(frozen=True)
class Line:
    """One line of a label file, with the numbers behind its class."""

    number: int
    class_id: int
    values: tuple[float, ...]


def read_lines(path: Path | None) -> list[Line]:
    """The lines of a label file; none where there is no file.

    Raises:
        DataError: a line is no class with numbers.
    """
    if path is None:
        return []
    content = read_text(path)
    if content and not content.strip("\0"):
        raise DataError(f"{path} holds only zero bytes, as after a power cut: restore or empty it.")
    lines = []
    for number, text in enumerate(content.splitlines(), start=1):
        if not text.strip():
            continue
        if not text.strip("\0"):
            raise DataError(f"{path}, line {number} holds only zero bytes, as after a power cut: restore the file.")
        where = f"{path}, line {number}: {text.strip()[:60]!r}"
        try:
            class_id, *values = map(float, text.split())
            if class_id != int(class_id):
                raise ValueError("a class id is an integer")
        except (ValueError, OverflowError) as error:
            raise DataError(f"{where} is neither `class cx cy w h` nor a polygon{_hint(text)}.") from error
        lines.append(Line(number, int(class_id), tuple(values)))
    return lines


def _hint(text: str) -> str:
    """What a line that is no numbers may be, and what to do."""
    tokens = text.split()
    place, token = next(((place, token) for place, token in enumerate(tokens) if not _is_number(token)), (0, ""))
    if not token:
        return ": a class id is a whole number"
    if all(map(_is_number, token.strip(",").split(","))):
        return ": write points in numbers and spaces between them, no commas"
    if (place == 8 and len(tokens) in (9, 10)) or token.startswith(_HEADS_OF_DOTA):
        return (
            ", but DOTA's format, four corners in pixels and the name of the class: convert it to YOLO's, the class id "
            "and then the corners in fractions of the image"
        )
    if place == 0 and len(tokens) > 1:
        return f": write the id of the class {token!r}, its place among the names from 0, and not its name"
    return f": {token[:30]!r} is no number; take it away or correct it"


def _is_number(token: str) -> bool:
    try:
        float(token)
    except ValueError:
        return False
    return True


def boxes_of(
    lines: Sequence[Line], path: Path | None, label_of_id: dict[int, int], config: Config
) -> list[AnnotatedBox]:
    """The boxes of a label file, in fractions of the image.

    Raises:
        DataError: a line is neither a box nor an outline, or of a class that is not declared.
    """
    boxes: list[AnnotatedBox] = []
    for line in lines:
        where = f"{path}, line {line.number}"
        if len(line.values) == 5 and config.keypoints != 1:
            raise DataError(f"{where} has five numbers after its class; is the last one a score? Take it away.")
        box = len(line.values) == 4 or (config.keypoints > 0 and len(line.values) == 4 + config.keypoints)
        if not box and (len(line.values) < 6 or len(line.values) % 2):
            count = f"{len(line.values)} number{'' if len(line.values) == 1 else 's'}"
            raise DataError(
                f"{where} has {count} behind its class and is neither `class cx cy w h` nor a polygon of three points "
                f"or more; if these are a box and keypoints, write kpt_shape into {config.path.name}."
            )
        if line.class_id not in label_of_id:
            hint = "; do these ids count from 1? The first name has 0" if line.class_id == len(label_of_id) else ""
            raise DataError(f"{where}: class {line.class_id} is not among the names of {config.path}{hint}.")
        if box:
            x, y, width, height = line.values[:4]
            corners = x - width / 2, y - height / 2, x + width / 2, y + height / 2
        else:
            xs, ys = line.values[::2], line.values[1::2]
            corners = min(xs), min(ys), max(xs), max(ys)
        outline = Defect.ORIENTED_BOX if _is_oriented(line.values) else Defect.HULL_BOX
        notes = () if box else (outline,)
        boxes.append(AnnotatedBox(f"line {line.number}", corners, label_of_id[line.class_id], notes=notes))
    return boxes


def _is_oriented(values: Sequence[float]) -> bool:
    """Whether four points are the corners of a box that may be turned: opposite sides are parallel."""
    if len(values) != 8:
        return False
    one, two, three, four = np.array(values).reshape(4, 2)
    return bool(np.abs(one + three - two - four).max() <= ROUNDING)


def check_ids(files: Sequence[Sequence[Line]], label_of_id: dict[int, int], config: Config) -> None:
    """Refuse ids that count from 0 where the names count from 1.

    Raises:
        DataError: the names are of the classes 1 to N, and there are labels of class 0 and none of class N.
    """
    used = {line.class_id for lines in files for line in lines}
    last = len(label_of_id)
    if label_of_id.keys() == set(range(1, last + 1)) and 0 in used and last not in used:
        raise DataError(
            f"{config.path} numbers the names from 1 to {last}, and the label files number classes from 0: number the "
            "names from 0."
        )


def check_poses(files: Sequence[Sequence[Line]], config: Config) -> None:
    """Refuse boxes with keypoints behind them that would be read as outlines, since nothing says what they are.

    All of them have as many numbers. The third of each three says whether a point is visible, or else the first four
    are a box, of which width and height, taken for a point, are mostly apart from the others.

    Raises:
        DataError: the lines are such.
    """
    long = [line.values for lines in files for line in lines if len(line.values) > 4]
    counts = {len(values) for values in long}
    if config.keypoints or len(counts) != 1 or (count := counts.pop() - 4) < 3:
        return
    table = np.array(long)
    boxes, rest = table[:, :4], table[:, 4:]
    if not np.isfinite(table).all() or not _are_boxes(boxes):
        return
    if count % 3 == 0 and np.isin(rest[:, 2::3], (0, 1, 2)).all() and (len(long) >= FEW or (rest[:, 2::3] == 2).any()):
        dimensions = 3
    elif count % 2 == 0 and count > 4 and len(long) >= FEW and _share_apart(boxes, rest) > MOST:
        dimensions = 2
    else:
        return
    points = count // dimensions
    raise DataError(
        f"{config.path}: {len(long)} lines of the label files have {count + 4} numbers after the class, which fit as a "
        f"box and {points} keypoint{'s' if points > 1 else ''}; write kpt_shape: [{points}, {dimensions}] into it, or "
        "export boxes."
    )


def _are_boxes(boxes: np.ndarray) -> bool:
    """Whether all are centres and sizes of boxes in an image."""
    centres, sides = boxes[:, :2], boxes[:, 2:]
    inside = (centres - sides / 2 >= -ROUNDING) & (centres + sides / 2 <= 1 + ROUNDING) & (sides > 0)
    return bool(inside.all())


def _share_apart(boxes: np.ndarray, rest: np.ndarray) -> float:
    """How many sizes, taken for points, lie apart from the centre and the other points: those of an outline do not."""
    points = np.concatenate([boxes[:, None, :2], rest.reshape(len(rest), -1, 2)], 1)
    least, most = points.min(1), points.max(1)
    beyond = np.maximum(least - boxes[:, 2:], boxes[:, 2:] - most)
    return float((beyond > APART * (most - least)).any(1).mean())
