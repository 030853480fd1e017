"""The names that users rely on, and the lines that the design promises, run as it has them."""

import pytest
import supervision as sv
import torch
from PIL import Image

import setpiece
from setpiece import setloss

from .colours import COLOURS, measuring


def test_the_public_names_are_these():
    assert setpiece.__all__ == ["Detector", "__version__"]
    assert setloss.__all__ == [
        "PAPER_WEIGHTS",
        "AuxiliaryLoss",
        "ClassForm",
        "PairCosts",
        "SetCriterion",
        "Weights",
        "active_losses",
        "assign",
        "auxiliary_losses",
        "class_form",
        "match",
        "matching_weights",
        "one_to_many_box_loss",
        "pair_costs",
        "training_criterion",
    ]
    for module in (setpiece, setloss):
        for name in module.__all__:
            assert getattr(module, name) is not None


def test_a_name_that_is_not_public_is_missing():
    with pytest.raises(AttributeError, match="no attribute 'Detecter'"):
        _ = setpiece.Detecter


def test_the_loss_and_the_match_are_used_as_the_design_says():
    from setpiece.records import Outputs, Targets
    from setpiece.setloss import SetCriterion, assign, match

    L, B, Q, C = 2, 2, 5, 3
    labels_0, boxes_cxcywh_0 = torch.tensor([2, 0]), torch.tensor([[0.5, 0.5, 0.2, 0.2], [0.3, 0.6, 0.1, 0.4]])
    labels_1, boxes_cxcywh_1 = torch.tensor([1]), torch.tensor([[0.2, 0.2, 0.3, 0.1]])
    logits = torch.randn(L, B, Q, C + 1, requires_grad=True)
    boxes = torch.rand(L, B, Q, 4, requires_grad=True)

    targets = Targets.from_list(
        [{"labels": labels_0, "boxes": boxes_cxcywh_0}, {"labels": labels_1, "boxes": boxes_cxcywh_1}]
    )
    losses = SetCriterion(form="softmax")(Outputs(logits=logits, boxes=boxes), targets)
    losses.total.backward()
    assert losses.terms.keys() == {"class", "l1", "giou"}
    assert all(term.shape == (L,) for term in losses.terms.values())
    assert logits.grad is not None
    assert boxes.grad is not None

    outputs = Outputs(logits=logits, boxes=boxes)
    pairs = match(outputs, targets)
    assert pairs.shape == (L, B, 2)
    assert pairs.dtype == torch.int64
    assert pairs.equal(losses.match)

    cost, count = torch.rand(L, B, 2, Q), torch.tensor([2, 1]).expand(L, B)
    rows = assign(cost, count)
    assert rows.shape == (L, B, 2)
    assert rows.dtype == torch.int64


def test_a_detector_is_used_as_the_design_says(monkeypatch, write_colours):
    from setpiece import Detector

    data = write_colours({"red": 1, "green": 2, "blue": 3})
    monkeypatch.setattr("setpiece.model.checkpoint.load", lambda _: measuring())
    detector = Detector.load("runs/cells/best")

    detections = detector.predict(str(data / "valid" / "0.png"), threshold=0.5)
    assert isinstance(detections, sv.Detections)
    assert sorted(detections.data["class_name"]) == sorted(COLOURS)
    image = Image.open(data / "valid" / "0.png")
    assert [len(found) for found in detector.predict([image, image], threshold=0.5)] == [3, 3]

    metrics = detector.evaluate(data, split="valid")
    assert metrics["AP"] == pytest.approx(1.0)
    assert metrics["AP50"] == pytest.approx(1.0)
