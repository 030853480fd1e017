"""`POST /v1/detect`: what comes in, and what is answered."""

from __future__ import annotations

import struct
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from setpiece import Detector
from setpiece.data.scenes import draw_scene
from setpiece.inference.predictor import Predictor
from setpiece.model.checkpoint import create

from ..colours import measuring, paint
from .conftest import running
from .images import BOXES, SIZE, encoded, png_header


def found(answer):
    """The boxes of an answer by class."""
    assert answer.status_code == 200, answer.text
    return {each["class"]: each["box"] for each in answer.json()["detections"]}


def refused(answer, status):
    """The sentence of a refusal."""
    assert answer.status_code == status, answer.text
    [(key, said)] = answer.json().items()
    assert key == "detail"
    assert said.endswith(".")
    assert "\n" not in said
    return said


def test_boxes_are_pixels_of_the_image_and_classes_have_their_names(server):
    answer = server.post(encoded())
    boxes = found(answer)
    assert boxes.keys() == BOXES.keys()
    for name, box in boxes.items():
        np.testing.assert_allclose(box, BOXES[name], atol=0.5)
    said = answer.json()
    assert (said["model"], said["image"], said["notes"]) == ("colours", {"width": 90, "height": 60}, [])
    assert said["timing"].keys() == {"receive", "decode", "wait", "model", "batch"}
    assert said["timing"]["batch"] == 1
    assert all(each["score"] > 0.99 for each in said["detections"])


def test_a_form_and_a_body_without_a_type_are_the_same_image(server):
    expected = found(server.post(encoded()))
    form = server.client.post("/v1/detect", files={"image": ("a.png", encoded(), "image/png")}, data={"other": "field"})
    assert found(form) == expected
    assert found(server.post(encoded(), kind=None)) == expected
    assert found(server.post(encoded(), kind="application/octet-stream")) == expected


def test_what_is_served_is_what_the_detector_predicts():
    torch.manual_seed(0)
    checkpoint = create("detr-tiny", ["ace", "king"], shortest=64)
    picture = Image.fromarray(draw_scene(0)[0]).resize((333, 222))
    expected = Detector("tiny", checkpoint, precision="fp32").predict(picture, threshold=0.3)
    with running(Predictor(checkpoint, "fp32")) as served:
        answer = served.post(encoded(picture), threshold="0.3").json()
    assert len(answer["detections"]) == len(expected) > 5
    boxes = [each["box"] for each in answer["detections"]]
    np.testing.assert_allclose(boxes, expected.xyxy, atol=0.01)
    np.testing.assert_allclose([each["score"] for each in answer["detections"]], expected.confidence, atol=1e-4)
    assert [each["class"] for each in answer["detections"]] == expected.data["class_name"].tolist()


def test_the_threshold_is_a_number_or_of_each_class_or_the_models_own(server):
    assert found(server.post(encoded(), threshold="0.99999")) == {}
    assert found(server.post(encoded(), threshold="red=1,blue=0.1")).keys() == {"green", "blue"}
    assert "no thresholds of its own" in refused(server.post(encoded(), threshold="auto"), 422)
    with running(Predictor(replace(measuring(), thresholds=(1.0, 0.5, 1.0)))) as served:
        assert found(served.post(encoded(), threshold="auto")).keys() == {"green"}


def form_of(*fields):
    """A form with an image and thresholds."""
    return {"files": [("image", ("a.png", encoded())), *(("threshold", (None, value)) for value in fields)]}


def test_a_form_may_have_the_threshold(server):
    assert found(server.client.post("/v1/detect", **form_of("0.99999"))) == {}
    assert found(server.client.post("/v1/detect", **form_of("red=1"))).keys() == {"green", "blue"}
    assert "'high' is not understood" in refused(server.client.post("/v1/detect", **form_of("high")), 422)


@pytest.mark.parametrize(
    ("query", "fields"),
    [("?threshold=0.9&threshold=0.1", []), ("?threshold=0.9", ["0.1"]), ("", ["0.9", "0.1"])],
)
def test_a_threshold_that_is_given_twice_is_refused(server, query, fields):
    said = refused(server.client.post(f"/v1/detect{query}", **form_of(*fields)), 422)
    assert said == "The threshold is given 2 times: give it once."


def test_a_query_parameter_that_is_mistyped_is_refused(server):
    said = refused(server.client.post("/v1/detect?treshold=0.9", content=encoded()), 422)
    assert said == "There is no query parameter 'treshold': the only one is threshold."


