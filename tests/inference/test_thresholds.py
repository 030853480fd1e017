import numpy as np
import pytest
import torch

from setpiece import Detector
from setpiece.data.sources import open_dataset
from setpiece.errors import UsageError
from setpiece.inference.predictor import Predictor
from setpiece.inference.thresholds import class_thresholds, parse_threshold
from setpiece.model.checkpoint import create, load, save, with_classes
from setpiece.training.config import resolve
from setpiece.training.start import start_training

from ..checks import without_checks


@pytest.fixture(scope="module")
def checkpoint():
    torch.manual_seed(0)
    return create("sprint-n", ["ace", "king"], shortest=64)


@pytest.mark.parametrize("text", ["", "high", "cat", "cat=", "cat=high", "cat=0.1,0.2"])
def test_what_is_no_threshold_is_said(text):
    with pytest.raises(UsageError, match="is not understood: write a number, auto, or CLASS=NUMBER,CLASS=NUMBER"):
        parse_threshold(text)


@pytest.mark.parametrize(
    ("text", "thresholds"),
    [
        ("nut, large=0.4, bolt=.3", {"nut, large": 0.4, "bolt": 0.3}),
        ("a=b=0.5,c=1e-1", {"a=b": 0.5, "c": 0.1}),
        (" cat = 0.5 ", {"cat": 0.5}),
        ("size=L, red=0.5", {"size=L, red": 0.5}),
    ],
)
def test_names_of_classes_may_have_commas_and_equals_signs(text, thresholds):
    assert parse_threshold(text) == thresholds


@pytest.mark.parametrize(
    ("threshold", "said"),
    [
        (1.5, r"The threshold 1\.5 is not between 0 and 1"),
        (float("nan"), "The threshold nan is not between"),
        ({"king": -1}, "The threshold -1 is not between"),
        ({"queen": 0.5}, "There is no class 'queen' to give a threshold: the classes are ace, king"),
        ("auto", "has no thresholds of its own"),
        ("high", "'high' is not understood: write a number, auto, or CLASS=NUMBER"),
    ],
)
def test_a_threshold_that_cannot_be_used_is_said(checkpoint, threshold, said):
    with pytest.raises(UsageError, match=said):
        class_thresholds(threshold, checkpoint)


@pytest.mark.parametrize("threshold", [None, {"king": None}, [0.5, 0.4]])
def test_what_is_no_number_is_said(checkpoint, threshold):
    with (
        without_checks(),
        pytest.raises(UsageError, match="is no number: give one between 0 and 1"),
    ):
        class_thresholds(threshold, checkpoint)


@pytest.mark.parametrize(("threshold", "each"), [("0.3", [0.3, 0.3]), ("king=0.4", [0.5, 0.4])])
def test_strings_are_read_as_those_of_the_command(checkpoint, threshold, each):
    assert class_thresholds(threshold, checkpoint).tolist() == each


def test_each_class_has_its_own_threshold(checkpoint):
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    (every,) = Predictor(checkpoint).predict([image], threshold=0.0)
    assert set(every.class_id) == {0, 1}
    middle = float(np.median(every.confidence[every.class_id == 1]))
    (kept,) = Predictor(checkpoint).predict([image], threshold={"ace": 0.0, "king": middle})
    assert (kept.class_id == 0).sum() == (every.class_id == 0).sum()
    assert (kept.class_id == 1).sum() == (every.confidence[every.class_id == 1] >= middle).sum()


def test_a_checkpoint_keeps_its_thresholds_and_loses_them_with_its_classes(checkpoint, tmp_path):
    from dataclasses import replace

    save(replace(checkpoint, thresholds=(0.25, 0.75)), tmp_path / "own")
    loaded = load(tmp_path / "own")
    assert class_thresholds("auto", loaded).tolist() == [0.25, 0.75]
    assert with_classes(loaded, ["ace", "queen"], None).thresholds is None


def test_training_finds_the_thresholds_of_its_checkpoints(scenes, tmp_path):
    config = resolve(scenes, "sprint-n", epochs=1, size=64, batch_size=8, evaluations=1, precision="fp32")
    start_training(config, tmp_path / "run")
    best = load(tmp_path / "run")
    assert best.thresholds is not None
    assert len(best.thresholds) == len(best.classes)
    assert all(0 < threshold < 1 for threshold in best.thresholds)
    anew = Detector.load(tmp_path / "run", precision="fp32").analyse(open_dataset(scenes, "valid"))
    by_name = {of.name: of.threshold for of in anew.curves}
    assert best.thresholds == pytest.approx([by_name[name] for name in best.classes], abs=1e-4)
    Detector.load(tmp_path / "run").predict(str(next(scenes.glob("valid/*.png"))), threshold="auto")
