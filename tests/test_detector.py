import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from setpiece import Detector
from setpiece.data.scenes import CLASSES
from setpiece.errors import DataError, UsageError
from setpiece.model.checkpoint import create
from setpiece.training.result import TrainingResult

from .colours import COLOURS, IMAGES, measuring, paint

SIZE, BOXES_XYXY = IMAGES[0]


@pytest.fixture
def detector():
    """One that finds red, green and blue rectangles exactly."""
    return Detector("measuring", measuring())


def boxes_by_class(detections):
    return dict(zip(detections.data["class_name"].tolist(), detections.xyxy, strict=True))


def assert_same(detections, expected):
    np.testing.assert_array_equal(detections.xyxy, expected.xyxy)
    np.testing.assert_array_equal(detections.confidence, expected.confidence)
    np.testing.assert_array_equal(detections.class_id, expected.class_id)
    np.testing.assert_array_equal(detections.data["class_name"], expected.data["class_name"])


def test_boxes_are_pixels_of_the_image_and_classes_have_their_names(detector):
    found = detector.predict(paint(SIZE, BOXES_XYXY))
    assert [COLOURS[index] for index in found.class_id] == found.data["class_name"].tolist()
    assert boxes_by_class(found).keys() == BOXES_XYXY.keys()
    for name, box_xyxy in boxes_by_class(found).items():
        np.testing.assert_allclose(box_xyxy, BOXES_XYXY[name], atol=0.5)


def test_an_image_of_twice_the_size_has_boxes_of_twice_the_size(detector):
    image = paint(SIZE, BOXES_XYXY)
    once, twice = detector.predict([image, image.repeat(2, 0).repeat(2, 1)])
    assert boxes_by_class(once).keys() == boxes_by_class(twice).keys()
    for name, box_xyxy in boxes_by_class(twice).items():
        np.testing.assert_allclose(box_xyxy, 2 * boxes_by_class(once)[name], atol=0.5)


def test_a_path_a_picture_and_an_array_are_the_same_image(detector, tmp_path):
    array = paint(SIZE, BOXES_XYXY)
    picture, path = Image.fromarray(array), tmp_path / "image.png"
    picture.save(path)
    expected = detector.predict(array)
    mirrored_view = np.flip(np.flip(array, 1).copy(), 1)  # the same pixels behind a negative stride
    for image in (path, str(path), picture, picture.convert("RGBA"), mirrored_view):
        assert_same(detector.predict(image), expected)


def test_a_list_gives_a_list_whatever_its_length(detector):
    images = [paint(size, boxes_xyxy) for size, boxes_xyxy in IMAGES] * 2  # more than one batch
    found = detector.predict(images)
    assert [len(detections) for detections in found] == [len(boxes_xyxy) for _, boxes_xyxy in IMAGES] * 2
    assert [len(detections) for detections in detector.predict(images[:1])] == [3]
    assert detector.predict([]) == []


def test_images_in_a_list_do_not_change_each_other(detector):
    images = [paint(size, boxes_xyxy) for size, boxes_xyxy in IMAGES]
    for together, image in zip(detector.predict(images), images, strict=True):
        np.testing.assert_allclose(together.xyxy, detector.predict(image).xyxy, atol=1e-4)


def test_the_threshold_is_the_least_confidence_shown():
    torch.manual_seed(0)
    detector = Detector("random", create("detr-tiny", ["ace", "king"], shortest=64))
    everything = detector.predict(paint(SIZE, BOXES_XYXY), threshold=0.0)
    assert len(everything) == detector.checkpoint.model.num_queries
    middle = float(np.median(everything.confidence))
    shown = detector.predict(paint(SIZE, BOXES_XYXY), threshold=middle)
    assert len(shown) == (everything.confidence >= middle).sum() < len(everything)
    assert len(detector.predict(paint(SIZE, BOXES_XYXY), threshold=1.0)) == 0


def test_a_model_of_more_than_a_hundred_queries_may_find_more_than_a_hundred_objects():
    detector = Detector("random", create("sprint-s", ["a"], shortest=128))
    assert len(detector.predict(paint(SIZE, BOXES_XYXY), threshold=0.0)) == detector.checkpoint.model.num_queries > 100


@pytest.mark.parametrize("threshold", [-0.1, 1.5, float("nan")])
@pytest.mark.parametrize("images", [[], paint((8, 8), {})])
def test_a_threshold_that_is_no_confidence_is_an_error(detector, images, threshold):
    with pytest.raises(UsageError, match="not between 0 and 1"):
        detector.predict(images, threshold=threshold)


@pytest.mark.parametrize(
    ("image", "described"),
    [
        (np.zeros((4, 4, 3), np.float32), r"not 4 x 4 x 3 of float32\. Multiply values in \[0, 1\] by 255"),
        (np.zeros((0, 4, 3), np.uint8), "not 0 x 4 x 3 of uint8"),
        (np.zeros((4, 4, 2), np.uint8), "not 4 x 4 x 2 of uint8"),
        (np.zeros((3, 4, 6), np.uint8), r"not 3 x 4 x 6 of uint8\. Put the channels last"),
        (np.zeros((4, 4, 3), np.int64), "not 4 x 4 x 3 of int64"),
        (
            torch.zeros(5, 6, 3, dtype=torch.uint8),
            "3 .RGB. or 4 .RGBA. x height x width, .* not 5 x 6 x 3 of torch.uint8",
        ),
        (torch.full((3, 4, 6), 2.0), "not from 2 to 2: was it normalised"),
        (torch.full((3, 4, 6), torch.nan), "not from nan to nan"),
    ],
)
def test_what_is_no_image_is_described(detector, image, described):
    with pytest.raises(UsageError, match=described):
        detector.predict(image)


