from __future__ import annotations

import math
from itertools import chain

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from setpiece.data import open_dataset
from setpiece.data.augmentation.canvas import RandomCanvas
from setpiece.data.batching import (
    EpochSampler,
    TrainImages,
    collate,
    eval_loader,
    load_ahead,
    loading_processes,
    train_loader,
)
from setpiece.data.items import Item, oriented
from setpiece.data.sampler import Key
from setpiece.errors import DataError, UsageError
from setpiece.records import Batch, InputSize
from setpiece.setloss.boxes import cxcywh_to_xyxy

SIZE = InputSize(48, 64)
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


@pytest.fixture
def dataset(write_coco):
    crowd = {"bbox": [0, 0, 50, 40], "iscrowd": 1}
    return open_dataset(
        write_coco([[10, 5, 20, 30], crowd], [], [[1, 2, 30, 40], [9, 9, 9, 9]], [], [[0, 0, 64, 48]]), "train"
    )


def assert_same(one: Item, other: Item) -> None:
    assert torch.equal(one.image, other.image)
    assert torch.equal(one.boxes_cxcywh, other.boxes_cxcywh)
    assert torch.equal(one.labels, other.labels)


def tensors(batch: Batch) -> list[Tensor]:
    targets = batch.targets
    return [
        batch.images.pixels,
        batch.images.padding,
        batch.image_ids,
        batch.images.original_sizes,
        targets.labels,
        targets.boxes,
        targets.count,
    ]


def test_a_key_gives_the_same_item_whatever_happened_before(dataset):
    images = TrainImages(dataset, SIZE, seed=3)
    first = images[4, 2, 1.0]
    torch.rand(10)
    for index in range(5):
        images[4, index, 1.0]
    assert_same(images[4, 2, 1.0], first)
    assert_same(TrainImages(dataset, SIZE, seed=3)[4, 2, 1.0], first)


def test_another_epoch_image_or_seed_is_augmented_otherwise(dataset):
    one = TrainImages(dataset, SIZE, seed=0)[0, 2, 1.0]
    for seed, epoch in ((0, 1), (1, 0)):
        other = TrainImages(dataset, SIZE, seed=seed)[epoch, 2, 1.0]
        assert one.image.shape != other.image.shape or not torch.equal(one.image, other.image)


def test_the_scale_of_a_key_is_the_share_of_the_input_size(dataset):
    images = TrainImages(dataset, InputSize(128, 128), augmentation=RandomCanvas)
    assert [images[0, 2, scale].image.shape for scale in (0.5, 1.0)] == [(3, 64, 64), (3, 128, 128)]


@pytest.mark.parametrize(("orientations", "ways"), [("all", 8), ("mirrored", 2), ("upright", 1)])
def test_an_item_lies_in_as_many_ways_as_are_allowed_and_its_boxes_with_it(orientations, ways):
    image = torch.zeros(3, 40, 60, dtype=torch.uint8)
    image[:, 5:15, 30:50] = 255
    item = Item(image, torch.tensor([[40 / 60, 10 / 40, 20 / 60, 10 / 40]]), torch.tensor([7]), 1, (40, 60))
    seen = set()
    for seed in range(60):
        torch.manual_seed(seed)
        turned = oriented(item, orientations)
        height, width = turned.image.shape[-2:]
        boxes_xyxy = cxcywh_to_xyxy(turned.boxes_cxcywh) * torch.tensor([width, height, width, height])
        rows, columns = turned.image[0].amax(1).nonzero(), turned.image[0].amax(0).nonzero()
        drawn_xyxy = torch.stack([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], 1).float()
        torch.testing.assert_close(boxes_xyxy, drawn_xyxy)
        seen.add((height, *(round(side) for side in drawn_xyxy[0].tolist())))
    assert len(seen) == ways
    assert (40, 30, 5, 50, 15) in seen


def test_training_images_lie_as_they_are_told(dataset):
    shown = TrainImages(dataset, SIZE, orientations="upright")
    mirrored = TrainImages(dataset, SIZE, orientations="mirrored")
    pairs = [(shown[epoch, 2, 1.0], mirrored[epoch, 2, 1.0]) for epoch in range(20)]
    same = [torch.equal(one.image, other.image) for one, other in pairs]
    assert len(set(same)) == 2
    assert all(a or torch.equal(one.image, other.image.flip(-1)) for a, (one, other) in zip(same, pairs, strict=True))


def test_global_generators_are_left_as_they_were(dataset):
    images = TrainImages(dataset, SIZE)
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    for _ in train_loader(images, EpochSampler(5, 2), MEAN, STD):
        pass
    for _ in eval_loader(dataset, SIZE, MEAN, STD, batch_size=2):
        pass
    # Python's own is left alone too, but the checks of types under test draw from it.
    assert torch.equal(torch.get_rng_state(), torch_state)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)


def test_crowds_are_no_training_targets(dataset):
    for epoch in range(5):
        assert len(TrainImages(dataset, SIZE)[epoch, 0, 1.0].labels) <= 1


