"""One forward path: whoever asks gets the same predictions, in the precision that was chosen."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from setpiece.data.dataset import Example
from setpiece.data.fitting import fitted
from setpiece.data.images import read_image
from setpiece.data.items import EvalImages
from setpiece.data.scenes import draw_scene
from setpiece.detector import Detector
from setpiece.inference.pictures import to_input, to_pixels
from setpiece.inference.predictor import Predictor
from setpiece.input_size import InputSize
from setpiece.model.checkpoint import create
from setpiece.serving.pictures import decode

from ..checks import without_checks
from ..colours import IMAGES, measuring, paint


def picture(index=0):
    return paint(*IMAGES[index])


@pytest.mark.parametrize("preset", ["sprint-n", "detr-tiny"])
@pytest.mark.parametrize("bf16", [True, False])
def test_the_scores_of_a_report_are_those_that_predict_gives(preset, bf16, monkeypatch):
    monkeypatch.setattr("setpiece.inference.predictor.uses_bf16", lambda *_: bf16)
    torch.manual_seed(0)
    detector = Detector("random", create(preset, ["a"], shortest=96))
    for parameter in detector.checkpoint.model.parameters():  # heads that start at 0 give all queries one score
        parameter.data.add_(torch.randn_like(parameter) * 0.02)
    found = next(detector.predictor().predict([picture()], threshold=0.0))
    report = detector.explain(picture())
    facts = report.images[0].facts
    query = torch.from_numpy(found.data["query"])
    np.testing.assert_allclose(facts.best_score[-1, query], found.confidence, rtol=1e-6)  # in double precision there
    np.testing.assert_array_equal(facts.best_label[-1, query], found.class_id)


@pytest.mark.parametrize("preset", ["sprint-n", "detr-tiny"])
def test_a_detector_predicts_with_a_faster_copy_that_finds_the_same(preset):
    torch.manual_seed(0)
    detector = Detector("random", create(preset, ["a", "b"], shortest=96), precision="fp32")
    assert detector.detecting() is detector.detecting()  # laid out once
    assert any(isinstance(module, nn.Identity) for module in detector.detecting().checkpoint.model.modules())
    found = detector.predict(picture(), threshold=0.0)
    expected = next(detector.predictor().predict([picture()], threshold=0.0))
    order, wanted = np.argsort(found.data["query"]), np.argsort(expected.data["query"])
    np.testing.assert_allclose(found.xyxy[order], expected.xyxy[wanted], atol=0.01)
    np.testing.assert_allclose(found.confidence[order], expected.confidence[wanted], atol=1e-4)


def test_a_compiled_detector_finds_the_same_in_pictures_of_several_sizes(monkeypatch):
    compiled = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda *args, **given: compiled(*args, backend="eager", **given))  # fast
    torch.manual_seed(0)
    checkpoint = create("detr-tiny", ["a", "b"], shortest=64)
    pictures = [picture(index) for index in range(len(IMAGES))] * 6  # several batches
    plain, fast = (Detector("random", checkpoint, precision="fp32", compile=each) for each in (False, True))
    with without_checks():
        both = [each.predict(pictures, threshold=0.0) for each in (fast, plain)]
    for found, expected in zip(*both, strict=True):
        np.testing.assert_allclose(found.xyxy, expected.xyxy, atol=0.01)
    assert fast.detecting().checkpoint.model._compiled_call_impl is not None


def test_training_again_replaces_what_predicts(scenes, tmp_path):
    detector = Detector.load("detr-tiny")
    settings = {"epochs": 1, "size": 64, "batch_size": 8, "evaluations": 1}
    detector.train(scenes, output=tmp_path / "first", **settings)
    before = detector.detecting()
    detector.train(scenes, output=tmp_path / "second", **settings)
    assert detector.detecting() is not before


def test_the_precision_that_is_asked_for_is_computed_in():
    checkpoint = create("detr-tiny", ["a", "b"], shortest=96)
    images = Predictor(checkpoint).preprocess([picture()])
    full, half = (Predictor(checkpoint, precision).outputs(images) for precision in ("fp32", "bf16"))
    assert half.logits.dtype == full.logits.dtype == torch.float32
    assert not half.logits.equal(full.logits)
    torch.testing.assert_close(half.boxes, full.boxes, atol=0.05, rtol=0)


def test_pictures_of_several_sizes_are_found_in_as_each_alone():
    predictor = Predictor(measuring())
    pictures = [picture(index) for index in range(len(IMAGES))] * 3  # more than a batch
    together = list(predictor.predict(pictures))
    assert len(together) == len(pictures)
    for pixels, found in zip(pictures, together, strict=True):
        (alone,) = predictor.predict([pixels])
        np.testing.assert_allclose(found.xyxy, alone.xyxy, atol=0.5)


def test_a_file_a_pil_image_and_an_array_are_one_picture(tmp_path):
    Image.fromarray(picture()).save(tmp_path / "a.png")
    detector = Detector("measuring", measuring())
    of_file, of_image, of_array = detector.predict([str(tmp_path / "a.png"), Image.fromarray(picture()), picture()])
    for found in (of_image, of_array):
        np.testing.assert_array_equal(found.xyxy, of_file.xyxy)


@pytest.mark.parametrize("orientation", [1, 6])
def test_less_of_a_large_photo_is_read_by_whoever_reads_it(tmp_path, orientation):
    """Prediction, evaluation and the server see the same pixels, and boxes are in pixels of the whole photo."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo = Image.fromarray(draw_scene(0, (90, 120))[0]).resize((1201, 899), Image.Resampling.BICUBIC)
    photo.save(tmp_path / "a.jpg", exif=exif)
    whole = read_image(tmp_path / "a.jpg")
    size = InputSize(96, 96)
    pixels, original = to_input(tmp_path / "a.jpg", size)
    assert original == whole.shape[:2]
    assert pixels.shape[:2] == size.fit(*original)
    assert 0 < np.abs(pixels.astype(int) - fitted(whole, size)).mean() < 2

    nothing = np.zeros(0)
    example = Example(
        *(1, tmp_path / "a.jpg", *original, nothing.reshape(0, 4).astype(np.float32), nothing.astype(np.int64)),
        *(nothing.astype(bool), nothing.astype(np.float32)),
    )
    served = decode((tmp_path / "a.jpg").read_bytes(), size, max_pixels=10**7)
    np.testing.assert_array_equal(EvalImages([example], size)[0].image.permute(1, 2, 0), pixels)
    np.testing.assert_array_equal(served.pixels, pixels)
    assert served.size == original

    torch.manual_seed(0)
    detector = Detector("random", create("detr-tiny", ["a"], shortest=96), precision="fp32")
    of_file, of_pixels = detector.predict([tmp_path / "a.jpg", whole], threshold=0.0)
    order, wanted = np.argsort(of_file.data["query"]), np.argsort(of_pixels.data["query"])
    np.testing.assert_allclose(of_file.xyxy[order], of_pixels.xyxy[wanted], atol=0.02 * max(original))