def test_a_file_that_is_no_image_is_named(detector, tmp_path):
    (tmp_path / "notes.jpg").write_text("no image")
    with pytest.raises(DataError, match=r"notes\.jpg cannot be read as an image"):
        detector.predict(tmp_path / "notes.jpg")
    with pytest.raises(DataError, match=r"missing\.jpg does not exist"):
        detector.predict(tmp_path / "missing.jpg")


def test_a_preset_has_to_be_trained_before_it_is_asked(tmp_path):
    detector = Detector.load("detr-tiny")
    for ask in (
        lambda: detector.predict(paint(SIZE, BOXES_XYXY)),
        lambda: detector.evaluate(tmp_path),
        lambda: detector.save(tmp_path / "saved"),
        lambda: detector.classes,
    ):
        with pytest.raises(UsageError, match="detr-tiny is a preset without trained weights"):
            ask()
    assert not (tmp_path / "saved").exists()


def test_nothing_is_loaded_from_nowhere(tmp_path):
    with pytest.raises(UsageError, match=r"There is no checkpoint at .*nowhere"):
        Detector.load(tmp_path / "nowhere")


def test_a_trained_detector_evaluates_predicts_and_survives_saving(scenes, tmp_path):
    detector = Detector.load("detr-tiny", precision="fp32")
    metrics = detector.train(scenes, output=tmp_path / "run", epochs=1, size=64, batch_size=4, precision="fp32")
    written = json.loads((tmp_path / "run" / "best" / "metrics.json").read_text())
    assert metrics == {name: value for name, value in written.items() if name != "step"}
    measured = detector.evaluate(scenes)
    assert measured == metrics
    assert set(measured["per_class"]) == set(detector.classes)

    images = sorted((scenes / "valid").glob("*.png"))
    found = detector.predict(images, threshold=0.0)
    assert all(len(detections) == detector.checkpoint.model.num_queries for detections in found)
    detector.save(tmp_path / "saved")
    for again in (Detector.load(tmp_path / folder, precision="fp32") for folder in ("saved", "run")):
        assert again.classes == detector.classes
        for before, after in zip(found, again.predict(images, threshold=0.0), strict=True):
            assert_same(after, before)


def test_training_continues_from_what_the_detector_holds(scenes, tmp_path, monkeypatch):
    started = []

    def start(config, output, checkpoint, *, resume):
        started.append((config.model, checkpoint, resume))
        return TrainingResult(output, create("detr-tiny", ["ace"]), metrics=None)

    monkeypatch.setattr("setpiece.training.start.start_training", start)
    detector = Detector.load("detr-tiny")
    assert detector.train(scenes, output=tmp_path / "one", epochs=1) is None  # nothing was evaluated
    first = detector.checkpoint
    detector.train(scenes, output=tmp_path / "two", epochs=1, resume=True)
    assert started == [("detr-tiny", None, False), (str(tmp_path / "one"), first, True)]
    assert detector.classes == ("ace",)


def test_training_starts_from_the_weights_in_memory(scenes, tmp_path):
    detector = Detector("in memory", create("detr-tiny", CLASSES, shortest=64))
    with torch.no_grad():
        detector.checkpoint.model.class_head.bias.fill_(-5.0)
    before = {name: weight.detach().clone() for name, weight in detector.checkpoint.model.named_parameters()}
    settings = {"learning_rate": 1e-12, "backbone_learning_rate": 1e-12, "batch_size": 16, "precision": "fp32"}
    detector.train(scenes, output=tmp_path / "run", epochs=1, **settings)  # one step
    after = dict(detector.checkpoint.model.named_parameters())
    torch.testing.assert_close(after, before, rtol=0, atol=1e-6)
    assert detector.source == str(tmp_path / "run" / "best")
    assert json.loads((tmp_path / "run" / "run.json").read_text())["model"] == "in memory"


def test_a_setting_that_does_not_exist_is_named(scenes, tmp_path):
    with pytest.raises(UsageError, match="--learnig-rate"):
        Detector.load("detr-tiny").train(scenes, output=tmp_path / "run", learnig_rate=1e-4)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("order", [(3, 1, 2), (2, 3, 1)])
def test_classes_are_matched_by_name_where_their_order_differs(write_colours, order):
    data = write_colours(dict(sorted(zip(COLOURS, order, strict=True), key=lambda item: item[1])))
    for classes in (("blue", "red", "green"), ("green", "blue", "red")):
        metrics = Detector("measuring", measuring(classes=classes)).evaluate(data)
        assert metrics["AP"] == pytest.approx(1.0)


def test_a_data_set_of_other_classes_is_refused(write_colours):
    data = write_colours({"red": 1, "green": 2, "blue": 3})
    other = Detector("measuring", replace(measuring(), classes=("ace", "king", "queen")))
    with pytest.raises(DataError, match="does not know the classes red, green, blue"):
        other.evaluate(data)
