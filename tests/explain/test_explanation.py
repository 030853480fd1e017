"""What a user holds: tables, pages and figures of a model on images; and the command that writes a report."""

import html
import json
import re
from unittest.mock import Mock

import numpy as np
import pytest
import supervision as sv
import torch
from PIL import Image

from setpiece import Detector
from setpiece.data.sources import open_dataset
from setpiece.errors import DataError, NonFiniteCostError, OutputError, UsageError
from setpiece.explain import explain_outputs
from setpiece.inference.predictor import Predictor
from setpiece.model.checkpoint import create
from setpiece.records import TERMS, Outputs, Targets
from setpiece.setloss import SetCriterion, match, pair_costs

CLASSES = ["circle", "star", "ring"]
BOXES = [[4.0, 6.0, 20.0, 30.0], [30.0, 10.0, 60.0, 44.0]]


@pytest.fixture(scope="module", params=["detr-tiny", "sprint-n"])
def detector(request):
    torch.manual_seed(0)
    return Detector("untrained", create(request.param, CLASSES, shortest=64))


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)


def payload_of(page):
    return json.loads(re.search(r'id="payload">(.*?)</script>', page, re.DOTALL)[1])


def test_detections_and_a_dictionary_are_the_same_targets(detector, image):
    as_detections = sv.Detections(np.array(BOXES, dtype=np.float32), class_id=np.array([1, 2]))
    as_dictionary = {"labels": [1, 2], "boxes_xyxy": BOXES}
    once, twice = detector.explain(image, as_detections), detector.explain([image], [as_dictionary])
    assert once.pairs == twice.pairs
    last = [row for row in once.pairs if row["layer"] == once.layers[-1]]
    assert [(row["image"], row["target"], row["class"]) for row in last] == [
        ("image 0", 0, "star"),
        ("image 0", 1, "ring"),
    ]


def test_pairs_are_those_of_the_heart_on_what_the_model_predicts(detector, image):
    explanation = detector.explain(image, {"labels": [1, 2], "boxes_xyxy": BOXES})
    checkpoint = detector.checkpoint
    predictor = Predictor(checkpoint)
    outputs = predictor.outputs(predictor.preprocess([image]))
    boxes = torch.tensor([[12 / 64, 18 / 48, 16 / 64, 24 / 48], [45 / 64, 27 / 48, 30 / 64, 34 / 48]])
    targets = Targets.from_list([{"labels": torch.tensor([1, 2]), "boxes": boxes}])
    form = checkpoint.model.form
    expected, costs = match(outputs, targets, form)[:, 0], pair_costs(outputs, targets, form)
    for row in explanation.pairs:
        layer, target, query = explanation.layers.index(row["layer"]), row["target"], row["query"]
        assert query == expected[layer, target]
        for term in TERMS:
            assert row[f"cost_{term}"] == pytest.approx(
                costs.terms[term][layer, 0, target, query].item(), rel=1e-4, abs=1e-6
            )


def test_proposals_are_called_so(image):
    torch.manual_seed(0)
    sprint, detr = (
        Detector("", create(name, CLASSES, shortest=64)).explain(image) for name in ("sprint-n", "detr-tiny")
    )
    assert sprint.layers == ["proposals", "layer 1", "layer 2"]
    assert detr.layers == ["layer 1", "layer 2", "layer 3"]


def test_without_targets_the_predictions_are_shown_alone(detector, image, tmp_path):
    Image.fromarray(image).save(tmp_path / "cell.png")
    explanation = detector.explain(tmp_path / "cell.png")
    [said] = payload_of(explanation.to_html())["images"]
    assert explanation.pairs == []
    assert said["name"] == "cell.png"
    assert said["note"].startswith("This image has no annotations")
    assert said["src"].startswith("data:image/jpeg;base64,")
    assert (said["width"], said["height"]) == (64, 48)


@pytest.mark.parametrize(
    ("targets", "says"),
    [
        ({"labels": [1]}, "cannot be read"),
        ({"labels": ["star"], "boxes_xyxy": BOXES[:1]}, "cannot be read"),
        ({"labels": [1], "boxes_xyxy": BOXES}, "one label per box"),
        ({"labels": [1], "boxes_xyxy": [[20, 6, 4, 30]]}, "left, top, right, bottom"),
        ({"labels": [1], "boxes_xyxy": [[np.nan, 6, 4, 30]]}, "left, top, right, bottom"),
        (sv.Detections(np.array(BOXES)), "cannot be read"),
        ([{"labels": [], "boxes_xyxy": []}] * 2, "1 images and targets of 2"),
    ],
)
def test_targets_that_do_not_fit_are_refused_in_a_sentence(detector, image, targets, says):
    with pytest.raises(UsageError, match=says):
        detector.explain(image, targets)


