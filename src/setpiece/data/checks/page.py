"""What was found as JSON, and as the payload of a page with pictures (`web/pages/doctor`)."""

from __future__ import annotations

import base64
import io
from typing import Any

from PIL import Image

from setpiece.data.checks.examination import Examination
from setpiece.data.checks.finding import Finding
from setpiece.data.defects import Place
from setpiece.data.images import read_image
from setpiece.errors import DataError

__all__ = ["as_json", "page_payload", "small_jpeg"]

PICTURES = 8  # of a finding
SIDE = 320  # pixels of a picture's longer side


def as_json(found: Examination) -> dict[str, Any]:
    """All findings, with their examples by name; ready for JSON."""
    findings = [
        _finding(finding) | {"examples": [_example(place) for place in finding.examples]} for finding in found.findings
    ]
    return {"data": str(found.root), "images": found.images, "findings": findings}


def page_payload(found: Examination) -> dict[str, Any]:
    """The same for `web.render`: the first examples of each finding have their picture, as a small JPEG."""
    findings = [
        _finding(finding)
        | {"examples": [_shown(place, number < PICTURES) for number, place in enumerate(finding.examples)]}
        for finding in found.findings
    ]
    return {
        "kind": "doctor",
        "title": f"What was found in {found.root.resolve().name}",
        "images": found.images,
        "findings": findings,
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "check": finding.check,
        "severity": finding.severity.name.lower(),
        "split": finding.split,
        "count": finding.count,
        "what": finding.what,
        "advice": finding.advice,
    }


def _example(place: Place) -> dict[str, Any]:
    return {
        "text": place.text,
        "image": None if place.image is None else str(place.image),
        "box_xyxy": None if place.box_xyxy is None else list(map(float, place.box_xyxy)),
    }


def small_jpeg(image: Image.Image, side: int = SIDE) -> str:
    """A small JPEG of an image, at most so many pixels a side, as a data URL; the image itself becomes small."""
    image.thumbnail((side, side))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


def _shown(place: Place, with_picture: bool) -> dict[str, Any]:
    picture, (width, height) = None, (0, 0)
    if with_picture and place.image is not None:
        try:
            image = Image.fromarray(read_image(place.image, upright=place.upright))
        except DataError:  # that is what was found
            image = None
        if image is not None:
            width, height = image.size
            picture = small_jpeg(image)
    box = _example(place)["box_xyxy"]
    return {"text": place.text, "picture": picture, "width": width, "height": height, "box_xyxy": box}
