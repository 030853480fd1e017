import importlib
import json
import os
import re
import resource
import sys
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from setpiece.errors import DataError, OutputError, UsageError
from setpiece.inference import video_source
from setpiece.inference.predictor import Predictor
from setpiece.inference.video import predict_video
from setpiece.inference.video_source import Video
from setpiece.inference.video_writer import STDOUT, JsonLines, VideoWriter, is_stdout

from ..clips import camera_over_http, files_over_http, moving, read_clip, write_clip
from ..colours import measuring

STEPS = (1500, 3000, 9000, 4500)  # of a variable frame rate


@pytest.fixture(scope="module")
def predictor():
    return Predictor(measuring(shortest=128, longest=160))


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """A clip of twenty frames at a variable rate, its index in front, and what else is read here."""
    folder = tmp_path_factory.mktemp("clips")
    write_clip(folder / "clip.mp4", steps=STEPS, options={"movflags": "faststart"})
    write_clip(folder / "turned.mp4", 4, turned=90)
    write_clip(folder / "odd.mov", 3, size=(361, 641), codec="png")
    write_clip(folder / "bare.h264", 6, fmt="h264")
    return folder


@pytest.fixture
def watch(predictor, tmp_path):
    """Predict a video into `out.mp4` and `out.jsonl`: what was watched, and the lines."""

    def watch(source, model=predictor, **options):
        watched = predict_video(
            model, str(source), threshold=0.5, video=tmp_path / "out.mp4", lines=tmp_path / "out.jsonl", **options
        )
        return watched, read_lines(tmp_path)

    return watch


def read_lines(folder):
    return [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]


def left_in(folder):
    return sorted(path.name for path in folder.iterdir())


class Slow:
    """A model that finds nothing, and does something at each frame."""

    classes, thresholds = ("red",), None

    def __init__(self, then):
        self.then = then

    def predict(self, pictures, **_):
        from setpiece.inference.found import to_record

        for number, _ in enumerate(pictures):
            self.then(number)
            yield to_record(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int), names=self.classes, threshold=0.0)


def test_each_frame_has_its_time_and_its_boxes(watch, clips, tmp_path):
    watched, lines = watch(clips / "clip.mp4")
    assert (watched.frames, watched.objects, watched.dropped) == (20, 20, 0)
    assert [line["frame"] for line in lines] == list(range(20))
    ticks = np.cumsum([0, *STEPS * 5])[:20]
    np.testing.assert_allclose([line["time"] for line in lines], ticks / 90000, atol=1e-6)
    for number, line in enumerate(lines):
        [found] = line["detections"]
        assert set(found) == {"box", "score", "class"}
        assert found["class"] == "red"
        np.testing.assert_allclose(found["box"], [8 + 4 * number, 30, 48 + 4 * number, 60], atol=1.5)
    assert left_in(tmp_path) == ["out.jsonl", "out.mp4"]


def test_the_video_that_is_written_has_the_times_and_the_colours(watch, clips, tmp_path):
    _, lines = watch(clips / "clip.mp4")
    drawn = read_clip(tmp_path / "out.mp4")
    np.testing.assert_allclose([seconds for seconds, _ in drawn], [line["time"] for line in lines], atol=1e-6)
    picture = drawn[5][1]
    assert picture.shape == (480, 640, 3)  # four times as large, so that a label fits
    inside = picture[30 * 4 + 40 : 60 * 4 - 20, (28 + 20) * 4 - 40 : (28 + 20) * 4 + 40].reshape(-1, 3)
    np.testing.assert_allclose(np.median(inside, 0), (255, 0, 0), atol=12)
    np.testing.assert_allclose(picture[400:, 500:].reshape(-1, 3).mean(0), (0, 0, 0), atol=6)


def test_a_turned_video_is_seen_upright(watch, clips):
    _, lines = watch(clips / "turned.mp4")  # counterclockwise: what was at the left is at the bottom
    [found] = lines[0]["detections"]
    np.testing.assert_allclose(found["box"], [30, 160 - 48, 60, 160 - 8], atol=1.5)