def test_prepared_images_are_kept_small_and_augmented_alike(dataset):
    progress = []
    images = TrainImages(dataset, SIZE)
    plain = images[0, 2, 1.0]
    assert images.prepare(lambda done, total: progress.append((done, total)))
    assert progress == [(done, 5) for done in range(1, 6)]
    assert_same(images[0, 2, 1.0], plain)  # 64x48 files need no resize at 64x48


def test_prepared_images_are_resized_with_their_boxes_and_never_enlarged(dataset):
    small, large = TrainImages(dataset, InputSize(24, 24)), TrainImages(dataset, InputSize(480, 640))
    plain = small[0, 4, 1.0]
    for images in (small, large):
        images.prepare()
    assert small._cache[4].shape == (3, 27, 36)
    assert large._cache[4].shape == (3, 48, 64)
    torch.testing.assert_close(small[0, 4, 1.0].boxes_cxcywh, plain.boxes_cxcywh, atol=0.1, rtol=0)


def test_images_that_would_take_too_much_memory_are_not_kept(dataset):
    images = TrainImages(dataset, SIZE)
    assert not images.prepare(limit=5 * 3 * 48 * 64 - 1)
    assert images._cache == []
    assert images.prepare(limit=5 * 3 * 48 * 64)


def test_an_item_does_not_change_what_is_kept(dataset):
    images = TrainImages(dataset, SIZE)
    images.prepare()
    kept = images._cache[2].clone()
    for epoch in range(10):
        images[epoch, 2, 1.0]
    assert torch.equal(images._cache[2], kept)


@given(st.integers(1, 40), st.integers(1, 8), st.integers(0, 5), st.integers(0, 3))
def test_an_epoch_shows_every_image_at_most_once_and_leaves_less_than_a_batch(length, batch_size, epoch, seed):
    sampler = EpochSampler(length, batch_size, seed=seed)
    sampler.set_epoch(epoch)
    batches = list(sampler)
    keys = [key for batch in batches for key in batch]
    assert len(batches) == len(sampler) == sampler.batches_per_epoch
    assert {key[0] for key in keys} == {epoch}
    assert len(set(keys)) == len(keys) > length - batch_size
    assert {len(batch) for batch in batches} == {min(batch_size, length)}


@given(st.integers(4, 40), st.sampled_from([1, 2, 4]), st.integers(1, 3), st.integers(0, 6))
def test_processes_share_each_global_batch_and_a_resumed_epoch_is_its_rest(length, world_size, share, start_batch):
    batch_size = share * world_size
    whole = list(EpochSampler(length, batch_size, seed=1))
    parts = [EpochSampler(length, batch_size, seed=1, rank=rank, world_size=world_size) for rank in range(world_size)]
    for part in parts:
        part.set_epoch(0, start_batch)
    shared = [sorted(chain.from_iterable(batches)) for batches in zip(*parts, strict=True)]
    if world_size <= length < batch_size:
        assert [len(batch) for batch in shared] == [length // world_size * world_size][start_batch:]
    else:
        assert shared == [sorted(batch) for batch in whole[start_batch:]]
    assert {len(part) for part in parts} == {len(shared)}


def test_epochs_and_seeds_differ_in_order():
    def order(seed, epoch):
        sampler = EpochSampler(50, 5, seed=seed)
        sampler.set_epoch(epoch)
        return [key.image for batch in sampler for key in batch]

    assert order(0, 0) == order(0, 0)
    assert order(0, 0) != order(0, 1) != order(1, 0) != order(0, 0)


@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=30), st.integers(0, 20))
def test_an_image_is_drawn_as_often_as_it_weighs_and_each_time_in_another_way(weights, epoch):
    sampler = EpochSampler(len(weights), 1, weights=weights)
    sampler.set_epoch(epoch)
    keys = [key for batch in sampler for key in batch]
    assert len(set(keys)) == len(keys) == len(weights)
    for index, weight in enumerate(weights):
        expected = weight * len(weights) / sum(weights)
        assert math.floor(expected - 1e-6) <= sum(key.image == index for key in keys) <= math.ceil(expected + 1e-6)


def test_equal_weights_draw_every_image_once_and_copies_of_an_image_differ(dataset):
    sampler = EpochSampler(9, 2, weights=[3.0] * 9)
    assert len({key.image for batch in sampler for key in batch}) == 8
    images = TrainImages(dataset, SIZE)
    first, again, copy = (images[key].image for key in ((0, 1, 1.0), Key(0, 1, 1.0, 0), Key(0, 1, 1.0, 1)))
    assert torch.equal(first, again)
    assert first.shape != copy.shape or not torch.equal(first, copy)


