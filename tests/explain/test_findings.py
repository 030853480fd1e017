"""Each kind of finding on predictions that are made to have it, and none on predictions that are not."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from setpiece.explain import explain_outputs, image_findings
from setpiece.explain.findings import (
    MAX_FINDINGS,
    MAX_PER_KIND,
    concentrated_matches,
    find_all,
    hard_images,
    match_stability,
)
from setpiece.explain.matching_history import HardImage, matching_history
from setpiece.explain.report_image import ReportImage
from setpiece.explain.timeline import Timeline
from setpiece.records import Outputs, Targets
from setpiece.runs.recording import Recording
from setpiece.setloss import SetCriterion

from ..runs.test_recording_files import make_epoch, make_header

CLASSES = ("cat", "dog")
TARGETS = ((0, (0.25, 0.25, 0.2, 0.2)), (1, (0.75, 0.75, 0.2, 0.2)))
NOBODY = (None, (0.5, 0.1, 0.05, 0.05))


def logits(label):
    """Sure of a class, or of no-object where it is None."""
    return [8.0 * (place == (2 if label is None else label)) for place in range(3)]


def image_context(*layers, targets=TARGETS):
    """Predictions of each layer, as (label or None, box cxcywh) per query -> the context of one image."""
    outputs = Outputs(
        torch.tensor([[[logits(label) for label, _ in layer]] for layer in layers]),
        torch.tensor([[[box for _, box in layer]] for layer in layers]),
    )
    labels = torch.tensor([label for label, _ in targets], dtype=torch.int64)
    boxes = torch.tensor([box for _, box in targets]).reshape(-1, 4)
    explanation = explain_outputs(outputs, Targets.from_list([{"labels": labels, "boxes": boxes}]), CLASSES)
    return image_findings.ImageContext(0, explanation.images[0], CLASSES)


def moved(index, dx):
    """A perfect prediction of a target, moved to the side."""
    label, (x, *rest) = TARGETS[index]
    return label, (x + dx, *rest)


def of(kind, *layers, **options):
    return [(found.text, found.target, found.query) for found in kind(image_context(*layers, **options))]


def test_perfect_predictions_are_nothing_to_speak_of():
    for kind in image_findings.IMAGE_FINDINGS:
        assert of(kind, *[[*TARGETS, NOBODY]] * 3) == []


def test_more_objects_than_queries_are_counted():
    [(text, *_)] = of(image_findings.more_targets_than_queries, TARGETS[:1])
    assert text == "image 0: 2 targets but only 1 object query, so 1 target must stay unmatched."


def test_a_target_that_no_box_overlaps_is_named_with_its_place():
    far = [TARGETS[0], moved(1, -0.4)]
    text, target, query = of(image_findings.negative_giou, far, far)[0]
    assert (target, query) == (1, 1)
    assert text.startswith("image 0: target 1 (dog) is matched at GIoU < 0 in every layer: ")
    assert text.endswith("no predicted box overlaps it (in the bottom right corner).")
    assert of(image_findings.negative_giou, far, TARGETS) == []  # the last layer finds it


def test_a_box_that_hardly_overlaps_its_target_is_named_with_its_iou():
    [(text, *where)] = of(image_findings.low_iou, [TARGETS[0], moved(1, 0.15)])
    assert where == [1, 1]
    assert text == "image 0: target 1 (dog) is matched to query 1 at an IoU of only 0.14."


def test_a_target_matched_to_another_class_is_named_with_both():
    [(text, *where)] = of(image_findings.wrong_class, [TARGETS[0], (0, TARGETS[1][1])])
    assert where == [1, 1]
    assert text == "image 0: target 1 (dog) is matched to query 1, which predicts cat (1.00)."


def test_a_confident_prediction_of_nothing_asks_whether_a_label_is_missing():
    [(text, *where)] = of(image_findings.on_background, [*TARGETS, (1, (0.2, 0.8, 0.1, 0.1))])
    assert where == [None, 2]
    assert (
        text
        == "image 0: query 2 predicts dog (1.00) in the bottom left corner, where no target is. Is a label missing?"
    )


def test_what_an_image_without_annotations_holds_is_no_question():
    found = image_context([(1, (0.2, 0.8, 0.1, 0.1))], targets=())
    assert len(list(image_findings.on_background(found))) == 1  # annotated as empty
    unknown = ReportImage(0, "a.jpg", 10, 10, None, found.facts, annotated=False)
    assert list(image_findings.on_background(image_findings.ImageContext(0, unknown, CLASSES))) == []


def test_a_duplicate_is_named_with_the_reason_it_lost():
    [(text, *where)] = of(image_findings.duplicate, [*TARGETS, moved(0, 0.02)])
    assert where == [0, 2]
    assert text.startswith("image 0: query 2 predicts target 0 (cat) a second time (1.00). It would cost 0.")
    assert "more than query 0: GIoU +" in text


def test_a_pair_that_could_be_another_is_nearly_a_tie():
    found = of(image_findings.near_tie, [*TARGETS, moved(0, 0.0001)])
    assert [where[1:] for where in found] == [(0, 0)]
    assert (
        "target 0 (cat) is matched to query 0, but it is nearly a tie: with query 2 the total matching cost"
        in found[0][0]
    )
    assert "would be only 0.00" in found[0][0]


def test_a_target_that_changes_its_query_at_every_layer_is_named_with_all_its_queries():
    there, back = [*TARGETS, NOBODY], [NOBODY, TARGETS[1], TARGETS[0]]
    [(text, *where)] = of(image_findings.changes_at_every_layer, there, back, there)
    assert where == [0, 0]
    assert text.endswith("target 0 (cat) is matched to another query at every layer: 0, 2, 0.")
    assert of(image_findings.changes_at_every_layer, there, back) == []  # with two layers it may be chance


def test_greedy_beside_optimal_is_told_where_they_differ():
    # Query 0 stands between the targets, a little nearer to target 1, which query 1 could have as well.
    targets = [(0, (x, 0.5, 0.1, 0.1)) for x in (0.49, 0.55)]
    predictions = [(0, (x, 0.5, 0.1, 0.1)) for x in (0.521, 0.58)]
    [(text, *where)] = of(image_findings.greedy_differs, predictions, targets=targets)
    assert where == [0, None]
    assert "greedy matching (the cheapest pair first) would match 2 of 2 targets differently, at a total cost" in text


def test_a_pair_with_most_of_the_loss_is_told_with_its_term():
    targets = [(0, (x, y, 0.1, 0.1)) for x in (0.2, 0.8) for y in (0.2, 0.8)]
    predictions = [*targets[:3], (0, (0.5, 0.5, 0.1, 0.1))]
    [(text, *where)] = of(image_findings.dominant_pair, predictions, targets=targets)
    assert where == [3, 3]
    assert "target 3 (cat) and its query 3 make up 100% of the image's loss; the GIoU loss is the largest part." in text


@pytest.mark.parametrize(
    ("centre", "words"),
    [
        ((0.1, 0.9), "in the bottom left corner"),
        ((0.5, 0.5), "in the middle"),
        ((0.5, 0.0), "at the top"),
        ((1.0, 0.5), "on the right"),
    ],
)
def test_places_have_names(centre, words):
    assert image_findings.place(torch.tensor([*centre, 0.1, 0.1])) == words


def crowd(images=30, wrong=True):
    """Images with the same two faults each."""
    predictions = [moved(0, 0.15 if wrong else 0.0), TARGETS[1], (1, (0.2, 0.8, 0.1, 0.1)), *[NOBODY] * 20]
    one = image_context(predictions, predictions).image
    return [ReportImage(i, f"{i}.jpg", one.width, one.height, None, one.facts) for i in range(images)]


def test_a_report_has_a_handful_of_findings_few_of_a_kind_the_strongest_first():
    found = find_all(crowd(), CLASSES, ["layer 1", "layer 2"])
    assert 0 < len(found) <= MAX_FINDINGS
    for phrase in ("Is a label missing?", "at an IoU of only 0.14"):
        assert sum(phrase in str(finding) for finding in found) == MAX_PER_KIND
    assert found == find_all(crowd(), CLASSES, ["layer 1", "layer 2"])


def test_few_queries_that_get_most_matches_are_counted_over_all_images():
    [found] = concentrated_matches(crowd(), ["layer 1", "layer 2"], None)
    assert str(found) == "2 of 23 object queries get 100% of the matches (layer 2) on these images."
    assert list(concentrated_matches(crowd(images=3), ["layer 1", "layer 2"], None)) == []


def test_a_recorded_training_speaks_of_its_queries_its_stability_and_its_hard_images(tmp_path):
    header = make_header(layers=["1", "2", "3"], queries=20)
    history = replace(
        matching_history(Recording(tmp_path, make_header(), [make_epoch(1)], [])),
        header=header,
        usage=np.array([[0.25] * 4 + [0.0] * 16] * 3, np.float32),
        recent_epochs=5,
        probe_changes=np.array([[np.nan] * 3, [0.9, 0.9, 0.8], [0.2, 0.2, 0.1]], np.float32),
        snapshot_epochs=np.array([1, 2, 9]),
        hard_images=[
            HardImage("a.jpg", 3, 7.5, 5),
            HardImage("b.jpg", 4, 7.0, 1),
            HardImage("c.jpg", 5, float("nan"), 5),
        ],
        box_mean=np.zeros((20, 4), np.float32),
        box_deviation=np.zeros((20, 4), np.float32),
        sample=np.zeros((0, 20, 4), np.float32),
        sample_matched=np.zeros((0, 20), bool),
    )
    [queries] = concentrated_matches([], header.layers, history)
    [stability] = match_stability(history)
    [hard] = hard_images(history)
    assert str(queries) == "3 of 20 object queries get 75% of the matches (3) in the last 5 epochs of training."
    assert str(stability).startswith(
        "At the end of training (epoch 9), 10% of the probe images' targets are matched to"
    )
    assert str(stability).endswith("in epoch 2 it was 80%.")
    assert str(hard).startswith("a.jpg (training image): its loss is among the highest in 5 of the last 5 epochs (7.50")
    reported = {str(found) for found in find_all(crowd(1), CLASSES, header.layers[:2], Timeline(None, history))}
    assert {str(stability), str(hard)} <= reported


def test_findings_on_real_shapes_do_not_fail():
    generator = torch.Generator().manual_seed(0)
    outputs = Outputs(torch.randn(6, 1, 100, 80, generator=generator), torch.rand(6, 1, 100, 4, generator=generator))
    target = {"labels": torch.randint(80, (115,)), "boxes": torch.rand(115, 4)}
    explanation = explain_outputs(
        outputs, Targets.from_list([target]), [str(c) for c in range(80)], criterion=SetCriterion(form="sigmoid")
    )
    assert str(explanation.findings[0]).startswith("image 0: 115 targets but only 100 object queries, so 15 targets")