@pytest.mark.parametrize("threshold", ["high", "nan", "-0.1", "1e999", "pink=0.4", "red=", ""])
def test_a_threshold_that_is_none_is_refused(server, threshold):
    refused(server.post(encoded(), threshold=threshold), 422)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"no image at all", "no image that can be read"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no image that can be read"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no image that can be read"),
        (encoded()[:-30], "truncated"),
        (encoded(format="JPEG")[:-200], "truncated"),
        (encoded(format="GIF")[:60], "truncated"),
        (png_header(0, 0), "no image that can be read"),
        (encoded(format="GIF").replace(struct.pack("<HH", 90, 60), bytes(4)), "no image that can be read"),
        (png_header(9, 9), "truncated"),
    ],
)
def test_what_is_no_image_is_refused(server, content, said):
    assert said in refused(server.post(content), 400)


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"files": {}, "data": {"image": "text"}}, "content type"),  # httpx then sends no form of parts
        ({"files": [("image", ("a", b"1")), ("image", ("b", b"2"))]}, "2 files"),
        ({"files": [("image", (None, b"1"))]}, "0 files"),
        ({"files": [("image", ("a.png", b""))]}, "empty"),
        ({"files": [(f"f{i}", (None, b"")) for i in range(20)]}, "more than 16 parts"),
    ],
)
def test_a_form_without_one_file_is_refused(server, form, said):
    answer = server.client.post("/v1/detect", **form)
    assert said in refused(answer, 415 if said == "content type" else 400)


@pytest.mark.parametrize("boundary", ["", "; boundary=", "; boundary=other"])
def test_a_form_that_cannot_be_read_is_refused(server, boundary):
    refused(server.post(b'--x\r\nContent-Disposition: form-data; name="a"', f"multipart/form-data{boundary}"), 400)


@pytest.mark.parametrize("kept", [0.5, 0.99])
def test_a_form_that_is_cut_off_is_refused_as_such(server, kept):
    request = server.client.build_request("POST", "/v1/detect", **form_of())
    whole = request.read()
    said = refused(server.post(whole[: int(kept * len(whole))], request.headers["content-type"]), 400)
    assert said == "The form cannot be read: it is cut off, or its boundary is another one."


@pytest.mark.parametrize("kind", ["text/html", "application/json", "application/x-www-form-urlencoded", "é", "image"])
def test_another_content_type_is_refused(server, kind):
    assert "not taken" in refused(server.post(encoded(), kind.encode()), 415)


def rotated():
    """Stored on its side, with the EXIF orientation that turns it upright."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(Image.fromarray(np.rot90(paint(SIZE, BOXES)).copy()), exif=exif)


def animated():
    frames = [Image.fromarray(paint(SIZE, BOXES)), Image.new("RGB", (90, 60), "white")]
    return encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])


def with_a_preview():
    """A photo as many phones write it: a JPEG with a second picture behind it (MPO)."""
    photo = Image.fromarray(paint(SIZE, BOXES))
    return encoded(photo, "MPO", save_all=True, append_images=[photo.resize((30, 20))], quality=100, subsampling=0)


NO_EXIF = b"Exif\0\0garbage_garbage"


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (encoded(format="WEBP", lossless=True), None),
        (encoded(format="WEBP", lossless=True, exif=NO_EXIF), None),
        (encoded(exif=NO_EXIF), None),
        (encoded(format="JPEG", exif=NO_EXIF, dpi=(72, 72), quality=100, subsampling=0), None),
        (with_a_preview(), None),
        (encoded(format="TIFF"), None),
        (encoded(Image.fromarray(paint(SIZE, BOXES)).convert("P")), None),
        (encoded(Image.fromarray(paint(SIZE, BOXES)).convert("RGBA")), None),
        (rotated(), "upright"),
        (animated(), "first"),
    ],
    ids=[
        "webp",
        "webp-no-exif",
        "png-no-exif",
        "jpeg-no-exif",
        "mpo",
        "tiff",
        "palette",
        "rgba",
        "rotated",
        "animated",
    ],
)
def test_images_of_other_kinds_are_looked_at_as_people_see_them(server, content, note):
    answer = server.post(content)
    boxes = found(answer)
    for name, box in BOXES.items():
        np.testing.assert_allclose(boxes[name], box, atol=0.6)
    assert answer.json()["image"] == {"width": 90, "height": 60}
    assert len(answer.json()["notes"]) == (note is not None)
    assert note is None or note in answer.json()["notes"][0]


@pytest.mark.parametrize(
    "picture",
    [
        Image.new("CMYK", (30, 20)),
        Image.new("L", (1, 1)),
        Image.new("1", (30, 20)),
        Image.new("LA", (30, 20)),
        Image.fromarray(np.arange(600, dtype=np.uint16).reshape(20, 30) * 100),
        Image.fromarray(np.linspace(0, 1, 600, dtype=np.float32).reshape(20, 30)),
        Image.new("RGB", (20_000, 1)),
    ],
    ids=["cmyk", "one-pixel", "bits", "grey-with-alpha", "16-bit", "float", "a-line"],
)
def test_images_of_any_mode_and_shape_are_answered(server, picture):
    answer = server.post(encoded(picture, "TIFF"))
    assert answer.status_code == 200, answer.text
    assert answer.json()["image"] == {"width": picture.width, "height": picture.height}


@pytest.mark.parametrize(("width", "height"), [(201, 200), (30_000, 30_000), (2**31 - 1, 2**31 - 1)])
def test_an_image_of_too_many_pixels_is_refused_by_its_header(server, width, height):
    """It has no pixels that could be decoded."""
    assert "up to 40000 are taken" in refused(server.post(png_header(width, height)), 413)
    refused(server.post(png_header(200, 200)), 400)