def test_batches_that_are_loaded_ahead_are_the_same_and_so_are_their_errors():
    def batches():
        yield from range(3)
        raise DataError("cell.jpg is broken")

    ahead = load_ahead(batches())
    assert [next(ahead) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(DataError, match="broken"):
        next(ahead)


@pytest.mark.parametrize(("length", "batch_size", "world_size"), [(9, 4, 3), (9, 0, 1), (2, 4, 4)])
def test_batches_that_cannot_be_shared_are_refused(length, batch_size, world_size):
    with pytest.raises(UsageError):
        EpochSampler(length, batch_size, world_size=world_size)


def item(height: int, width: int, image_id: int = 0) -> Item:
    image = torch.full((3, height, width), 255, dtype=torch.uint8)
    return Item(image, torch.tensor([[0.5, 0.5, 1.0, 1.0]]), torch.tensor([0]), image_id, (height, width))


def test_images_are_padded_right_and_bottom_to_a_multiple_of_32():
    batch = collate([item(40, 60, 5), item(33, 70, 6)], MEAN, STD)
    assert batch.images.pixels.shape == (2, 3, 64, 96)
    assert not batch.images.padding[0, :40, :60].any()
    assert batch.images.padding[0, 40:].all()
    assert batch.images.padding[0, :, 60:].all()
    padded = batch.images.padding[:, None].expand_as(batch.images.pixels)
    assert (batch.images.pixels[padded] == 0).all()
    torch.testing.assert_close(batch.images.pixels[0, :, 0, 0], torch.tensor([3.0, 2.0, 0.4 / 0.3]))
    assert batch.targets.boxes.tolist() == [[[0.5, 0.5, 1.0, 1.0]]] * 2
    assert batch.image_ids.tolist() == [5, 6]
    assert batch.images.original_sizes.tolist() == [[40, 60], [33, 70]]


def test_the_cores_of_a_cpu_are_left_to_the_steps_and_processes_share_those_beside_an_accelerator(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 12)
    assert loading_processes(torch.device("cpu")) == 0
    assert loading_processes(torch.device("cuda")) == 8
    assert loading_processes(torch.device("cuda"), world_size=4) == 3


def test_workers_give_the_same_batches_as_one_process(dataset):
    batches = {}
    for workers in (0, 2):
        images, sampler = TrainImages(dataset, InputSize(96, 128)), EpochSampler(5, 2)
        loader = train_loader(images, sampler, MEAN, STD, workers=workers)
        for epoch in range(2):
            sampler.set_epoch(epoch, scale=lambda batch, epoch=epoch: 1 - epoch * batch / 2)
            batches[workers, epoch] = [tensors(batch) for batch in loader]
    for epoch in range(2):
        for one, other in zip(batches[0, epoch], batches[2, epoch], strict=True):
            assert all(map(torch.equal, one, other))
    assert batches[0, 1][0][0].shape != batches[0, 1][1][0].shape


@pytest.mark.parametrize("workers", [0, 2])
def test_evaluation_shows_every_image_once_in_order(dataset, workers):
    batches = list(eval_loader(dataset, SIZE, MEAN, STD, batch_size=2, workers=workers))
    assert [batch.image_ids.tolist() for batch in batches] == [[10, 11], [12, 13], [14]]
    assert batches[0].images.original_sizes.tolist() == [[48, 64]] * 2
    torch.testing.assert_close(batches[2].targets.boxes, torch.tensor([[[0.5, 0.5, 1.0, 1.0]]]))
    assert batches[0].targets.count.tolist() == [1, 0]


def test_an_evaluation_batch_has_images_of_one_padded_size(write_coco, write_image):
    root = write_coco(*[[[0, 0, 8, 8]]] * 5)
    for number, size in enumerate([(64, 30), (30, 64), (64, 29), (64, 64), (64, 28)]):  # width, height
        write_image(root / "train" / f"{number}.jpg", size)
    batches = list(eval_loader(open_dataset(root, "train"), InputSize(64, 64), MEAN, STD, batch_size=2))
    assert [batch.image_ids.tolist() for batch in batches] == [[10, 12], [14], [11], [13]]
    assert [tuple(batch.images.pixels.shape[2:]) for batch in batches] == [(32, 64), (32, 64), (64, 32), (64, 64)]


def test_processes_share_an_evaluation(dataset):
    shares = [
        [image_id for batch in loader for image_id in batch.image_ids.tolist()]
        for loader in (
            eval_loader(dataset, SIZE, MEAN, STD, batch_size=2, rank=rank, world_size=2) for rank in range(2)
        )
    ]
    assert shares == [[10, 12, 14], [11, 13]]


def test_an_image_annotated_as_stored_is_shown_as_stored(write_coco):
    root = write_coco([[32, 0, 32, 48]])
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = Image.new("RGB", (64, 48), "black")
    picture.paste((255, 255, 255), (32, 0, 64, 48))
    picture.save(root / "train" / "0.jpg", exif=exif)
    (batch,) = eval_loader(open_dataset(root, "train"), SIZE, (0.0,) * 3, (1.0,) * 3, batch_size=1)
    assert batch.images.pixels.shape == (1, 3, 64, 64)
    assert batch.images.pixels[0, :, :48, 36:].min() > 0.9
    assert batch.images.pixels[0, :, :48, :28].max() < 0.1