def test_a_class_that_the_model_does_not_know_is_refused(detector, image):
    with pytest.raises(DataError, match="class 3"):
        detector.explain(image, {"labels": [3], "boxes_xyxy": BOXES[:1]})


def test_no_image_and_no_weights_are_refused(detector, image):
    with pytest.raises(UsageError, match="at least one"):
        detector.explain([])
    with pytest.raises(UsageError, match="preset"):
        Detector.load("sprint-n").explain(image)


def test_an_image_whose_prediction_is_not_finite_is_named(detector, image, monkeypatch):
    model = detector.checkpoint.model
    forward = model.forward
    monkeypatch.setattr(
        model, "forward", lambda *args: Outputs(forward(*args).logits, forward(*args).boxes * torch.nan)
    )
    with pytest.raises(NonFiniteCostError, match=r"image 0 cannot be explained\. Layer 0"):
        detector.explain(image)


def test_images_of_a_data_set_are_chosen_by_name_or_are_the_first(scenes):
    dataset = open_dataset(scenes, "valid")
    names = [example.path.name for example in dataset.examples]
    known = Detector("", create("detr-tiny", dataset.classes, shortest=64))
    assert [image.name for image in known.explain_dataset(dataset, limit=2).images] == names[:2]
    chosen = [names[3], f"somewhere/{names[1]}"]
    assert [image.name for image in known.explain_dataset(dataset, chosen).images] == [names[3], names[1]]
    with pytest.raises(UsageError, match=r"no image nowhere.jpg in its valid split; one of its images is"):
        known.explain_dataset(dataset, ["nowhere.jpg"])
    with pytest.raises(DataError, match="does not know"):
        Detector("", create("detr-tiny", ["horse"], shortest=64)).explain_dataset(dataset)


def test_classes_are_brought_together_by_their_names(scenes):
    dataset = open_dataset(scenes, "valid")
    torch.manual_seed(0)
    turned = Detector("", create("detr-tiny", dataset.classes[::-1], shortest=64)).explain_dataset(dataset, limit=1)
    wanted = [dataset.classes[label] for label in dataset.examples[0].labels]
    assert [row["class"] for row in turned.pairs if row["layer"] == "layer 1"] == wanted


def some(B=6, **options):
    generator = torch.Generator().manual_seed(0)
    outputs = Outputs(torch.randn(2, B, 9, 3, generator=generator), torch.rand(2, B, 9, 4, generator=generator))
    one = {"labels": torch.tensor([0, 1]), "boxes": torch.rand(2, 4, generator=generator)}
    return explain_outputs(outputs, Targets.from_list([one] * B), ["<b>", "$x$"], **options)


def test_a_notebook_shows_a_part_of_the_page_in_a_frame():
    shown = some()._repr_html_()
    page = html.unescape(re.fullmatch(r'<iframe srcdoc="([^"]*)" style="[^"]*"></iframe>', shown, re.DOTALL)[1])
    said = payload_of(page)
    assert len(said["images"]) == 4
    assert said["missing"] == ['This is a part of the report: .to_html("report.html") writes all of it.']
    assert len(payload_of(some().to_html())["images"]) == 6


def test_an_explanation_prints_its_title_and_findings():
    explanation = some(title="Mine")
    first, *others = repr(explanation).splitlines()
    assert first == "Mine: 6 images"
    assert others == [finding.text for finding in explanation.findings] != []


