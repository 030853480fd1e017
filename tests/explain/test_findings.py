"""Each kind of finding on predictions that are made to have it, and none on predictions that are not."""

import numpy as np
import pytest
import torch

from setpiece.explain import explain_outputs, kinds
from setpiece.explain.arrays import array
from setpiece.explain.findings import MOST, MOST_OF_A_KIND, busy_slots, find_all, hard_images, settling
from setpiece.explain.report_image import ReportImage
from setpiece.records import Outputs, Targets
from setpiece.setloss import SetCriterion

CLASSES = ("cat", "dog")
TARGETS = ((0, (0.25, 0.25, 0.2, 0.2)), (1, (0.75, 0.75, 0.2, 0.2)))
NOBODY = (None, (0.5, 0.1, 0.05, 0.05))


def logits(label):
    """Sure of a class, or of no-object where it is None."""
    return [8.0 * (place == (2 if label is None else label)) for place in range(3)]


def look(*layers, targets=TARGETS):
    """Predictions of each layer, as (label or None, box cxcywh) per query -> a view of one image."""
    outputs = Outputs(
        torch.tensor([[[logits(label) for label, _ in layer]] for layer in layers]),
        torch.tensor([[[box for _, box in layer]] for layer in layers]),
    )
    labels = torch.tensor([label for label, _ in targets], dtype=torch.int64)
    boxes = torch.tensor([box for _, box in targets]).reshape(-1, 4)
    explanation = explain_outputs(outputs, Targets.from_list([{"labels": labels, "boxes": boxes}]), CLASSES)
    return kinds.View(0, explanation.images[0], CLASSES)


def moved(index, dx):
    """A perfect prediction of a target, moved to the side."""
    label, (x, *rest) = TARGETS[index]
    return label, (x + dx, *rest)


def of(kind, *layers, **options):
    return [(found.text, found.target, found.query) for found in kind(look(*layers, **options))]


def test_perfect_predictions_are_nothing_to_speak_of():
    for kind in kinds.OF_AN_IMAGE:
        assert of(kind, *[[*TARGETS, NOBODY]] * 3) == []


def test_more_objects_than_queries_are_counted():
    [(text, *_)] = of(kinds.left_over, TARGETS[:1])
    assert text == "image 0: with 2 targets and 1 queries, 1 of the targets are left without a query."


def test_a_target_far_from_all_queries_is_uncovered():
    far = [TARGETS[0], moved(1, -0.4)]
    text, target, query = of(kinds.uncovered, far, far)[0]
    assert (target, query) == (1, 1)
    assert text.startswith("image 0: target 1 (dog) is matched at GIoU < 0 in every layer: ")
    assert text.endswith("no query's box reaches it in the bottom right corner.")
    assert of(kinds.uncovered, far, TARGETS) == []  # the last layer finds it


def test_a_box_that_hardly_overlaps_its_target_is_named_with_its_iou():
    [(text, *where)] = of(kinds.poorly_boxed, [TARGETS[0], moved(1, 0.15)])
    assert where == [1, 1]
    assert "query 1, which overlaps it at IoU 0.14 only" in text


def test_a_target_taken_for_another_class_is_named_with_both():
    [(text, *where)] = of(kinds.other_class, [TARGETS[0], (0, TARGETS[1][1])])
    assert where == [1, 1]
    assert "target 1 (dog) is taken for another class: its query 1 says cat (1.00)" in text


def test_a_confident_prediction_of_nothing_asks_whether_a_label_is_missing():
    [(text, *where)] = of(kinds.nothing_there, [*TARGETS, (1, (0.2, 0.8, 0.1, 0.1))])
    assert where == [None, 2]
    assert (
        text == "image 0: query 2 finds dog (1.00) in the bottom left corner, where no target is: is a label missing?"
    )


def test_what_an_image_without_annotations_holds_is_no_question():
    found = look([(1, (0.2, 0.8, 0.1, 0.1))], targets=())
    assert len(list(kinds.nothing_there(found))) == 1  # annotated as empty
    unknown = ReportImage(0, "a.jpg", 10, 10, None, found.facts, annotated=False)
    assert list(kinds.nothing_there(kinds.View(0, unknown, CLASSES))) == []


def test_a_duplicate_is_named_with_the_reason_it_lost():
    [(text, *where)] = of(kinds.duplicate, [*TARGETS, moved(0, 0.02)])
    assert where == [0, 2]
    assert text.startswith("image 0: query 2 finds target 0 (cat) once more, at 1.00. It would cost 0.")
    assert "more than query 0: GIoU +" in text


def test_a_pair_that_could_be_another_hangs_by_a_hair():
    found = of(kinds.close_call, [*TARGETS, moved(0, 0.0001)])
    assert [where[1:] for where in found] == [(0, 0)]
    assert "target 0 (cat) has query 0 by a hair: with query 2 instead, the total would be 0.00" in found[0][0]


