import json
import sys
from types import ModuleType

import numpy as np
import pytest

from setpiece.errors import UsageError
from setpiece.evaluation import draw, pictures, sv
from setpiece.inference.found import to_record
from setpiece.inference.predictor import Predictor
from setpiece.inference.tracking import Tracks
from setpiece.inference.video import predict_video

from ..clips import write_clip
from ..colours import measuring


class ByteTrackTracker:
    """Stands for the class of that name in `trackers` 2.6: parameters that it has, and what it is said to return."""

    made: list  # every one that was

    def __init__(self, frame_rate=30.0, track_activation_threshold=0.7, high_conf_det_threshold=0.6):
        self.rate, self.thresholds = frame_rate, (track_activation_threshold, high_conf_det_threshold)
        self.times = []
        self.made.append(self)

    def update(self, detections, frame=None, timestamp=None):
        """Unmatched ones have -1; their order may differ; nothing has no names."""
        assert frame is None
        self.times.append(timestamp)
        if not len(detections):
            return sv.Detections.empty()
        followed = detections[np.arange(len(detections))[::-1]]
        followed.tracker_id = np.where(np.arange(len(detections)) + (len(self.times) > 1) > 0, 7, -1)
        return followed


@pytest.fixture
def made(monkeypatch):
    """`trackers` is installed; the trackers that are made."""
    module = ModuleType("trackers")
    module.ByteTrackTracker = ByteTrackTracker
    ByteTrackTracker.made = []
    monkeypatch.setitem(sys.modules, "trackers", module)
    return ByteTrackTracker.made


def found(*scores):
    boxes = np.tile([1.0, 2, 3, 4], (len(scores), 1))
    return to_record(boxes, np.array(scores, float), np.zeros(len(scores), int), names=("cat",), threshold=0.0)


def test_detections_keep_their_order_and_get_their_tracks(made):
    tracks = Tracks(25.0, 0.4)
    assert (made[0].rate, made[0].thresholds) == (25.0, (0.4, 0.4))
    first = tracks.follow(found(0.9, 0.5), 0.0)
    assert (first.confidence.tolist(), first.tracker_id.tolist()) == ([0.9, 0.5], [7, -1])
    assert tracks.follow(found(0.8), 0.25).tracker_id.tolist() == [7]
    assert made[0].times == [0.0, 0.25]


@pytest.mark.usefixtures("made")
def test_a_frame_without_objects_keeps_its_record():
    nothing = Tracks(25.0, 0.4).follow(found(), 0.0)
    assert nothing.tracker_id.tolist() == nothing.data["class_name"].tolist() == []


def test_without_the_package_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "trackers", None)
    with pytest.raises(UsageError, match=r"^--track needs the package trackers: pip install 'setpiece\[track\]'\.$"):
        Tracks(25.0, 0.5)


def test_tracks_are_in_the_lines_and_on_the_labels(made, tmp_path, monkeypatch):
    shown = []
    labels = pictures._labels
    monkeypatch.setattr(pictures, "_labels", lambda each: shown.append(labels(each)) or shown[-1])
    clip = write_clip(tmp_path / "clip.mp4", 3, steps=(3000, 9000))
    files = {"video": tmp_path / "out.mp4", "lines": tmp_path / "out.jsonl"}
    model = Predictor(measuring(shortest=128, longest=160))
    predict_video(model, str(clip), threshold={"red": 0.3, "green": 0.6}, track=True, **files)
    lines = [json.loads(line) for line in files["lines"].read_text().splitlines()]
    assert [line["detections"][0]["track"] for line in lines] == [None, 7, 7]
    assert made[0].times == pytest.approx([0.0, 1 / 30, 4 / 30])
    assert made[0].thresholds == (0.3, 0.3)
    assert [label.split()[:-1] for [label] in shown] == [["red"], ["red", "#7"], ["red", "#7"]]


def test_a_label_without_a_track_is_as_ever():
    picture = np.zeros((40, 60, 3), np.uint8)
    plain, followed = found(0.9), found(0.9)
    followed.tracker_id = np.array([-1])
    np.testing.assert_array_equal(draw(picture, plain), draw(picture, followed))
