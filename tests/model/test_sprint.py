import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.models import resnet18

from setpiece.errors import UsageError, WeightsError
from setpiece.model.backbones.multi_scale import PyramidBackbone
from setpiece.model.checkpoint import create, load, save
from setpiece.model.layers.deformable_attention import DeformableAttention
from setpiece.model.layers.reference_boxes import initial_reference_boxes, refine, valid_ratios
from setpiece.model.sprint import sprint_m, sprint_n, sprint_s
from setpiece.records import Targets
from setpiece.setloss import SetCriterion


def no_padding(batch, height, width):
    return torch.zeros(batch, height, width, dtype=torch.bool)


def one_step(model, images, padding, counts, classes):
    """Forward, loss and backward; the outputs and the loss."""
    objects = [{"labels": torch.randint(0, classes, (n,)), "boxes": torch.rand(n, 4) * 0.3 + 0.2} for n in counts]
    outputs = model(images, padding)
    total = SetCriterion(form=model.form)(outputs, Targets.from_list(objects)).total
    total.backward()
    return outputs, total


@pytest.mark.parametrize("classes", [1, 80])
@pytest.mark.parametrize("counts", [[0, 0], [3, 0], [30, 1]])
def test_any_number_of_objects_and_classes_trains_every_parameter_finitely(classes, counts):
    torch.manual_seed(0)
    model = sprint_n(classes, queries=20)
    outputs, total = one_step(model, torch.randn(2, 3, 96, 64), no_padding(2, 96, 64), counts, classes)
    assert outputs.logits.shape == (3, 2, 20, classes)
    assert total.isfinite()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize(("height", "width"), [(192, 192), (256, 192), (32, 64), (640, 1024)])
