"""Several trainings that answer one question; the trainings themselves are stood in for."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from setpiece.data.sources import open_dataset
from setpiece.errors import DataError, UsageError
from setpiece.evaluation import evaluate_coco
from setpiece.model.checkpoint import create
from setpiece.training import studies
from setpiece.training.config import resolve
from setpiece.training.start import open_data
from setpiece.training.studies import Measured, by_fold, by_seed, by_share, join, out_of_fold, outlook, spread

NOTHING = evaluate_coco({"images": [], "annotations": [], "categories": [{"id": 1, "name": "cell"}]}, [])


@pytest.fixture
def config(scenes):
    return resolve(scenes, "detr-tiny", epochs=1, size=64, batch_size=8, evaluations=1, precision="fp32")


@pytest.fixture
def trained(monkeypatch):
    """The file names that each training was given; none is run."""
    given = []

    def remember(config, dataset, _):
        given.append((config.seed, [example.path.name for example in dataset.examples]))
        return create(config.model, dataset.classes, shortest=64)

    monkeypatch.setattr(studies, "_trained", remember)
    return given


def test_every_image_is_left_out_once_and_trained_on_otherwise(scenes, config, trained):
    dataset = open_dataset(scenes, "train")
    names = [example.path.name for example in dataset.examples]
    left_out = []
    for fold, (_, unseen, images) in enumerate(out_of_fold(config, dataset, 3)):
        held = [example.path.name for example in unseen.examples]
        assert sorted(held + trained[fold][1]) == sorted(names)
        assert images == len(names) - len(held)
        left_out += held
    assert sorted(left_out) == sorted(names)


@pytest.mark.usefixtures("trained")
def test_versions_of_one_photo_are_left_out_together(scenes, config):
    dataset = open_dataset(scenes, "train")
    named = tuple(
        replace(example, path=Path(f"photo{number // 4}_png.rf.{number:x}.png"))
        for number, example in enumerate(dataset.examples)
    )
    for _, unseen, _ in out_of_fold(config, replace(dataset, examples=named), 2):
        photos = [example.path.name.split("_")[0] for example in unseen.examples]
        assert all(photos.count(photo) == 4 for photo in photos)
    with pytest.raises(UsageError, match="4 photos cannot be divided into 5 parts"):
        next(out_of_fold(config, replace(dataset, examples=named), 5))


def test_copies_and_versions_of_a_file_belong_to_one_photo(scenes, tmp_path):
    dataset = open_dataset(scenes, "train")
    names = ["fish.png", "fish_png.rf.1.png", "copy.png", "fish_jpg.rf.2.jpg", "other/fish.png", "cat.png"]
    contents = ["fish", "another size", "fish", "a photo of the same stem", "another fish", "cat"]
    files = [tmp_path / name for name in names]
    (tmp_path / "other").mkdir()
    for file, content in zip(files, contents, strict=True):
        file.write_text(content)
    few = tuple(replace(e, path=file) for e, file in zip(dataset.examples, files, strict=False))
    photos = studies._photos(replace(dataset, examples=few))
    assert photos[0] == photos[1] == photos[2]
    assert len({photos[0], photos[3], photos[5]}) == 3


def test_versions_of_one_photo_come_into_a_share_together(scenes, config, trained):
    dataset, valid = open_data(scenes)
    named = tuple(
        replace(example, path=Path(f"photo{number // 2}_png.rf.{number:x}.png"))
        for number, example in enumerate(dataset.examples)
    )
    list(by_share(config, replace(dataset, examples=named), valid))
    for _, names in trained:
        photos = [name.split("_")[0] for name in names]
        assert all(photos.count(photo) == 2 for photo in photos)


def test_too_few_photos_for_a_curve_are_refused_before_a_training(scenes, config, trained):
    dataset, valid = open_data(scenes)
    with pytest.raises(UsageError, match=r"^2 photos are too few to train on shares of them: add images"):
        list(by_share(config, replace(dataset, examples=dataset.examples[:2]), valid))
    assert trained == []


def test_the_spread_is_that_of_the_trainings_that_measured():
    ap = [0.2, 0.4, float("nan")]
    said = spread([Measured(str(n), 4, replace(NOTHING, AP=of)) for n, of in enumerate(ap)])
    assert said["spread"]["all classes"]["AP"] == pytest.approx({"mean": 0.3, "standard_deviation": 0.1414}, abs=1e-4)
    assert said["spread"]["cell"]["AP50"] == {"mean": None, "standard_deviation": None}
    assert [one["AP"] for one in said["trainings"]] == [0.2, 0.4, None]


def test_a_part_without_objects_is_refused(scenes, config, trained):
    dataset = open_dataset(scenes, "train")
    empty = tuple(
        replace(e, boxes_xyxy=e.boxes_xyxy[:0], labels=e.labels[:0], crowd=e.crowd[:0], areas=e.areas[:0])
        for e in dataset.examples[1:]
    )
    with pytest.raises(DataError, match="has no object to learn from: they are too few"):
        next(out_of_fold(config, replace(dataset, examples=(dataset.examples[0], *empty)), 2))
    assert trained == []  # not even of the parts that have objects


def test_folds_and_seeds_are_evaluated_on_images_that_were_not_trained_on(scenes, config):
    dataset, valid = open_data(scenes)
    folds = list(by_fold(config, join(dataset, valid), 2))
    assert [one.images for one in folds] == [10, 10]
    seeds = list(by_seed(config, dataset, valid, 2))
    assert [one.name for one in seeds] == ["seed 0", "seed 1"]
    assert all(0 <= one.metrics.AP <= 1 for one in (*folds, *seeds))


def test_seeds_differ_and_shares_grow_by_images_that_stay(scenes, config, trained):
    dataset, valid = open_data(scenes)
    list(by_seed(config, dataset, valid, 3))
    assert [seed for seed, _ in trained] == [0, 1, 2]
    trained.clear()
    shares = [one.images for one in by_share(config, dataset, valid)]
    assert shares == [4, 8, 12, 16]
    for (_, smaller), (_, larger) in pairwise(trained):
        assert set(smaller) < set(larger)


def measured(points):
    return [Measured(str(images), images, replace(NOTHING, AP=ap)) for images, ap in points]


def test_the_outlook_goes_on_along_the_line_of_doublings():
    exact = outlook(measured([(100, 0.2), (200, 0.3), (400, 0.4)]))
    assert (exact.images, exact.more, exact.ap) == (400, 400, 0.4)
    assert (exact.low, exact.high) == pytest.approx((0.5, 0.5))
    assert exact.sentence() == "The curve still rises: 400 more images should bring 0.10 to 0.10 of AP."
    unsure = outlook(measured([(100, 0.2), (200, 0.33), (300, 0.34), (400, 0.4)]))
    assert unsure.low < 0.49 < unsure.high
    assert unsure.sentence().startswith("It is not sure that 400 more images raise AP")


@pytest.mark.parametrize(("ap", "ends"), [((0.62, 0.8, 0.905, 0.98), (1, 1)), ((0.1, 0.05, 0.02, 0.001), (0, 0))])
def test_an_outlook_stays_between_nothing_and_all(ap, ends):
    of = outlook(measured(zip((25, 50, 75, 100), ap, strict=True)))
    assert 0 <= of.low <= of.high <= 1
    assert ends in ((of.low, of.low), (of.high, of.high)) or of.low < of.high


@pytest.mark.parametrize(
    "points", [[(100, 0.2), (200, 0.3)], [(1, 0.1), (1, 0.2), (1, 0.3)], [(i, float("nan")) for i in (1, 2, 4)]]
)
def test_without_enough_to_go_by_there_is_no_outlook(points):
    assert outlook(measured(points)) is None