def test_the_matrix_of_a_phone_held_upright_turns_clockwise(watch, tmp_path):
    file = write_clip(tmp_path / "phone.mp4", 2)
    content = bytearray(file.read_bytes())
    at = content.index(b"tkhd") + 44  # a, b, u, c, d, v, x, y, w: 16.16 fixed point, and 2.30 in the last column
    numbers = (0, 1 << 16, 0, -(1 << 16), 0, 0, 120 << 16, 0, 1 << 30)
    content[at : at + 36] = b"".join(number.to_bytes(4, "big", signed=True) for number in numbers)
    file.write_bytes(content)
    _, lines = watch(file)
    np.testing.assert_allclose(lines[0]["detections"][0]["box"], [120 - 60, 8, 120 - 30, 48], atol=1.5)


def test_odd_sides_are_made_even_by_a_row_and_a_column(watch, clips, tmp_path):
    _, lines = watch(clips / "odd.mov")
    assert [picture.shape for _, picture in read_clip(tmp_path / "out.mp4")] == [(362, 642, 3)] * 3
    np.testing.assert_allclose(lines[2]["detections"][0]["box"], [16, 30, 56, 60], atol=3)


def test_frames_without_times_get_those_of_the_rate(watch, clips, tmp_path):
    _, lines = watch(clips / "bare.h264")
    rate = Video(str(clips / "bare.h264")).rate
    np.testing.assert_allclose([line["time"] for line in lines], np.arange(6) / float(rate), atol=1e-5)
    assert len(read_clip(tmp_path / "out.mp4")) == 6


def test_times_always_grow(clips):
    video = Video(str(clips / "clip.mp4"))
    times = [1000, 2000, 2000, 1500, 90000 * 9, 500, 3500, None]
    grown = []
    for pts in times:
        frame = av.VideoFrame(2, 2)
        frame.pts, frame.time_base = pts, video.time_base
        video._last = video._grown(frame)
        grown.append(video._last)
    step = video._step()
    assert grown[:4] == [1000, 2000, 2001, 2002]
    assert grown[5:] == [grown[4] + step, grown[4] + step + 3000, grown[4] + 2 * step + 3000]


def test_only_what_is_asked_for_is_written(predictor, clips, tmp_path):
    predict_video(predictor, str(clips / "clip.mp4"), threshold=0.5, lines=tmp_path / "out.jsonl")
    assert left_in(tmp_path) == ["out.jsonl"]
    (tmp_path / "out.jsonl").unlink()
    predict_video(predictor, str(clips / "clip.mp4"), threshold=0.5, video=tmp_path / "out.mkv")
    assert left_in(tmp_path) == ["out.mkv"]
    assert len(read_clip(tmp_path / "out.mkv")) == 20


