"""Which parameters are trained by what, and what one step of Muon does."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from setpiece.model.checkpoint import create
from setpiece.training.config import resolve
from setpiece.training.muon import ADAMS_SIZE, Muon, polar
from setpiece.training.optimiser import Ema, make_optimisers, scale_learning_rates, update_ema


def parameters_of(optimiser):
    return [parameter for group in optimiser.param_groups for parameter in group["params"]]


@pytest.mark.parametrize("model", ["sprint-n", "detr-tiny"])
def test_every_parameter_is_trained_exactly_once(model):
    network = create(model, ["a", "b"]).model
    optimisers = make_optimisers(network, resolve("-", model))
    trained = [id(parameter) for optimiser in optimisers for parameter in parameters_of(optimiser)]
    assert sorted(trained) == sorted(id(p) for p in network.parameters() if p.requires_grad)


def test_muon_trains_what_maps_features_to_features_and_adamw_the_rest():
    network = create("sprint-n", ["a", "b"]).model
    muon, adamw = make_optimisers(network, resolve("-", "sprint-n"))
    assert (type(muon), type(adamw)) == (Muon, torch.optim.AdamW)
    within = {id(parameter) for parameter in parameters_of(muon)}
    names = {name for name, parameter in network.named_parameters() if id(parameter) in within}
    assert {"hybrid_encoder.finer.0.0.weight", "layers.0.feed_forward.0.weight", "box_heads.0.0.weight"} <= names
    assert "backbone.stem.0.weight" in names  # its columns are a patch of 7×7 pixels
    assert not any("class_head" in name or "norm" in name or name.endswith("bias") for name in names)
    assert "box_position.0.weight" not in names  # its columns are the sides of a box
    assert "box_heads.0.4.weight" not in names  # its rows are sides of a box


def test_the_many_small_matrices_of_a_grouped_convolution_are_not_trained_as_one():
    network = create("sprint-n", ["a"], backbone="timm/convnext_atto").model
    muon, _ = make_optimisers(network, resolve("-", "sprint-n"))
    within = {id(parameter) for parameter in parameters_of(muon)}
    convolutions = [part for part in network.modules() if isinstance(part, torch.nn.Conv2d) and part.kernel_size[0] > 1]
    assert {part.groups > 1 for part in convolutions} == {True, False}
    assert all((id(part.weight) in within) == (part.groups == 1) for part in convolutions)


def test_a_recipe_without_muon_has_adamw_alone():
    network = create("detr-tiny", ["a", "b"]).model
    assert [type(o) for o in make_optimisers(network, resolve("-", "detr-tiny"))] == [torch.optim.AdamW]


def test_vectors_are_not_decayed_and_the_cnn_and_the_class_heads_have_their_own_rates():
    network = create("sprint-n", ["a", "b"]).model
    rates = {"learning_rate": 1e-3, "backbone_learning_rate": 1e-4, "class_head_rate": 4}
    optimisers = make_optimisers(network, resolve("-", "sprint-n", weight_decay=0.3, **rates))
    in_backbone = {id(parameter) for parameter in network.backbone.parameters()}
    in_heads = {id(parameter) for parameter in network.class_head_parameters()}
    for group in (group for optimiser in optimisers for group in optimiser.param_groups):
        assert {p.ndim > 1 for p in group["params"]} == {group["weight_decay"] == 0.3}
        assert {id(p) in in_backbone for p in group["params"]} == {group["lr"] == 1e-4}
        assert {id(p) in in_heads for p in group["params"]} == {group["lr"] == 4e-3}
    scale_learning_rates(optimisers, 0.5)
    assert {group["lr"] for optimiser in optimisers for group in optimiser.param_groups} == {2e-3, 5e-4, 5e-5}


@given(seed=st.integers(0, 1000), rows=st.integers(1, 40), more=st.integers(0, 60))
def test_polar_brings_singular_values_near_one_and_keeps_directions(seed, rows, more):
    matrix = torch.randn(rows, rows + more, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    u, s, vt = torch.linalg.svd(matrix, full_matrices=False)
    turned = u.T @ polar(matrix[None])[0] @ vt.T  # the singular values, on the diagonal
    assert torch.allclose(turned, turned.diagonal().diag(), atol=1e-6)
    reached = turned.diagonal()[s > 0.0101 * s.norm()]
    assert ((reached > 0.725) & (reached < 1.275)).all()


@pytest.mark.parametrize("rank", [1, 2, 16])
@pytest.mark.parametrize("seed", range(10))
def test_polar_of_a_matrix_of_low_rank_stays_near_one(seed, rank):
    """The first iterations are steep, both beyond 1 and at the rounding errors in the place of zeros."""
    torch.manual_seed(seed)
    product = torch.randn(1, 32, rank) @ torch.randn(1, rank, 288)
    singular = torch.linalg.svdvals(polar(product)[0])
    assert ((singular[:rank] > 0.7) & (singular[:rank] < 1.3)).all()
    assert (singular[rank:] < 1e-3).all()


def test_polar_in_float32_is_that_in_float64_where_singular_values_differ_much():
    generator = torch.Generator().manual_seed(0)
    u, v = (torch.linalg.qr(torch.randn(96, 96, generator=generator, dtype=torch.float64)).Q for _ in range(2))
    matrix = ((u * torch.logspace(0, -5, 96, dtype=torch.float64)) @ v.T)[None]
    torch.testing.assert_close(polar(matrix.float()).double(), polar(matrix), atol=1e-3, rtol=0)


def test_polar_of_nothing_is_nothing():
    assert (polar(torch.zeros(1, 3, 5)) == 0).all()


@pytest.mark.parametrize("shape", [(40, 60), (60, 40), (16, 8, 3, 3), (32, 2, 1, 1)])
def test_a_step_of_muon_has_the_size_of_a_step_of_adamw(shape):
    weight = torch.zeros(shape, requires_grad=True)
    weight.grad = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    Muon([weight], lr=0.5).step()
    assert weight.square().mean().sqrt().item() == pytest.approx(0.5 * ADAMS_SIZE, rel=0.25)
    assert (weight * weight.grad).sum() < 0


def test_the_layout_of_a_convolution_does_not_change_its_step():
    weights = []
    for layout in (torch.contiguous_format, torch.channels_last):
        weight = torch.ones(16, 8, 3, 3).contiguous(memory_format=layout).requires_grad_()
        gradient = torch.randn(16, 8, 3, 3, generator=torch.Generator().manual_seed(0))
        weight.grad = gradient.contiguous(memory_format=layout)
        Muon([weight], lr=0.1).step()
        weights.append(weight.detach())
    assert torch.allclose(*weights, atol=1e-6)


def test_matrices_of_one_shape_do_not_disturb_each_other():
    generator = torch.Generator().manual_seed(0)
    gradients = [torch.randn(12, 20, generator=generator), torch.randn(20, 12, generator=generator)]

    def step(gradients):
        weights = [torch.zeros_like(gradient).requires_grad_() for gradient in gradients]
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient.clone()
        Muon(weights, lr=0.1).step()
        return [weight.detach() for weight in weights]

    alone = [step([gradient])[0] for gradient in gradients]
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(step(gradients), alone, strict=True))


def test_a_gradient_of_zero_leaves_decay_alone_and_none_leaves_the_weight():
    weight, frozen = torch.ones(4, 4, requires_grad=True), torch.ones(4, 4, requires_grad=True)
    weight.grad = torch.zeros(4, 4)
    Muon([weight, frozen], lr=0.1, weight_decay=0.5).step()
    assert torch.allclose(weight, torch.full((4, 4), 0.95))
    assert (frozen == 1).all()


def test_after_a_gradient_of_zero_a_step_keeps_its_size():
    weight = torch.zeros(8, 8, requires_grad=True)
    optimiser = Muon([weight], lr=0.1)
    weight.grad = torch.randn(8, 8, generator=torch.Generator().manual_seed(0))
    optimiser.step()
    first = weight.detach().clone()
    weight.grad = torch.zeros(8, 8)
    optimiser.step()
    torch.testing.assert_close(weight.detach(), 2 * first, rtol=1e-3, atol=1e-4)


def test_muon_fits_a_linear_map():
    generator = torch.Generator().manual_seed(0)
    wanted, x = torch.randn(8, 8, generator=generator), torch.randn(256, 8, generator=generator)
    weight = torch.zeros(8, 8, requires_grad=True)
    optimiser = Muon([weight], lr=0.1)
    for step in range(300):
        optimiser.param_groups[0]["lr"] = 0.3 * (1 - step / 300)
        optimiser.zero_grad()
        (x @ (weight - wanted)).square().mean().backward()
        optimiser.step()
    assert (weight - wanted).abs().max() < 0.05


def test_its_state_can_be_saved_and_taken_up():
    def fresh():
        weight = torch.ones(4, 6, requires_grad=True)
        return weight, Muon([weight], lr=0.1)

    def step(weight, optimiser, seed):
        weight.grad = torch.randn(4, 6, generator=torch.Generator().manual_seed(seed))
        optimiser.step()

    weight, optimiser = fresh()
    step(weight, optimiser, 0)
    other, resumed = fresh()
    other.data.copy_(weight)
    resumed.load_state_dict(copy.deepcopy(optimiser.state_dict()))
    step(weight, optimiser, 1)
    step(other, resumed, 1)
    assert torch.equal(weight, other)


def test_muon_calls_the_closure_it_is_given():
    weight = torch.ones(4, 4, requires_grad=True)
    optimiser = Muon([weight], lr=0.1)

    def closure():
        loss = weight.sum()
        loss.backward()
        return loss.item()

    assert optimiser.step(closure) == 16
    assert (weight < 1).all()


def test_the_average_follows_every_fourth_step_as_if_it_had_followed_all():
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    average = Ema(model, decay=0.9)
    expected = None
    for step in range(200):
        for parameter in model.parameters():
            parameter.data.add_(1.0)
        model[1].num_batches_tracked += 1
        update_ema(average, model, step)
        if step % 4 == 0:
            weight, n = model[0].weight.detach().clone(), step
            decay = min(0.9, (1 + n) / (10 + n)) ** 4
            expected = weight if step == 0 else decay * expected + (1 - decay) * weight
            torch.testing.assert_close(average.module[0].weight, expected)
            assert average.module[1].num_batches_tracked == step + 1