def test_a_target_that_changes_its_query_at_every_layer_is_a_wanderer():
    there, back = [*TARGETS, NOBODY], [NOBODY, TARGETS[1], TARGETS[0]]
    [(text, *where)] = of(kinds.wanderer, there, back, there)
    assert where == [0, 0]
    assert text.endswith("target 0 (cat) changes its query at every layer: 0, 2, 0.")
    assert of(kinds.wanderer, there, back) == []  # with two layers it may be chance


def test_greedy_beside_optimal_is_told_where_they_differ():
    # Query 0 stands between the targets, a little nearer to target 1, which query 1 could have as well.
    targets = [(0, (x, 0.5, 0.1, 0.1)) for x in (0.49, 0.55)]
    predictions = [(0, (x, 0.5, 0.1, 0.1)) for x in (0.521, 0.58)]
    [(text, *where)] = of(kinds.greedy, predictions, targets=targets)
    assert where == [0, None]
    assert "taking the cheapest pair first would match 2 of 2 targets otherwise, and the total would be" in text


def test_a_pair_with_most_of_the_loss_is_told_with_its_term():
    targets = [(0, (x, y, 0.1, 0.1)) for x in (0.2, 0.8) for y in (0.2, 0.8)]
    predictions = [*targets[:3], (0, (0.5, 0.5, 0.1, 0.1))]
    [(text, *where)] = of(kinds.heavy_pair, predictions, targets=targets)
    assert where == [3, 3]
    assert "target 3 (cat), with query 3, carries 100% of the image's loss, most of it by GIoU." in text


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
    assert kinds.place(torch.tensor([*centre, 0.1, 0.1])) == words


def crowd(images=30, wrong=True):
    """Images with the same two faults each."""
    predictions = [moved(0, 0.15 if wrong else 0.0), TARGETS[1], (1, (0.2, 0.8, 0.1, 0.1)), *[NOBODY] * 20]
    one = look(predictions, predictions).image
    return [ReportImage(i, f"{i}.jpg", one.width, one.height, None, one.facts) for i in range(images)]


def test_a_report_has_a_handful_of_findings_few_of_a_kind_the_strongest_first():
    found = find_all(crowd(), CLASSES, ["layer 1", "layer 2"])
    assert 0 < len(found) <= MOST
    for phrase in ("is a label missing?", "at IoU 0.14 only"):
        assert sum(phrase in str(finding) for finding in found) == MOST_OF_A_KIND
    assert found == find_all(crowd(), CLASSES, ["layer 1", "layer 2"])


def test_few_slots_that_do_the_matching_are_counted_over_all_images():
    [found] = busy_slots(crowd(), ["layer 1", "layer 2"], None)
    assert str(found) == "2 of 23 query slots do 100% of the matching (layer 2) on these images."
    assert list(busy_slots(crowd(images=3), ["layer 1", "layer 2"], None)) == []


def test_a_recorded_training_speaks_of_its_slots_its_rest_and_its_hard_images():
    matching = {
        "usage": array(np.array([[0.25] * 4 + [0.0] * 16] * 2)),
        "usage_epochs": 5,
        "moved": array(np.array([[np.nan, np.nan], [0.9, 0.8], [0.2, 0.1]])),
        "moved_epochs": array(np.array([1, 2, 9])),
        "worst": [
            {"name": "a.jpg", "id": 3, "loss": 7.5, "epochs": 5},
            {"name": "b.jpg", "id": 4, "loss": 7, "epochs": 1},
        ],
    }
    [slots] = busy_slots([], ["1", "2"], matching)
    [rest] = settling(matching)
    [hard] = hard_images(matching)
    assert str(slots) == "3 of 20 query slots do 75% of the matching (2) in the last 5 epochs of training."
    assert str(rest).startswith("At the end of training (epoch 9) 10% of the probe images' targets had another query")
    assert str(rest).endswith("in epoch 2 it was 80%.")
    assert str(hard).startswith("a.jpg (training): its loss is among the highest in 5 of the last 5 epochs, 7.50")


def test_findings_on_real_shapes_do_not_fail():
    generator = torch.Generator().manual_seed(0)
    outputs = Outputs(torch.randn(6, 1, 100, 80, generator=generator), torch.rand(6, 1, 100, 4, generator=generator))
    target = {"labels": torch.randint(80, (115,)), "boxes": torch.rand(115, 4)}
    explanation = explain_outputs(
        outputs, Targets.from_list([target]), [str(c) for c in range(80)], criterion=SetCriterion(form="sigmoid")
    )
    assert str(explanation.findings[0]).startswith("image 0: with 115 targets and 100 queries, 15 of the")