def test_an_image_is_the_same_pixels_however_it_comes():
    pixels = picture()
    as_tensor = torch.from_numpy(pixels).permute(2, 0, 1)
    seen_from_behind = np.ascontiguousarray(pixels[::-1, :, ::-1])[::-1, :, ::-1]
    opaque = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
    for same in (Image.fromarray(pixels), as_tensor, as_tensor / 255, seen_from_behind, opaque):
        np.testing.assert_array_equal(to_pixels(same), pixels)
    grey = pixels[..., 0]
    for same in (grey, grey[..., None], torch.from_numpy(grey.copy())[None], grey.astype(np.uint16) * 257):
        np.testing.assert_array_equal(to_pixels(same), np.dstack([grey] * 3))


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "LA", "1", "CMYK", "I;16", "F"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_file_and_what_pillow_reads_from_it_are_one_picture(tmp_path, mode, orientation):
    """Of every mode, turned or not: a person who opens a photo before predicting sees the boxes where they are."""
    image = Image.fromarray(picture()).convert("RGB" if mode in ("I;16", "F") else mode)
    if mode in ("I;16", "F"):
        image = Image.fromarray(picture()[..., 1].astype(np.uint16 if mode == "I;16" else np.float32) * 200)
    if image.mode in ("RGBA", "LA"):
        image.putalpha(Image.fromarray(picture()[..., 1]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / "a.tif", exif=exif)
    with Image.open(tmp_path / "a.tif") as opened:
        np.testing.assert_array_equal(to_pixels(opened), to_pixels(tmp_path / "a.tif"))


def test_an_array_or_a_tensor_with_one_more_dimension_is_several_images():
    detector = Detector("measuring", measuring())
    pixels = np.stack([picture(), picture()[:, ::-1]])
    alone = detector.predict(list(pixels))
    for several in (pixels, torch.from_numpy(pixels).permute(0, 3, 1, 2)):
        for found, expected in zip(detector.predict(several), alone, strict=True):
            np.testing.assert_array_equal(found.xyxy, expected.xyxy)


@pytest.mark.parametrize("preset", ["sprint-n", "detr-tiny"])
def test_what_is_found_in_an_image_does_not_depend_on_those_beside_it(preset):
    torch.manual_seed(0)
    detector = Detector("random", create(preset, ["a"], shortest=128))
    random = np.random.default_rng(0)
    sizes = [(40, 128), (128, 40), (128, 128), (50, 128), (90, 90), (30, 128)]
    pictures = [random.integers(0, 256, (*size, 3), np.uint8) for size in sizes]
    for image, together in zip(pictures, detector.predict(pictures, threshold=0.0), strict=True):
        alone = detector.predict(image, threshold=0.0)
        np.testing.assert_allclose(together.confidence, alone.confidence, atol=1e-5)


def test_several_pictures_come_as_a_list_a_tuple_or_a_generator():
    detector = Detector("measuring", measuring())
    listed = detector.predict([picture(0), picture(1)])
    for several in ((picture(0), picture(1)), (picture(index) for index in range(2))):
        for found, expected in zip(detector.predict(several), listed, strict=True):
            np.testing.assert_array_equal(found.xyxy, expected.xyxy)