def test_pictures_names_and_the_criterion_are_taken_over():
    pixels = [np.zeros((10, 20, 3), dtype=np.uint8)] * 2
    explanation = some(2, criterion=SetCriterion(no_object_weight=0.5))
    assert payload_of(explanation.to_html())["criterion"]["no_object_weight"] == 0.5
    outputs = Outputs(torch.zeros(1, 2, 3, 2), torch.full((1, 2, 3, 4), 0.5))
    none = {"labels": torch.zeros(0, dtype=torch.int64), "boxes": torch.zeros(0, 4)}
    shown = explain_outputs(outputs, Targets.from_list([none, none]), ["x"], images=pixels, layers=["only"])
    assert shown.layers == ["only"]
    assert [(image.width, image.height, image.src is not None) for image in shown.images] == [(20, 10, True)] * 2


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"classes": ["cat"]}, "3 logits per query, which are 2 classes in the softmax form, and 1 names"),
        ({"classes": ["cat", "dog", "cow"]}, "2 classes in the softmax form, and 3 names"),
        ({"criterion": SetCriterion(form="sigmoid")}, "3 classes in the sigmoid form, and 2 names"),
        ({"layers": ["only"]}, "predictions of 2 layers and names of 1"),
        ({"images": [np.zeros((8, 8, 3), dtype=np.uint8)]}, "predictions of 2 images and 1 images"),
        ({"targets": 3}, "predictions of 2 images and targets of 3"),
        ({"B": 0, "targets": 1}, "no image to explain"),
    ],
)
def test_outputs_and_names_that_do_not_fit_are_refused_in_a_sentence(change, says):
    options = {"B": 2, "targets": 2, "classes": ["cat", "dog"], **change}
    B, count, classes = (options.pop(name) for name in ("B", "targets", "classes"))
    one = {"labels": torch.tensor([0]), "boxes": torch.full((1, 4), 0.5)}
    outputs = Outputs(torch.zeros(2, B, 5, 3), torch.full((2, B, 5, 4), 0.5))
    with pytest.raises(UsageError, match=says):
        explain_outputs(outputs, Targets.from_list([one] * count), classes, **options)


def test_a_loss_that_is_no_number_does_not_keep_the_page_from_being_written():
    none = {"labels": torch.zeros(0, dtype=torch.int64), "boxes": torch.zeros(0, 4)}
    outputs = Outputs(torch.zeros(2, 1, 5, 3), torch.full((2, 1, 5, 4), 0.5))
    criterion = SetCriterion(no_object_weight=0.0)  # then nothing has a weight in an image without objects: 0 / 0
    explanation = explain_outputs(outputs, Targets.from_list([none]), ["cat", "dog"], criterion=criterion)
    [said] = payload_of(explanation.to_html())["images"]
    assert said["loss"][-1]["no_object"] is said["loss"][-1]["total"] is None


def test_what_the_system_refuses_to_write_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr("os.replace", Mock(side_effect=PermissionError(13, "Permission denied")))
    with pytest.raises(OutputError, match=r"report\.html could not be written \(Permission denied\): check"):
        some(1).to_html(tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []


def test_the_page_is_written_whole_or_refused(tmp_path):
    explanation = some(1)
    assert explanation.to_html(tmp_path / "report.html") == (tmp_path / "report.html").read_text()
    for wrong in (tmp_path, tmp_path / "nowhere" / "report.html"):
        with pytest.raises(UsageError, match="name a file in a folder that exists"):
            explanation.to_html(wrong)
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize("targets", [0, 1, 5, 40])
def test_the_figure_shows_boxes_lines_and_costs(targets, tmp_path):
    outputs = Outputs(torch.zeros(2, 1, 30, 3), torch.rand(2, 1, 30, 4))
    one = {"labels": torch.zeros(targets, dtype=torch.int64), "boxes": torch.rand(targets, 4)}
    pixels = np.zeros((60, 80, 3), dtype=np.uint8)
    figure = explain_outputs(outputs, Targets.from_list([one]), ["$x$", "<b>"], images=[pixels]).plot()
    figure.savefig(tmp_path / "figure.png")
    boxes, matrix = figure.axes
    assert len(boxes.lines) == min(targets, 30)
    assert len(matrix.patches) == min(targets, 30)
    assert (tmp_path / "figure.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("left", "says"),
    [
        ({}, "recording"),
        ({"recording/header.json": "{"}, "recording/header.json"),
        ({"recording/header.json": '{"format": 99}'}, "recording/header.json"),
        ({"recording/epoch-000001.safetensors": "torn"}, "recording"),
        ({"metrics.jsonl": "no json\n"}, "metrics.jsonl"),
    ],
)
@pytest.mark.parametrize("checkpoint", ["", "best", "best/model.safetensors"])
def test_a_run_without_a_whole_recording_is_explained_all_the_same(image, tmp_path, left, says, checkpoint):
    run = tmp_path / "run"
    Detector("", create("detr-tiny", CLASSES, shortest=64)).save(run / "best")
    for name, text in {"run.json": "{}", **left}.items():
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).write_text(text)
    said = payload_of(Detector.load(run / checkpoint).explain(image).to_html())
    assert any(says in sentence for sentence in said["missing"])
    assert said["model"]["preset"] == "detr-tiny"
