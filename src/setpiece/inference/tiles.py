"""Large images in tiles, each as large as what enters the model: small objects keep their pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import cast

import numpy as np
from jaxtyping import Bool, Float, Int64

from setpiece.evaluation import sv
from setpiece.inference.detects import Detects
from setpiece.inference.found import to_record
from setpiece.inference.pictures import Channels, Picture, to_pixels
from setpiece.inference.thresholds import DEFAULT, Threshold

__all__ = ["Tiled", "join"]

OVERLAP = 0.2  # of a tile's side: objects up to this are whole in some tile
SAME = 0.5  # IoU in what two tiles both see, from which it is one object
NEAR = 0.01  # of a tile's side: a box that ends so near to where the tile is cut may go on behind it
TILES_AT_ONCE = 10_000  # all tiles of an image go to the model in one call, which makes batches of them


class Tiled:
    """A model that looks at images tile by tile; what two tiles see of one object becomes one detection.

    Args:
        model: what looks at a tile.
        side: pixels of a tile; the model's own input size loses none.
        say: told once what it costs, before the first image that is larger than a tile.

    Example:
        >>> from setpiece.inference.predictor import Predictor
        >>> from setpiece.model.checkpoint import create
        >>> tiled = Tiled(Predictor(create("detr-tiny", ["ace", "king"], shortest=64)), 64, print)
        >>> image = np.zeros((100, 150, 3), np.uint8)
        >>> found = list(tiled.predict([image, image]))
        6 tiles of 64 pixels for an image of 150x100: this takes about 6 times as long as without tiles.
    """

    def __init__(self, model: Detects, side: int, say: Callable[[str], object] = lambda _: None) -> None:
        self.model = model
        self.side = side
        self._say: Callable[[str], object] | None = say

    @property
    def classes(self) -> tuple[str, ...]:
        """The name of each class, by index."""
        return self.model.classes

    @property
    def thresholds(self) -> tuple[float, ...] | None:
        """The model's own threshold of each class."""
        return self.model.thresholds

    def predict(
        self, pictures: Iterable[Picture], *, threshold: Threshold = DEFAULT, channels: Channels = "rgb"
    ) -> Iterator[sv.Detections]:
        """Detect objects in pictures, see `Detecting.predict`."""
        for picture in pictures:
            yield self._in_one(to_pixels(picture, channels), threshold)

    def _in_one(self, image: np.ndarray, threshold: Threshold) -> sv.Detections:
        height, width = image.shape[:2]

        def detect(tiles: list[np.ndarray]) -> list[sv.Detections]:
            if self._say is not None and len(tiles) > 1:
                self._say(
                    f"{len(tiles)} tiles of {self.side} pixels for an image of {width}x{height}: this takes about "
                    f"{len(tiles)} times as long as without tiles."
                )
                self._say = None
            found = list(self.model.predict(tiles, threshold=threshold))
            for each, tile in zip(found, tiles, strict=True):
                each.data["in_tile"] = each.xyxy.copy()  # the slicer moves xyxy, and does not say whither
                each.data["tile_size"] = np.tile(tile.shape[1::-1], (len(each), 1))
            return found

        slicer = sv.InferenceSlicer(
            detect,
            slice_wh=self.side,
            overlap_wh=round(OVERLAP * self.side),
            overlap_filter=sv.OverlapFilter.NONE,  # its own would remove objects that overlap within a tile, too
            batch_size=TILES_AT_ONCE,
        )
        found = slicer(image)
        in_tile, sizes = (found.data.pop(name, np.zeros((0, 2))) for name in ("in_tile", "tile_size"))
        if not len(found):  # the slicer's own record of nothing has no names
            return to_record(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int), names=self.classes, threshold=0.0)
        corners = found.xyxy[:, :2] - np.asarray(in_tile)[:, :2]
        return join(found, np.concatenate([corners, corners + sizes], 1), (width, height))


