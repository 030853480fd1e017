import copy

import pytest
import torch
from torch import nn
from torchvision.ops import StochasticDepth

from setpiece.inference.precision import autocast
from setpiece.model.checkpoint import create
from setpiece.records import Outputs
from setpiece.training.replicas import Replicas, one_thread_per_operation, replica_count

CPU = torch.device("cpu")


def model():
    torch.manual_seed(0)
    return create("sprint-n", ["ace", "king"]).model


def loss(outputs: Outputs):
    """A number that depends on every output in another way."""
    logits, boxes = outputs.logits.sigmoid(), outputs.boxes
    ramps = (torch.linspace(0, 1, tensor.numel()).view_as(tensor) for tensor in (logits, boxes))
    return sum((tensor * ramp).sum() for tensor, ramp in zip((logits, boxes), ramps, strict=True))


@pytest.mark.parametrize(("count", "images"), [(1, 2), (2, 4), (2, 3), (3, 2)])
def test_replicas_predict_and_learn_what_one_model_does_where_images_do_not_influence_each_other(count, images):
    alone = model().eval()  # in training, batch norm takes its statistics from the other images
    replicas = Replicas(copy.deepcopy(alone), count).train(False)
    pixels, padding = torch.randn(images, 3, 64, 96), torch.zeros(images, 64, 96, dtype=torch.bool)
    expected, found = alone(pixels, padding), replicas(pixels, padding)
    torch.testing.assert_close(found.logits, expected.logits)
    torch.testing.assert_close(found.boxes, expected.boxes)
    loss(expected).backward()
    loss(found).backward()
    for theirs, ours in zip(alone.parameters(), replicas.module.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-4, rtol=1e-3)


def test_running_statistics_are_the_means_of_those_of_the_replicas():
    halves, whole = model(), Replicas(model(), 2)
    pixels, padding = torch.randn(4, 3, 64, 64), torch.zeros(4, 64, 64, dtype=torch.bool)
    loss(whole.train()(pixels, padding)).backward()
    each = []
    for half in (slice(0, 2), slice(2, 4)):
        trained = copy.deepcopy(halves).train()
        trained(pixels[half], padding[half])
        each.append([buffer for name, buffer in trained.named_buffers() if "running" in name])
    found = [buffer for name, buffer in whole.module.named_buffers() if "running" in name]
    for mean, first, second in zip(found, *each, strict=True):
        torch.testing.assert_close(mean, (first + second) / 2)


@pytest.mark.parametrize("bf16", [False, True])
def test_the_same_batch_gives_the_same_bits_whichever_replica_is_faster(bf16):
    pixels, padding = torch.randn(4, 3, 64, 64), torch.zeros(4, 64, 64, dtype=torch.bool)
    gradients = []
    for _ in range(3):
        replicas = Replicas(model(), 2).train()
        with autocast(CPU, bf16):
            outputs = replicas(pixels, padding)
        loss(outputs).backward()
        gradients.append([parameter.grad for parameter in replicas.module.parameters()])
    assert all(torch.equal(a, b) for other in gradients[1:] for a, b in zip(gradients[0], other, strict=True))


def test_new_weights_and_statistics_of_the_model_are_those_of_all_replicas():
    replicas, other = Replicas(model(), 2).train(False), create("sprint-n", ["ace", "king"]).model.eval()
    for buffer in other.buffers():
        buffer.add_(1)
    replicas.module.load_state_dict(other.state_dict())
    pixels, padding = torch.randn(2, 3, 64, 64), torch.zeros(2, 64, 64, dtype=torch.bool)
    torch.testing.assert_close(replicas(pixels, padding).logits, other(pixels, padding).logits)


def test_an_error_in_a_replica_is_that_of_the_step():
    replicas = Replicas(model(), 2)
    with pytest.raises(Exception, match="pad both to multiples of 32"):
        replicas(torch.randn(2, 3, 50, 64), torch.zeros(2, 50, 64, dtype=torch.bool))


@pytest.mark.parametrize(
    ("threads", "batch", "device", "processes", "expected"),
    [
        (2, 8, "cpu", 1, 2),
        (2, 4, "cpu", 1, 1),
        (8, 16, "cpu", 1, 4),
        (1, 8, "cpu", 1, 1),
        (2, 8, "cuda", 1, 1),
        (2, 8, "cpu", 2, 1),
    ],
)
def test_there_is_a_replica_per_core_with_four_images_each(threads, batch, device, processes, expected, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert replica_count(nn.Linear(1, 1), torch.device(device), batch, processes) == expected


def test_a_model_that_draws_random_numbers_is_not_replicated(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert replica_count(nn.Sequential(nn.Dropout(0.1)), CPU, 8) == 1
    assert replica_count(nn.Sequential(nn.Dropout(0.0)), CPU, 8) == 2
    assert replica_count(nn.Sequential(StochasticDepth(0.1, "row")), CPU, 8) == 1


def test_threads_are_given_back():
    before = torch.get_num_threads()
    with one_thread_per_operation():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
