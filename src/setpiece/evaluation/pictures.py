"""Pictures of detections: labelled boxes on an image, and ground truth beside predictions."""

from __future__ import annotations

import numpy as np
import supervision as sv
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from setpiece.evaluation.fonts import font_for

__all__ = ["COLOURS", "TEXT_COLOURS", "beside", "draw"]

# Okabe & Ito's palette, which colour-blind people can tell apart, without its black: dark images would hide that.
COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")
# Each colour's text: black or white, whichever has the higher contrast on it (WCAG).
TEXT_COLOURS = ("#000000", "#000000", "#000000", "#000000", "#FFFFFF", "#000000", "#000000")
LEGIBLE_SIDE = 640  # pixels: smaller images are enlarged to this, so that a label fits beside its box


def draw(image: UInt8[np.ndarray, "H W 3"], detections: sv.Detections) -> UInt8[np.ndarray, "h w 3"]:
    """Draw labelled boxes, one colour per class, the most confident on top.

    Args:
        image: HWC RGB, [0, 255]; it is not changed. One whose longer side is under 640 pixels is enlarged.
        detections: boxes xyxy in pixels of `image`, named by `data["class_name"]`; `confidence` may be None
            (ground truth), and then the label is the name alone. A `tracker_id` of 0 or more is shown after it.

    Returns:
        A new HWC RGB picture, of the image's size or larger.
    """
    canvas, scale = _enlarge(image)
    if not len(detections):
        return np.array(canvas)
    # Later boxes are drawn over earlier ones, and detections come with the most confident first.
    shown = sv.Detections(detections.xyxy[::-1] * scale, class_id=np.asarray(detections.class_id)[::-1])
    side = max(canvas.size)
    palette, text_palette = sv.ColorPalette.from_hex(list(COLOURS)), sv.ColorPalette.from_hex(list(TEXT_COLOURS))
    canvas = sv.BoxAnnotator(palette, thickness=max(2, side // 320)).annotate(canvas, shown)
    texts = _labels(detections)[::-1]
    labels = sv.RichLabelAnnotator(
        palette,
        text_color=text_palette,
        font_path=str(font_for("".join(texts))),
        font_size=max(13, side // 48),
        text_padding=max(3, side // 200),
        smart_position=True,  # a label at the border stays in the frame, and labels do not cover each other
    )
    return np.array(labels.annotate(canvas, shown, texts))


def beside(
    image: UInt8[np.ndarray, "H W 3"],
    truth: sv.Detections,
    predicted: sv.Detections,
    captions: tuple[str, str] = ("ground truth", "predicted"),
) -> UInt8[np.ndarray, "h w 3"]:
    """Draw the ground truth on the left and the predictions on the right, under captions.

    Args:
        image: HWC RGB, [0, 255].
        truth: the annotated objects, boxes xyxy in pixels of `image`.
        predicted: the detections to compare with them, with the same class ids.
        captions: of the left and the right; the number of boxes is written after each.

    Returns:
        A new HWC RGB picture.
    """
    left = _captioned(draw(image, truth), f"{captions[0]}: {len(truth)}")
    right = _captioned(draw(image, predicted), f"{captions[1]}: {len(predicted)}")
    gap = np.full((left.shape[0], max(4, left.shape[1] // 80), 3), 255, dtype=np.uint8)
    return np.concatenate([left, gap, right], axis=1)


def _enlarge(image: UInt8[np.ndarray, "H W 3"]) -> tuple[Image.Image, float]:
    picture = Image.fromarray(image)
    scale = max(1.0, LEGIBLE_SIDE / max(picture.size))
    if scale > 1:
        width, height = picture.size
        picture = picture.resize((round(width * scale), round(height * scale)), Image.Resampling.BICUBIC)
    return picture, scale


def _labels(detections: sv.Detections) -> list[str]:
    names = [str(name) for name in detections.data["class_name"]]
    if detections.tracker_id is not None:
        tracks = ("" if track < 0 else f" #{track}" for track in detections.tracker_id)
        names = [f"{name}{track}" for name, track in zip(names, tracks, strict=True)]
    if detections.confidence is None:
        return names
    return [f"{name} {score:.2f}" for name, score in zip(names, detections.confidence, strict=True)]


def _captioned(picture: UInt8[np.ndarray, "H W 3"], caption: str) -> UInt8[np.ndarray, "h W 3"]:
    height, width, _ = picture.shape
    size = max(13, max(height, width) // 40)
    strip = Image.new("RGB", (width, 2 * size), "white")
    font = ImageFont.load_default(size)
    ImageDraw.Draw(strip).text((size // 2, size), caption, fill="black", font=font, anchor="lm")
    return np.concatenate([np.asarray(strip), picture])