def join(found: sv.Detections, tiles_xyxy: Float[np.ndarray, "N 4"], size: tuple[int, int]) -> sv.Detections:
    """What tiles found, each object once, the most confident first.

    Two detections of one class are one object if they agree in what both of their tiles see: with an IoU of 0.5 there,
    or, where the smaller is cut by the border of its tile, if half of it is in the other. A tile finds an object only
    once, so two detections of one tile stay two. Of an object that is whole in some tile the whole box stays. One
    that is cut in all of them gets the box around its pieces.

    Args:
        found: boxes xyxy in pixels of the image.
        tiles_xyxy: the tile that each was found in.
        size: (width, height) of the image.
    """
    order = np.argsort(-np.asarray(found.confidence), kind="stable")
    found, tiles = _rows(found, order), np.round(tiles_xyxy[order])
    cut = _cut(found.xyxy, tiles, size)
    objects = [[index] for index in range(len(found))]  # the object of each detection: lists that come to be shared
    for one, other in _pairs(found, tiles, cut):
        together = objects[one] + objects[other]
        if objects[one] is not objects[other] and len(np.unique(tiles[together], axis=0)) == len(together):
            for index in together:
                objects[index] = together
    chosen: list[int] = []
    boxes = found.xyxy.copy()
    for together in {id(each): each for each in objects}.values():
        whole = [index for index in together if not cut[index]]
        first = min(whole or together)
        if not whole:
            boxes[first] = [*found.xyxy[together, :2].min(0), *found.xyxy[together, 2:].max(0)]
        chosen.append(first)
    found.xyxy = boxes
    return _rows(found, np.sort(chosen))


def _rows(found: sv.Detections, index: Int64[np.ndarray, " M"]) -> sv.Detections:
    return cast(sv.Detections, found[index])


def _pairs(found: sv.Detections, tiles: Float[np.ndarray, "N 4"], cut: Bool[np.ndarray, " N"]) -> list[tuple[int, int]]:
    """Detections of two tiles that may be one object, those that agree best first."""
    shared = np.concatenate([_each(np.maximum, tiles[:, :2]), _each(np.minimum, tiles[:, 2:])], -1)  # (N, N, 4)
    seen = np.concatenate(
        [np.maximum(found.xyxy[:, None, :2], shared[..., :2]), np.minimum(found.xyxy[:, None, 2:], shared[..., 2:])], -1
    )  # of the first of a pair
    other = seen.transpose(1, 0, 2)
    both = _area(
        np.concatenate([np.maximum(seen[..., :2], other[..., :2]), np.minimum(seen[..., 2:], other[..., 2:])], -1)
    )
    area, area_of_other = _area(seen), _area(other)
    iou = both / np.maximum(area + area_of_other - both, 1e-9)
    piece = np.where(area <= area_of_other, cut[:, None], cut)  # whether the smaller is cut
    agree = np.where(piece, both / np.maximum(np.minimum(area, area_of_other), 1e-9), iou)
    classes = np.asarray(found.class_id)
    possible = (agree >= SAME) & (classes[:, None] == classes) & (tiles[:, None] != tiles).any(-1)
    one, two = np.nonzero(np.triu(possible, 1))
    best = np.argsort(-iou[one, two], kind="stable")
    return list(zip(one[best].tolist(), two[best].tolist(), strict=True))


def _each(function: np.ufunc, corners: Float[np.ndarray, "N 2"]) -> Float[np.ndarray, "N N 2"]:
    return np.asarray(function(corners[:, None], corners))


def _area(boxes_xyxy: Float[np.ndarray, "N N 4"]) -> Float[np.ndarray, "N N"]:
    return np.prod(np.maximum(boxes_xyxy[..., 2:] - boxes_xyxy[..., :2], 0), -1)


def _cut(
    boxes_xyxy: Float[np.ndarray, "N 4"], tiles: Float[np.ndarray, "N 4"], size: tuple[int, int]
) -> Bool[np.ndarray, " N"]:
    """Which boxes end where their tile does and the image does not."""
    near = np.maximum(2.0, NEAR * (tiles[:, 2:] - tiles[:, :2]).max(1, keepdims=True))
    low = (boxes_xyxy[:, :2] - tiles[:, :2] <= near) & (tiles[:, :2] > 0)
    high = (tiles[:, 2:] - boxes_xyxy[:, 2:] <= near) & (tiles[:, 2:] < size)
    return (low | high).any(1)
