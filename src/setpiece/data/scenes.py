"""The demo data set, drawn on the spot: textured scenes of overlapping shapes, the same pixels every time.

Everything from the seed to the pixel is integer arithmetic (angles are whole degrees, cosines a table of
integers, blends are over 255), so that no machine's floating point shows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int64, UInt8
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from setpiece.errors import UsageError

__all__ = ["CLASSES", "draw_scene", "write_scenes"]

Colour = tuple[int, int, int]  # RGB in [0, 255]

CLASSES = ("circle", "square", "triangle", "star", "ring", "cross")
SIZES = ((192, 256), (224, 256), (256, 256), (256, 192))  # (height, width) in pixels
INKS = (
    (228, 87, 46), (243, 167, 18), (27, 153, 139), (46, 134, 171), (106, 76, 147), (224, 86, 138),
    (95, 173, 65), (197, 40, 61), (240, 236, 226), (38, 50, 84), (255, 209, 102), (120, 200, 220),
)  # fmt: skip
PAPERS = (
    ((234, 219, 200), (205, 180, 150)), ((221, 230, 237), (170, 192, 208)), ((48, 60, 70), (82, 98, 110)),
    ((205, 216, 185), (152, 170, 128)), ((66, 56, 92), (110, 92, 138)), ((248, 216, 198), (226, 172, 150)),
    ((28, 38, 50), (48, 66, 86)), ((214, 238, 226), (150, 204, 186)), ((120, 84, 60), (160, 120, 88)),
)  # fmt: skip
PATTERNS = ("noise", "stripes", "checks", "dots")
MARGIN = 6  # pixels around a shape, for its shadow
SUPERSAMPLING = 4  # shapes are drawn this many times larger and averaged down, which smooths their edges
UNIT = 4096  # what the table of cosines calls 1
COSINE = np.round(np.cos(np.deg2rad(np.arange(360))) * UNIT).astype(np.int64)
LEAST_VISIBLE = 0.55  # of every shape's pixels
ANNOTATIONS = "_annotations.coco.json"


@dataclass(frozen=True)
class _Shape:
    """One shape on a small square canvas of its own."""

    label: int
    body: Image.Image  # opacity, [0, 255]
    edge: Image.Image  # opacity of the outline, which lies inside the body
    box_xyxy: tuple[float, float, float, float]  # of the drawn pixels, on the small canvas


def draw_scene(
    seed: int, size: tuple[int, int] | None = None
) -> tuple[UInt8[np.ndarray, "H W 3"], Float[np.ndarray, "N 4"], Int64[np.ndarray, "N"]]:
    """Draw up to eight shapes that overlap on a textured background.

    A box is tight around the whole shape, to a quarter of a pixel, also where another shape covers a part of
    it; at least 55 % of every shape stays visible.

    Args:
        seed: in [0, 2³²); the same seed gives the same pixels on every machine.
        size: (height, width) in pixels, at least 64; None lets the seed choose one of `SIZES`.

    Returns:
        The image, HWC RGB in [0, 255]; the boxes, xyxy in pixels; the labels, indices into `CLASSES`.

    Example:
        >>> image, boxes_xyxy, labels = draw_scene(0, size=(96, 128))
        >>> image.shape, len(boxes_xyxy) == len(labels)
        ((96, 128, 3), True)
    """
    # RandomState, not default_rng: NumPy froze its stream for good (NEP 19).
    random = np.random.RandomState(seed)
    height, width = size or SIZES[random.randint(len(SIZES))]
    papers = PAPERS[random.randint(len(PAPERS))]
    canvas = _background(random, papers, height, width)
    inks = [INKS[i] for i in random.permutation(len(INKS)) if all(_differ(INKS[i], paper) for paper in papers)]
    owner = np.full((height, width), -1)  # which shape each pixel shows
    areas: list[int] = []
    boxes: list[tuple[float, ...]] = []
    labels: list[int] = []
    for _ in range(random.randint(3, 9)):
        shape = _shape(random, min(height, width))
        for left, top in _places(random, shape, boxes, height, width):
            covered = np.where(_stamp(shape, left, top, height, width), len(areas), owner)
            if all((covered == i).sum() >= LEAST_VISIBLE * area for i, area in enumerate(areas)):
                owner = covered
                areas.append(int((owner == len(areas)).sum()))
                _paint(random, canvas, shape, inks[len(areas) % len(inks)], left, top)
                x0, y0, x1, y1 = shape.box_xyxy
                boxes.append((left + x0, top + y0, left + x1, top + y1))
                labels.append(shape.label)
                break
    return np.array(canvas), np.array(boxes, dtype=np.float64), np.array(labels, dtype=np.int64)


def write_scenes(folder: Path, *, train: int = 400, valid: int = 80, seed: int = 0) -> Path:
    """Write scenes as a COCO data set: `train/` and `valid/`, each with its images and one annotation file.

    The folder appears whole or not at all. One that already holds exactly these scenes is left as it is.

    Args:
        folder: where the data set goes; its parent folders are made.
        train: how many images to train on.
        valid: how many images to validate on.
        seed: in [0, 2³²).

    Returns:
        `folder`.

    Raises:
        UsageError: `folder` exists and holds something else, or cannot be written.

    References:
        https://cocodataset.org/#format-data
    """
    about = {"description": "setpiece scenes", "seed": seed, "train": train, "valid": valid}
    if _holds(folder, about):
        return folder
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} exists and does not hold these scenes; delete it or name another folder")
    seeds = np.random.RandomState(seed).randint(2**32, size=train + valid, dtype=np.uint32).tolist()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as temporary:
            draft = Path(temporary) / folder.name
            _write_split(draft / "train", seeds[:train], about)
            _write_split(draft / "valid", seeds[train:], about)
            draft.rename(folder)
    except OSError as error:
        if not _holds(folder, about):  # another process may have written the same scenes meanwhile
            raise UsageError(f"{folder} cannot be written ({error.strerror}); name another folder") from error
    return folder


def _holds(folder: Path, about: dict[str, Any]) -> bool:
    try:
        written = json.loads((folder / "train" / ANNOTATIONS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(written, dict) and written.get("info") == about


def _write_split(folder: Path, seeds: list[int], about: dict[str, Any]) -> None:
    folder.mkdir(parents=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, seed in enumerate(seeds, start=1):
        pixels, boxes_xyxy, labels = draw_scene(seed)
        name = f"scene_{image_id:04}.png"
        Image.fromarray(pixels).save(folder / name)
        images.append({"id": image_id, "file_name": name, "height": pixels.shape[0], "width": pixels.shape[1]})
        for (left, top, right, bottom), label in zip(boxes_xyxy.tolist(), labels.tolist(), strict=True):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": label + 1,
                    "bbox": [left, top, right - left, bottom - top],
                    "area": (right - left) * (bottom - top),
                    "iscrowd": 0,
                    "segmentation": [],
                }
            )
    categories = [{"id": i, "name": name, "supercategory": "shape"} for i, name in enumerate(CLASSES, start=1)]
    document = {"info": about, "images": images, "annotations": annotations, "categories": categories}
    (folder / ANNOTATIONS).write_text(json.dumps(document), encoding="utf-8")


def _background(random: np.random.RandomState, papers: tuple[Colour, Colour], height: int, width: int) -> Image.Image:
    """Two papers mixed by a pattern, with light that falls unevenly."""
    mix = (2 * _pattern(random, height, width) + _clouds(random, height, width, 3)) // 3
    mix = mix[..., None]  # (H, W, 1)
    first, second = np.array(papers)
    light = (_clouds(random, height, width, 2)[..., None] - 128) // 6
    return Image.fromarray(np.clip((first * (255 - mix) + second * mix) // 255 + light, 0, 255).astype(np.uint8))


def _clouds(
    random: np.random.RandomState, height: int, width: int, cells: int
) -> Int64[np.ndarray, "{height} {width}"]:
    """Smooth noise in [0, 255]: random grids of ever finer cells, each half as strong as the one before."""
    total, weights = np.zeros((height, width), dtype=np.int64), 0
    for octave in range(3):
        side = (cells << octave) + 1
        grid = Image.fromarray(random.randint(0, 256, (side, side)).astype(np.uint8))
        weight = 4 >> octave
        total += weight * np.asarray(grid.resize((width, height), Image.Resampling.BICUBIC), dtype=np.int64)
        weights += weight
    return total // weights


def _pattern(random: np.random.RandomState, height: int, width: int) -> Int64[np.ndarray, "{height} {width}"]:
    """One of `PATTERNS` in [0, 255], at an angle and a scale of its own."""
    kind = PATTERNS[random.randint(len(PATTERNS))]
    if kind == "noise":
        return _clouds(random, height, width, random.randint(3, 9))
    angle, period = random.randint(360), random.randint(10, 36)
    along = _wave(height, width, angle, period)
    if kind == "stripes":
        return np.clip(4 * along, -128, 127) + 128
    across = _wave(height, width, angle + 90, period)
    if kind == "checks":
        return np.clip(along * across // 8, -128, 127) + 128
    from_dot = (128 - along) ** 2 + (128 - across) ** 2  # squared distance to the nearest corner of the lattice
    return np.clip((80**2 - from_dot) // 16, -128, 127) + 128


def _wave(height: int, width: int, angle: int, period: int) -> Int64[np.ndarray, "{height} {width}"]:
    """A triangle wave in [-128, 128] that runs in the direction of `angle` degrees."""
    y, x = np.mgrid[:height, :width]
    distance = x * COSINE[angle % 360] + y * COSINE[(angle - 90) % 360]  # pixels times UNIT; sin a = cos(a - 90)
    phase = (distance * 512 // (period * UNIT)) % 512
    return np.abs(phase - 256) - 128


def _outlines(label: int) -> list[list[tuple[int, int]]]:
    """The corners of a class as (angle in degrees, radius in thousandths); a second outline is a hole."""
    disc = [(angle, 1000) for angle in range(0, 360, 5)]
    return {
        "circle": [disc],
        "square": [[(angle, 1000) for angle in (45, 135, 225, 315)]],
        "triangle": [[(angle, 1000) for angle in (90, 210, 330)]],
        "star": [[(36 * k, 460 if k % 2 else 1000) for k in range(10)]],
        "ring": [disc, [(angle, 560) for angle, _ in disc]],
        "cross": [[(a + d, r) for a in (0, 90, 180, 270) for d, r in ((-19, 1000), (19, 1000), (45, 460))]],
    }[CLASSES[label]]


def _shape(random: np.random.RandomState, room: int) -> _Shape:
    """Draw a shape of a random class, size, rotation and stretch on a canvas of its own."""
    label = random.randint(len(CLASSES))
    # The square of a uniform number: more small shapes than large ones.
    radius = 12 + (room * 28 // 100 - 12) * random.randint(0, 1001) ** 2 // 1000**2  # pixels
    turn, stretch = random.randint(360), random.randint(800, 1001)
    side = 2 * radius + 2 * MARGIN
    body = Image.new("L", (side * SUPERSAMPLING, side * SUPERSAMPLING))
    lines = body.copy()
    for is_hole, corners in enumerate(_outlines(label)):
        points = _turned(corners, radius * SUPERSAMPLING, turn, stretch, side * SUPERSAMPLING // 2)
        ImageDraw.Draw(body).polygon(points, fill=0 if is_hole else 255)
        ImageDraw.Draw(lines).line([*points, *points[:2]], fill=255, width=3 * SUPERSAMPLING, joint="curve")
    edge = ImageChops.darker(lines, body)
    x0, y0, x1, y1 = (v / SUPERSAMPLING for v in body.getbbox() or ())
    return _Shape(label, body.reduce(SUPERSAMPLING), edge.reduce(SUPERSAMPLING), (x0, y0, x1, y1))


def _turned(corners: list[tuple[int, int]], radius: int, turn: int, stretch: int, centre: int) -> list[tuple[int, int]]:
    """Corners in pixels: scaled to `radius`, squeezed along one axis to `stretch` thousandths, then rotated."""
    points = []
    for angle, reach in corners:
        x = int(COSINE[angle % 360]) * radius * reach * stretch // 1000**2
        y = int(COSINE[(angle - 90) % 360]) * radius * reach // 1000
        cosine, sine = int(COSINE[turn]), int(COSINE[turn - 90])
        points.append((centre + (x * cosine - y * sine) // UNIT**2, centre + (x * sine + y * cosine) // UNIT**2))
    return points


def _places(
    random: np.random.RandomState, shape: _Shape, boxes: list[tuple[float, ...]], height: int, width: int
) -> Iterator[tuple[int, int]]:
    """Corners to put a shape's canvas at, so that the shape is inside the picture; some near a neighbour."""
    x0, y0, x1, y1 = shape.box_xyxy
    last_left, last_top = width - int(np.ceil(x1)), height - int(np.ceil(y1))
    for _ in range(16):
        left, top = random.randint(-int(x0), last_left + 1), random.randint(-int(y0), last_top + 1)
        if boxes and random.randint(3) == 0:
            # Half the way from there to a neighbour: shapes gather and overlap.
            near = boxes[random.randint(len(boxes))]
            left = min((left + int(near[0] - x0)) // 2, last_left)
            top = min((top + int(near[1] - y0)) // 2, last_top)
        yield left, top


def _stamp(shape: _Shape, left: int, top: int, height: int, width: int) -> Bool[np.ndarray, "{height} {width}"]:
    """The pixels of a picture that a shape at (left, top) covers at least half."""
    picture = Image.new("L", (width, height))
    picture.paste(shape.body, (left, top))
    return np.asarray(picture) >= 128


def _paint(random: np.random.RandomState, canvas: Image.Image, shape: _Shape, ink: Colour, left: int, top: int) -> None:
    """Paint a shadow, the textured body lit from the upper left, and the outline."""
    shadow = shape.body.filter(ImageFilter.GaussianBlur(2)).point([v * 2 // 5 for v in range(256)])
    canvas.paste((0, 0, 0), (left + 2, top + 3), shadow)
    side = shape.body.width
    y, x = np.mgrid[:side, :side]
    light = 45 - 90 * (x + y) // (2 * side)
    texture = (_pattern(random, side, side) - 128) * random.randint(0, 4) // 12
    fill = np.array(ink) + (light + texture)[..., None]
    canvas.paste(Image.fromarray(np.clip(fill, 0, 255).astype(np.uint8)), (left, top), shape.body)
    canvas.paste(tuple(v // 2 for v in ink), (left, top), shape.edge)


def _differ(ink: Colour, paper: Colour) -> bool:
    return sum(abs(a - b) for a, b in zip(ink, paper, strict=True)) > 140
