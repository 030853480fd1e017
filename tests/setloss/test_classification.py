import pytest
import torch

from setpiece.setloss import class_form
from setpiece.setloss.classification import SigmoidForm, SoftmaxForm

LOGITS = torch.randn(2, 3, 7, 5, generator=torch.Generator().manual_seed(0))


def test_settings_go_to_the_form_that_has_them():
    settings = {"no_object_weight": 0.3, "quality_power": 2.0, "negative_weight": 0.5}
    assert class_form("softmax", **settings) == SoftmaxForm(0.3)
    assert class_form("sigmoid", **settings) == SigmoidForm(2.0, 0.5)
    for name in ("softmax", "sigmoid"):
        with pytest.raises(TypeError, match="no_object_wait"):
            class_form(name, no_object_wait=0.3)


def test_the_softmax_form_has_a_logit_for_no_object():
    form = class_form("softmax")
    assert form.num_classes(5) == 4
    expected = LOGITS.softmax(-1)[..., :4]
    torch.testing.assert_close(form.probabilities(LOGITS), expected)
    score, label = form.candidates(LOGITS)
    assert score.shape == label.shape == (2, 3, 7, 1)
    torch.testing.assert_close(score[..., 0], expected.amax(-1))
    assert label[..., 0].equal(expected.argmax(-1))


def test_the_sigmoid_form_has_a_logit_for_each_class():
    form = class_form("sigmoid")
    assert form.num_classes(5) == 5
    torch.testing.assert_close(form.probabilities(LOGITS), LOGITS.sigmoid())
    score, label = form.candidates(LOGITS)
    torch.testing.assert_close(score, LOGITS.sigmoid())
    assert label.equal(torch.arange(5).expand(2, 3, 7, 5))


@pytest.mark.parametrize(("name", "setting"), [("softmax", "no_object_weight"), ("sigmoid", "negative_weight")])
def test_queries_without_a_target_add_their_unmatched_loss_by_its_weight(name, setting):
    form = class_form(name, **{setting: 0.4})
    scores, labels, match = form.scores(LOGITS), torch.tensor([[1, 2]]), torch.full((2, 3, 2), -1)
    match[:, 1, 0] = 6  # this one has a target
    iou, count = torch.full((2, 3, 2), 0.5), torch.tensor(2.0)
    losses, divisor = form.losses(scores, labels, match, iou, count, lambda weights: weights)
    free = torch.ones(2, 3, 7, dtype=torch.bool)
    free[:, 1, 6] = False
    torch.testing.assert_close(losses.sum(-1)[free], 0.4 * form.unmatched_losses(scores)[free])
    assert (losses.sum(-1) - 0.4 * form.unmatched_losses(scores))[~free].abs().min() > 1e-3
    torch.testing.assert_close(divisor, torch.where(free, 0.4, 1.0) if name == "softmax" else count)
