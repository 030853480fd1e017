import torch
import torchvision.ops as ops
from hypothesis import given
from hypothesis import strategies as st

from setpiece.setloss.boxes import cxcywh_to_xyxy, l1, overlaps, xyxy_to_cxcywh

side = st.floats(0, 1, width=32)
# Corners are rounded to 6e-8, so thinner boxes than a thousandth have overlaps with visible rounding.
size = st.one_of(st.just(0.0), st.floats(2**-10, 1, width=32))
box = st.tuples(side, side, size, size).map(torch.tensor)
solid = st.tuples(side, side, st.floats(1 / 64, 1, width=32), st.floats(1 / 64, 1, width=32)).map(torch.tensor)


@given(box)
def test_formats_round_trip(boxes_cxcywh):
    torch.testing.assert_close(xyxy_to_cxcywh(cxcywh_to_xyxy(boxes_cxcywh)), boxes_cxcywh, atol=1e-6, rtol=0)


@given(solid, solid)
def test_overlaps_equal_torchvision(a, b):
    iou, giou = overlaps(a, b)
    a_xyxy, b_xyxy = cxcywh_to_xyxy(a)[None], cxcywh_to_xyxy(b)[None]
    torch.testing.assert_close(iou, ops.box_iou(a_xyxy, b_xyxy)[0, 0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(giou, ops.generalized_box_iou(a_xyxy, b_xyxy)[0, 0], atol=1e-4, rtol=1e-4)


@given(box, box)
def test_overlaps_are_symmetric_and_bounded(a, b):
    iou, giou = overlaps(a, b)
    torch.testing.assert_close((iou, giou), overlaps(b, a), atol=1e-6, rtol=0)
    assert 0 <= iou <= 1 + 1e-3
    assert -1 - 1e-3 <= giou <= iou + 1e-3


@given(solid)
def test_a_box_overlaps_itself_completely(a):
    torch.testing.assert_close(torch.stack(overlaps(a, a)), torch.ones(2), atol=1e-4, rtol=0)


def test_touching_nested_and_distant_boxes_have_the_values_worked_out_by_hand():
    unit = torch.tensor([0.5, 0.5, 1.0, 1.0])
    quarter = torch.tensor([0.25, 0.25, 0.5, 0.5])
    far = torch.tensor([0.75, 0.75, 0.5, 0.5])
    assert [x.item() for x in overlaps(unit, quarter)] == [0.25, 0.25]  # inside: the hull is the larger box
    assert [x.item() for x in overlaps(quarter, far)] == [0.0, -0.5]  # corner to corner: half of the hull is empty


def test_pairwise_is_paired_for_all_pairs():
    generator = torch.Generator().manual_seed(0)
    a, b = torch.rand(4, 4, generator=generator), torch.rand(6, 4, generator=generator)
    _, pairwise = overlaps(a[:, None], b[None])
    assert pairwise.shape == (4, 6)
    torch.testing.assert_close(pairwise[2, 5], overlaps(a[2], b[5])[1])
    torch.testing.assert_close(l1(a[:, None], b[None]), torch.cdist(a, b, p=1))


def test_boxes_without_area_have_finite_overlaps_and_gradients():
    point = torch.tensor([0.5, 0.5, 0.0, 0.0])
    line = torch.tensor([0.5, 0.5, 0.0, 0.3])
    solid_box = torch.tensor([0.5, 0.5, 0.2, 0.2])
    for other in (point, line, solid_box):
        for degenerate in (point, line):
            predicted = degenerate.clone().requires_grad_()
            values = torch.stack(overlaps(predicted, other))
            values.sum().backward()
            assert values.isfinite().all()
            assert predicted.grad.isfinite().all()