def test_any_size_that_divides_by_thirty_two_works_with_padding(height, width):
    padding = no_padding(2, height, width)
    padding[1, height // 2 :] = True
    padding[1, :, width // 3 :] = True
    outputs = sprint_n(3).eval()(torch.randn(2, 3, height, width), padding)
    cells = sum(height * width // stride**2 for stride in (8, 16, 32))
    assert outputs.boxes.shape == (3, 2, min(100, cells), 4)
    assert outputs.boxes.isfinite().all()
    assert (outputs.boxes >= 0).all()
    assert (outputs.boxes <= 1).all()


def test_boxes_are_fractions_of_the_image_and_not_of_its_padding():
    """A model that has learned nothing proposes its cells: of a padded image those inside it, spread over it."""
    torch.manual_seed(0)
    padding = no_padding(1, 128, 128)
    padding[:, :, 64:] = True
    outputs = sprint_n(1, queries=168).eval()(torch.randn(1, 3, 128, 128), padding)
    # Half of 16² + 8² + 4² cells: eight, four and two columns across the image.
    columns = {n: [(2 * i + 1) / (2 * n) for i in range(n)] for n in (8, 4, 2)}
    expected = sorted(x for n, centres in columns.items() for x in centres for _ in range(2 * n))
    torch.testing.assert_close(outputs.boxes[0, 0, :, 0].sort().values, torch.tensor(expected), atol=1e-4, rtol=1e-4)


def test_only_chosen_cells_go_through_the_proposals_linear_layer():
    model, seen = sprint_n(3, queries=20).eval(), []
    for part in (model.class_heads[0], model.proposal, model.box_heads[0]):
        part.register_forward_pre_hook(lambda _, args: seen.append(tuple(args[0].shape)))
    model(torch.rand(1, 3, 64, 96), no_padding(1, 64, 96))
    assert seen == [(1, 8 * 12 + 4 * 6 + 2 * 3, 96), (1, 20, 96), (1, 20, 96)]


def test_the_fused_maps_of_an_image_are_what_they_are_without_its_padding():
    torch.manual_seed(0)
    backbone_channels, encoder = sprint_n(1).backbone.channels, sprint_n(1).hybrid_encoder.eval()
    for module in encoder.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # new ones leave 0 as it is, with or without a mask
            torch.nn.init.normal_(module.bias)
    maps = [torch.randn(1, c, 64 // s, 96 // s) for c, s in zip(backbone_channels, (8, 16, 32), strict=True)]
    padded = [torch.nn.functional.pad(m, (0, m.shape[3], 0, m.shape[2]), value=7.0) for m in maps]
    padding = no_padding(1, 128, 192)
    padding[:, 64:] = True
    padding[:, :, 96:] = True
    alone, beside = encoder(maps, no_padding(1, 64, 96)), encoder(padded, padding)
    for without, within in zip(alone, beside, strict=True):
        h, w = without.shape[2:]
        torch.testing.assert_close(within[:, :, :h, :w], without)
        assert within[:, :, h:].eq(0).all()
        assert within[:, :, :, w:].eq(0).all()


class Pooling(PyramidBackbone):
    """Sees nothing beyond a cell, so that padding changes no other."""

    channels = (3, 3, 3)

    def forward(self, images):
        return [torch.nn.functional.avg_pool2d(images, stride) for stride in (8, 16, 32)]


def test_an_image_beside_a_larger_one_is_predicted_as_it_is_alone():
    torch.manual_seed(0)
    model = sprint_n(2, queries=20, backbone=Pooling()).eval()
    for head in model.box_heads:
        torch.nn.init.normal_(head[-1].weight, std=0.3)
    image = torch.randn(1, 3, 64, 96)
    canvas = torch.nn.functional.pad(image, (0, 64, 0, 128), value=5.0)
    padding = no_padding(1, 192, 160)
    padding[:, 64:] = True
    padding[:, :, 96:] = True
    alone, beside = model(image, no_padding(1, 64, 96)), model(canvas, padding)
    torch.testing.assert_close(beside.boxes, alone.boxes, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(beside.logits, alone.logits, atol=1e-4, rtol=1e-3)


def test_the_queries_of_an_image_come_best_proposal_first():
    torch.manual_seed(0)
    outputs = sprint_n(3, queries=20).eval()(torch.randn(2, 3, 64, 96), no_padding(2, 64, 96))
    assert (outputs.logits[0].amax(-1).diff(dim=1) <= 0).all()


def test_an_image_of_fewer_cells_than_queries_is_predicted_within_its_border():
    padding = no_padding(1, 96, 96)
    padding[:, 8:] = True  # a strip of 12 cells of stride 8
    outputs = sprint_n(3, queries=50).eval()(torch.randn(1, 3, 96, 96), padding)
    assert outputs.logits.isfinite().all()
    assert ((outputs.boxes >= 0) & (outputs.boxes <= 1)).all()


def test_a_size_that_does_not_divide_by_thirty_two_is_one_sentence():
    with pytest.raises(UsageError, match=r"^Images of 64 x 100: pad both to multiples of 32\.$"):
        sprint_n(1)(torch.randn(1, 3, 64, 100), no_padding(1, 64, 100))


def test_the_extent_of_an_image_is_its_share_of_the_canvas():
    padding = no_padding(2, 4, 10)
    padding[1, 3:] = True
    padding[1, :, 5:] = True
    assert valid_ratios(padding).tolist() == [[1, 1, 1, 1], [0.5, 0.75, 0.5, 0.75]]


def test_first_boxes_lie_at_the_cells_centres_in_the_order_of_the_flattened_maps():
    boxes = initial_reference_boxes([torch.zeros(1, 8, 2, 4), torch.zeros(1, 8, 1, 2)])
    expected = [[0.125, 0.25], [0.375, 0.25], [0.625, 0.25], [0.875, 0.25]]
    expected += [[x, 0.75] for x, _ in expected] + [[0.25, 0.5], [0.75, 0.5]]
    torch.testing.assert_close(boxes[:, :2], torch.tensor(expected))
    torch.testing.assert_close(boxes[0, 2:], torch.tensor([1.6 / 4, 1.6 / 2]))
    torch.testing.assert_close(boxes[-1, 2:], torch.tensor([1.6 / 2, 1.6]))


def test_refining_by_nothing_leaves_a_box_as_it_is():
    box = torch.tensor([[0.5, 0.25, 0.1, 0.9]])
    torch.testing.assert_close(refine(box, torch.zeros(1, 4)), box)


@given(*[st.floats(-0.1, 0.1)] * 2, st.lists(st.floats(-0.5, 0.5), min_size=4, max_size=4))
def test_the_same_correction_is_right_wherever_a_box_lies(right, down, delta):
    box, delta, moved = torch.tensor([0.4, 0.6, 0.2, 0.3]), torch.tensor(delta), torch.tensor([right, down, 0, 0])
    torch.testing.assert_close(refine(box + moved, delta), refine(box, delta) + moved)


@given(st.lists(st.floats(-100, 100), min_size=4, max_size=4))
def test_a_box_cannot_leave_its_image_and_no_correction_has_an_exploding_gradient(delta):
    delta = torch.tensor(delta, requires_grad=True)
    box = refine(torch.tensor([0.8, 0.3, 0.4, 1.0]), delta)
    assert ((box >= 0) & (box <= 1)).all()
    box.sum().backward()
    assert ((delta.grad >= 0) & (delta.grad <= 1)).all()


def test_a_centre_beyond_the_border_learns_to_come_back():
    delta = torch.tensor([5.0, -5.0, 0.0, 0.0], requires_grad=True)
    box = refine(torch.tensor([0.8, 0.3, 0.4, 0.5]), delta)
    torch.testing.assert_close(box, torch.tensor([1.0, 0.0, 0.4, 0.5]))
    (box - torch.tensor([0.7, 0.4, 0.4, 0.5])).abs().sum().backward()
    torch.testing.assert_close(delta.grad[:2], torch.tensor([0.4, -0.5]))


def test_sampling_attention_is_its_formula():
    """The docstring's sum with plain loops, on maps whose bilinear interpolation is worked out by hand."""
    torch.manual_seed(0)
    attention = DeformableAttention(8, heads=2, levels=2, points=3)
    torch.nn.init.normal_(attention.weights.weight)
    torch.nn.init.normal_(attention.offsets.weight)
    maps = [torch.randn(1, 8, 5, 4), torch.randn(1, 8, 3, 2)]
    query, box = torch.randn(1, 1, 8), torch.tensor([[[0.4, 0.6, 0.5, 0.3]]])
    found = attention(query, box, maps).squeeze()

    offsets = attention.offsets(query).view(2, 2, 3, 2)
    weights = attention.weights(query).view(2, 6).softmax(-1).view(2, 2, 3)
    heads = torch.zeros(2, 4)
    for head in range(2):
        for level, m in enumerate(maps):
            for point in range(3):
                at = box[0, 0, :2] + offsets[head, level, point] * box[0, 0, 2:] / 6
                value = bilinear(m[0, 4 * head : 4 * head + 4], at[0], at[1])
                heads[head] += weights[head, level, point] * value
    torch.testing.assert_close(found, attention.output(heads.flatten()), atol=1e-5, rtol=1e-4)


def bilinear(m, x, y):
    """A map at a point in fractions of it; cell (i, j) has its centre at ((j + 1/2) / w, (i + 1/2) / h); 0 outside."""
    _, h, w = m.shape
    column, row = x * w - 0.5, y * h - 0.5
    total = torch.zeros(m.shape[0])
    for i in range(h):
        for j in range(w):
            total += m[:, i, j] * (1 - abs(row - i)).clamp(min=0) * (1 - abs(column - j)).clamp(min=0)
    return total


def test_a_checkpoint_round_trips_and_its_class_heads_can_be_replaced(tmp_path):
    torch.manual_seed(0)
    checkpoint = create("sprint-n", ["a", "b"])
    save(checkpoint, tmp_path / "saved")
    images = torch.randn(1, 3, 64, 64)
    again = load(tmp_path / "saved")
    expected = checkpoint.model.eval()(images, no_padding(1, 64, 64))
    torch.testing.assert_close(again.model.eval()(images, no_padding(1, 64, 64)).logits, expected.logits)
    other = load(tmp_path / "saved", ["x", "y", "z"])
    assert other.model.eval()(images, no_padding(1, 64, 64)).logits.shape[-1] == 3


@pytest.mark.parametrize("build", [sprint_s, sprint_m])
def test_the_larger_presets_predict_sets_too_and_name_their_cnns_parameters(build):
    torch.manual_seed(0)
    model = build(2, queries=10)
    outputs, total = one_step(model, torch.randn(2, 3, 64, 64), no_padding(2, 64, 64), [2, 0], 2)
    assert outputs.boxes.shape == (1 + len(model.layers), 2, 10, 4)
    assert total.isfinite()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_imagenet_weights_fill_the_whole_cnn(monkeypatch):
    full = resnet18().state_dict()
    monkeypatch.setattr("torchvision.models.ResNet18_Weights.get_state_dict", lambda *_, **__: full)
    backbone = create("sprint-s", ["a"], pretrained_backbone=True).model.backbone
    torch.testing.assert_close(backbone.state_dict()["layer4.1.conv2.weight"], full["layer4.1.conv2.weight"])


def test_imagenet_weights_out_of_reach_are_one_sentence_that_says_what_to_do(monkeypatch):
    def offline(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr("torchvision.models.ResNet50_Weights.get_state_dict", offline)
    with pytest.raises(WeightsError, match=r"resnet50 could not be fetched .*no route to host.*--from-scratch\.$"):
        create("sprint-m", ["a"], pretrained_backbone=True)


def test_there_is_no_pretrained_cnn_for_the_smallest():
    with pytest.raises(UsageError, match="is trained from scratch"):
        create("sprint-n", ["a"], pretrained_backbone=True)


class Tensors(torch.nn.Module):
    """The model with tensors for a result, which is what an exporter takes."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, images, padding):
        outputs = self.model(images, padding)
        return outputs.logits[-1], outputs.boxes[-1]


def test_the_graph_holds_no_shape_that_depends_on_the_data():
    torch.manual_seed(0)
    model = Tensors(sprint_n(2).eval())
    exported = torch.export.export(model, (torch.randn(1, 3, 64, 64), no_padding(1, 64, 64))).module()
    images = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(exported(images, no_padding(1, 64, 64)), model(images, no_padding(1, 64, 64)))
