"""What a VOC file says of its objects: boxes, or the boxes around outlines and rotated boxes.

```
<bndbox> xmin ymin xmax ymax </bndbox>      (VOC's own)
<polygon> x1 y1 x2 y2 ... </polygon>, or <pt> x y </pt> ... in it      (Roboflow, LabelMe)
<robndbox> cx cy w h angle </robndbox>, the angle in radians      (roLabelImg)
```
"""

from __future__ import annotations

import math
from itertools import chain
from pathlib import Path
from xml.etree.ElementTree import Element

from setpiece.data.defects import Defect
from setpiece.data.formats.annotations import AnnotatedBox
from setpiece.data.formats.fields import truth
from setpiece.data.formats.outlines import hull
from setpiece.errors import DataError

__all__ = ["boxes_of", "class_of", "text_of"]

_SIDES = ("xmin", "ymin", "xmax", "ymax")
_ROTATED = ("cx", "cy", "w", "h", "angle")

Corners = tuple[float, float, float, float]


def boxes_of(tree: Element, path: Path, label_of_class: dict[str, int]) -> list[AnnotatedBox]:
    """The boxes of a file, whose tags are in lower case.

    Raises:
        DataError: an object has no box, or one that can be read in no way, or in several.
    """
    boxes = []
    for number, item in enumerate(tree.iter("object"), start=1):
        name = f"object {number} ({class_of(item, path)})"
        crowd = truth(text_of(item, "difficult"))
        if crowd is None:
            raise DataError(f"{path}: {name} has {text_of(item, 'difficult')!r} as difficult: write 0 or 1.")
        corners, notes = _corners(item, f"{path}: {name}")
        if crowd:
            notes = (Defect.DIFFICULT, *notes)
        boxes.append(AnnotatedBox(name, corners, label_of_class[class_of(item, path)], crowd, notes=notes))
    return boxes


def class_of(item: Element, path: Path) -> str:
    """The class of an object.

    Raises:
        DataError: it has no name.
    """
    if not (name := text_of(item, "name")):
        raise DataError(f"{path} has an object without a name; give it one or remove it.")
    return name


def text_of(item: Element, key: str) -> str:
    """What is written in the element below that the key leads to; nothing where there is none."""
    return item.findtext(key, "").strip()


def _corners(item: Element, where: str) -> tuple[Corners, tuple[Defect, ...]]:
    """Left, top, right and bottom in pixels, and what is counted for them."""
    if (box := item.find("bndbox")) is not None:
        left, top, right, bottom = _numbers(box, _SIDES, where)
        return (left, top, right, bottom), ()
    if (box := item.find("robndbox")) is not None:
        x, y, width, height, angle = _numbers(box, _ROTATED, where)
        return _around(x, y, width, height, angle), (Defect.ORIENTED_BOX,)
    if (polygon := item.find("polygon")) is not None:
        xs, ys = ([part.text for part in polygon.iter() if part.tag.rstrip("0123456789") == axis] for axis in "xy")
        if len(xs) == len(ys) and (corners := hull([list(chain.from_iterable(zip(xs, ys, strict=True)))])) is not None:
            return corners, (Defect.HULL_BOX,)
        raise DataError(f"{where} has a polygon that is no three points x and y or more: draw it again, or a bndbox.")
    raise DataError(f"{where} has no bndbox, but {_tags(item)}: draw a box around it, or delete it.")


def _numbers(box: Element, keys: tuple[str, ...], where: str) -> list[float]:
    texts = {key: text_of(box, key) for key in keys if box.find(key) is not None}
    if len(texts) < len(keys):
        raise DataError(
            f"{where} has a {box.tag} of {_tags(box)}: write {', '.join(keys[:-1])} and {keys[-1]} into it."
        )
    numbers = []
    for key, text in texts.items():
        try:
            numbers.append(float(text))
        except ValueError as error:
            what = "a point in the place of the comma" if "," in text else "a number"
            raise DataError(f"{where} has {text!r} as {key} of its {box.tag}: write {what}.") from error
    return numbers


def _tags(item: Element) -> str:
    tags = [part.tag for part in item]
    return ", ".join(tags[:8]) + (", ..." if len(tags) > 8 else "") or "nothing"


def _around(x: float, y: float, width: float, height: float, angle: float) -> Corners:
    """The upright box around one that is turned about its centre by an angle in radians."""
    if not math.isfinite(angle):
        return angle, angle, angle, angle
    cosine, sine = abs(math.cos(angle)), abs(math.sin(angle))
    across, down = (width * cosine + height * sine) / 2, (width * sine + height * cosine) / 2
    return x - across, y - down, x + across, y + down