def test_of_a_file_that_was_cut_off_the_beginning_is_kept(watch, clips, tmp_path):
    content = (clips / "clip.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(content[: len(content) * 3 // 4])
    with pytest.raises(DataError, match=r"cut\.mp4 is damaged \(.*\): \d+ frames, up to .* s, could be read"):
        watch(tmp_path / "cut.mp4")
    lines = read_lines(tmp_path)
    assert 5 <= len(lines) < 20
    assert len(read_clip(tmp_path / "out.mp4")) == len(lines)


def test_of_a_file_with_a_hole_the_rest_is_kept(watch, clips, tmp_path):
    content = bytearray((clips / "clip.mp4").read_bytes())
    begin = content.index(b"mdat") + 4
    middle = (begin + len(content)) // 2
    content[middle - 250 : middle + 250] = bytes(500)
    (tmp_path / "hole.mp4").write_bytes(content)
    with pytest.raises(DataError, match=r"hole\.mp4 is damaged \((one packet|\d+ packets) could not be decoded\)"):
        watch(tmp_path / "hole.mp4")
    lines = read_lines(tmp_path)
    assert 5 <= len(lines) < 20
    assert lines[-1]["time"] > 0.9
    assert len(read_clip(tmp_path / "out.mp4")) == len(lines)


@pytest.mark.parametrize("content", [b"no video" * 1000, b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"])
def test_a_file_that_is_no_video_changes_nothing(watch, tmp_path, content):
    (tmp_path / "notes.mp4").write_bytes(content)
    (tmp_path / "out.jsonl").write_text("earlier\n")
    with pytest.raises(DataError, match=r"notes\.mp4 cannot be read as a video \(.+\): is it damaged"):
        watch(tmp_path / "notes.mp4")
    assert left_in(tmp_path) == ["notes.mp4", "out.jsonl"]
    assert (tmp_path / "out.jsonl").read_text() == "earlier\n"


def test_an_empty_file_is_called_empty(tmp_path):
    (tmp_path / "a.mp4").touch()
    with pytest.raises(DataError, match=r"a\.mp4 is empty \(0 bytes\): copy or record it again"):
        Video(str(tmp_path / "a.mp4"))


def write_late(file, codec):
    """Twenty-five frames of one second, of which the first comes after five seconds."""
    with av.open(str(file), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 25)
        for number in range(25):
            frame = av.VideoFrame.from_ndarray(moving(number), format="rgb24")
            frame.pts, frame.time_base = 5 * 25 + number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


@pytest.mark.parametrize(
    ("name", "codec"), [("late.mkv", "libx264"), ("late.wmv", "wmv2"), ("late.mp4", "libx264"), ("late.ts", "libx264")]
)
def test_a_whole_video_that_begins_late_is_whole_and_a_part_of_it_is_not(tmp_path, name, codec):
    write_late(tmp_path / name, codec)
    video = Video(str(tmp_path / name))
    assert len(list(video.frames())) == 25
    assert video.damage == ""
    assert video.length == pytest.approx(1.0, abs=0.1)
    part = Video(str(tmp_path / name))
    frames = part.frames()
    next(frames)
    frames.close()
    assert "it ends after 0.0 of 1.0 s" in part.damage


def test_a_frame_that_the_decoder_made_up_in_part_is_damage(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (4, 240, 320, 3), np.uint8)
    file = tmp_path / "clip.mkv"
    with av.open(str(file), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"g": "1", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for pixels in noise:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    whole = Video(str(file))
    assert len(list(whole.frames())) == 4
    assert whole.damage == ""
    with av.open(str(file)) as container:
        packet = list(container.demux(video=0))[2]
        middle = packet.pos + packet.size // 2
    content = bytearray(file.read_bytes())
    content[middle : middle + 300] = bytes(300)
    file.write_bytes(content)
    damaged = Video(str(file))
    assert len(list(damaged.frames())) == 4
    assert damaged.damage == "one frame could not be decoded whole"


def test_sound_alone_is_no_video(watch, tmp_path):
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(DataError, match=r"sound\.mp4 has no picture"):
        watch(tmp_path / "sound.mp4")


def test_who_stops_gets_a_whole_video_of_what_was_seen(watch, clips, tmp_path):
    seen = []
    watched, lines = watch(clips / "clip.mp4", Slow(seen.append), stopped=lambda: len(seen) >= 7)
    assert watched.frames == len(lines) == len(read_clip(tmp_path / "out.mp4")) == 7


def test_a_line_is_there_before_the_next_frame_is_seen(watch, clips, tmp_path):
    counts = []

    def count(number):
        counts.append(len(read_lines(tmp_path)) if number else 0)

    watch(clips / "clip.mp4", Slow(count))
    assert counts == list(range(20))


def test_a_model_that_fails_leaves_no_video_and_the_lines_before(watch, clips, tmp_path):
    with pytest.raises(ZeroDivisionError):
        watch(clips / "clip.mp4", Slow(lambda number: 1 // (number < 4)))
    assert left_in(tmp_path) == ["out.jsonl"]
    assert [line["frame"] for line in read_lines(tmp_path)] == [0, 1, 2, 3]


def test_a_disk_that_is_full_is_named_and_leaves_no_video(watch, clips, tmp_path, monkeypatch):
    def full(_self, _opened):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(VideoWriter, "_encode", full)
    with pytest.raises(OutputError, match=r"out\.mp4 could not be written \(No space left on device\): make room"):
        watch(clips / "clip.mp4")
    assert left_in(tmp_path) == ["out.jsonl"]


def test_of_a_camera_the_newest_frame_is_seen(watch, clips, monkeypatch, tmp_path):
    monkeypatch.setattr(video_source, "is_live", lambda _: True)
    watched, lines = watch(clips / "clip.mp4", Slow(lambda _: time.sleep(0.2)))
    assert watched.dropped > 0
    assert watched.frames + watched.dropped == 20
    assert lines[-1]["frame"] == 19
    assert [seconds for seconds, _ in read_clip(tmp_path / "out.mp4")] == pytest.approx([x["time"] for x in lines])


def test_a_camera_that_sends_pictures_over_http_is_live_and_its_frames_have_the_times_at_which_they_come():
    with camera_over_http(count=6, every=0.3) as address:
        video = Video(address)
        frames = list(video.frames())
    assert video.live
    assert len(frames) == 6
    assert frames[-1].time > 0.25  # a fifth of a second where the pictures of a camera counted as those of a file


def test_a_video_that_is_read_over_http_is_not_live(clips):
    with files_over_http(clips) as address:
        video = Video(f"{address}/clip.mp4")
        assert not video.live
        assert len(list(video.frames())) == 20


def test_what_cannot_be_reached_is_said_in_one_sentence_without_the_password():
    with pytest.raises(DataError, match=r"^camera 97 cannot be opened \(No such file or directory\): is it connected"):
        Video("97")
    with pytest.raises(DataError) as said:
        Video("rtsp://me:secret@127.0.0.1:9/door")
    assert re.fullmatch(r"rtsp://127\.0\.0\.1:9/door cannot be read \(.+\): check the address[^.]*\.", str(said.value))


def test_without_pyav_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.delitem(sys.modules, "setpiece.inference.video_source")
    with pytest.raises(UsageError, match=r"^Videos and cameras need PyAV: pip install 'setpiece\[video\]'\.$"):
        importlib.import_module("setpiece.inference.video_source")


def test_a_picture_of_another_size_is_fitted_into_the_video(predictor, clips, tmp_path):
    video = Video(str(clips / "clip.mp4"))
    frames = list(video.frames())[:3]
    frames[1] = replace(frames[1], pixels=moving(1, (700, 300)))
    writer = VideoWriter(tmp_path / "out.mp4", video.time_base, video.rate, 4)
    for frame, found in zip(frames, predictor.predict([frame.pixels for frame in frames]), strict=True):
        writer.add(frame, found)
    writer.finish()
    assert [picture.shape for _, picture in read_clip(tmp_path / "out.mp4")] == [(480, 640, 3)] * 3


def test_lines_stay_whole_where_no_more_fit(tmp_path):
    lines = JsonLines(tmp_path / "out.jsonl")
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (25, limit[1]))
    try:
        lines.add({"frame": 0})
        with pytest.raises(OutputError, match=r"out\.jsonl could not be written \(.+\): make room"):
            lines.add({"frame": 1, "detections": []})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    lines.close()
    assert read_lines(tmp_path) == [{"frame": 0}]


def test_lines_go_to_the_standard_output_by_any_of_its_names(tmp_path, capfd):
    assert is_stdout(STDOUT)
    assert is_stdout(Path("/dev/stdout"))
    assert not is_stdout(tmp_path / "out.jsonl")
    print("before", flush=True)
    lines = JsonLines(STDOUT)
    lines.add({"frame": 0})
    lines.close()
    print("after", flush=True)
    assert capfd.readouterr().out == 'before\n{"frame": 0}\nafter\n'
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("drawn", [False, True])
def test_a_reader_that_has_enough_ends_the_lines_and_no_video_that_is_wanted(clips, tmp_path, drawn):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    video = tmp_path / "out.mp4" if drawn else None
    seen = []

    def close(number):
        seen.append(number)
        if len(seen) == 3:
            os.close(reader)

    def watch():
        return predict_video(Slow(close), str(clips / "clip.mp4"), threshold=0.5, video=video, lines=tmp_path / "pipe")

    if drawn:
        assert watch().frames == len(read_clip(video)) == 20
    else:
        with pytest.raises(BrokenPipeError):
            watch()
        assert len(seen) == 3
    assert left_in(tmp_path) == (["out.mp4", "pipe"] if drawn else ["pipe"])
