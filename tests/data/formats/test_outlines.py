from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from setpiece.data.formats.outlines import hull


@given(st.integers(1, 20), st.integers(1, 30), st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_the_box_of_a_mask_is_that_of_pycocotools(height, width, seed, share):
    pixels = np.random.default_rng(seed).random((height, width)) < share * 0.2
    packed = coco_mask.encode(np.asfortranarray(pixels.astype(np.uint8)))
    left, top, width_of_box, height_of_box = coco_mask.toBbox(packed).tolist()
    runs = np.flatnonzero(np.diff(pixels.T.ravel(), prepend=False, append=not pixels.T.ravel()[-1]))
    unpacked = {"size": [height, width], "counts": np.diff(runs, prepend=0).tolist()}
    expected = (left, top, left + width_of_box, top + height_of_box) if pixels.any() else None
    assert hull({"size": [height, width], "counts": packed["counts"].decode()}) == expected
    assert hull(unpacked) == expected


numbers = st.integers() | st.floats() | st.none() | st.text(max_size=3)
anything = st.recursive(
    numbers, lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.sampled_from(["size", "counts"]), inner)
)


@given(anything)
def test_anything_else_is_no_outline_and_no_error(segmentation):
    box = hull(segmentation)
    assert box is None or all(np.isfinite(box))
