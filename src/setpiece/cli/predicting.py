"""`setpiece predict`: what a model detects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from setpiece.cli.app import Model, PredictIn, app, console, load_detector, require_writable, saying_on
from setpiece.errors import DataError, StoppedError, UsageError

if TYPE_CHECKING:
    from setpiece.inference.detecting import Detecting
    from setpiece.inference.thresholds import Threshold
    from setpiece.inference.tiles import Tiled

__all__ = ["predict"]

FOLDER = Path("predictions")


@app.command()
def predict(
    model: Model,
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE", help="Images, folders of images, videos, globs; 0 for a camera; rtsp:// for a stream."
        ),
    ],
    threshold: Annotated[
        str,
        typer.Option(
            help="Lowest confidence to report, 0 to 1. Higher: fewer false boxes, more missed objects. auto takes what "
            "gave each class its best F1 on the validation images; cat=0.4,dog=0.3 gives classes their own."
        ),
    ] = "0.5",
    output: Annotated[
        Path | None,
        typer.Option(
            help="Folder for pictures and predictions.json, and for videos with a .jsonl file each; or the .mp4 file "
            "to write of one video, or the .jpg or .png file of one image.",
            show_default=str(FOLDER),
        ),
    ] = None,
    json: Annotated[
        Path | None,
        typer.Option(
            help="The file to write for one video: a line of JSON per frame, as it comes; - for the standard output. "
            "Without --output no video is drawn."
        ),
    ] = None,
    tiles: Annotated[
        bool,
        typer.Option("--tiles", help="Look at images in overlapping tiles: finds small objects, takes longer."),
    ] = False,
    tile_size: Annotated[
        int | None, typer.Option(min=32, help="Side of a tile in pixels.", show_default="the model's input size")
    ] = None,
    track: Annotated[
        bool, typer.Option("--track", help="Number the objects of a video, and follow them from frame to frame.")
    ] = False,
    precision: PredictIn = "auto",
) -> None:
    """Detect objects in images, videos and cameras: draws them, and writes COCO results or lines of JSON."""
    from setpiece.inference.sources import find_sources, left_out
    from setpiece.inference.thresholds import parse_threshold

    images, videos = find_sources(sources)
    for sentence in left_out(sources):
        console.print(sentence, soft_wrap=True)
    if tile_size is not None and not tiles:
        raise UsageError("--tile-size needs --tiles.")
    if track and not videos:
        raise UsageError("--track follows objects through a video: name one.")
    if videos:
        _require_installed(track)
    picture = _picture_of(images, videos, output)
    written = _files_of(images, videos, output, json)
    limits = parse_threshold(threshold)
    with saying_on(stderr=_uses_stdout(written)):
        whole = load_detector(model, precision).detecting()
        detecting = _tiled(whole, tile_size) if tiles else whole
        unreadable = _predict_images(detecting, images, picture, output or FOLDER, limits)
        unreadable += _predict_videos(detecting, written, limits, track)
    if unreadable:
        raise DataError(" ".join(unreadable))


def _picture_of(images: Sequence[Path], videos: Sequence[str], output: Path | None) -> Path | None:
    """The picture to write of one image; None where a folder is written, or no image was named.

    Raises:
        UsageError: the output is a picture's name, and cannot be that of one image.
    """
    from setpiece.data.formats.files import is_image
    from setpiece.inference.files import PICTURES

    if output is None or not is_image(output) or output.is_dir():
        return None
    if videos or len(images) != 1:
        raise UsageError(f"--output {output} is for one image: name a folder.")
    _require_kind(output, PICTURES)
    require_writable(output, "--output")
    if _same(output, images[0]):
        raise UsageError(f"{output} is the image itself, and would be replaced: choose another --output.")
    return output


def _same(one: Path, other: Path) -> bool:
    """Whether two paths are of one file, also through links."""
    try:
        return one.samefile(other)
    except OSError:  # one is not there yet
        return one.resolve() == other.resolve()


def _files_of(
    images: Sequence[Path], videos: Sequence[str], output: Path | None, json: Path | None
) -> dict[str, tuple[Path | None, Path | None]]:
    """The video and the lines to write for each video; None for what is not wanted.

    Raises:
        UsageError: the options do not fit what was named.
    """
    from setpiece.inference.sources import VIDEO_SUFFIXES

    one = len(videos) == 1 and not images
    if json is not None:
        if not one:
            raise UsageError("--json is for one video: for several name a folder with --output, and images have one.")
        json = _lines_of(json)
    is_video = output is not None and output.suffix.lower() in VIDEO_SUFFIXES and not output.is_dir()
    if output is not None and is_video:
        if not one:
            raise UsageError(f"--output {output} is for one video: name a folder.")
        _require_kind(output, _containers())
        require_writable(output, "--output")
        files: dict[str, tuple[Path | None, Path | None]] = {videos[0]: (output, json)}
    elif json is not None and output is None:
        files = {videos[0]: (None, json)}
    else:
        folder = output or FOLDER
        if videos and folder.exists() and not folder.is_dir():
            raise UsageError(f"{folder} is a file: choose another --output.")
        names = [_stem(video) for video in videos]
        if len(set(names)) < len(names):  # a.mp4 of two folders
            names = [f"{index}-{name}" for index, name in enumerate(names)]
        drawn = [(folder / f"{name}.mp4", json or folder / f"{name}.jsonl") for name in names]
        files = dict(zip(videos, drawn, strict=True))
    for video, lines in files.values():
        if video is not None and lines is not None and _same(video, lines):
            raise UsageError(f"The video {video} and the lines of --json {lines} are one file: name two.")
    for file in (file for pair in files.values() for file in pair if file is not None):
        if any(_same(file, Path(video)) for video in videos):
            raise UsageError(f"{file} is the video itself, and would be replaced: choose another name.")
    return files


def _lines_of(json: Path) -> Path:
    """Where lines are written, `STDOUT` for any name of the standard output."""
    from setpiece.inference.video_writer import STDOUT, is_stdout

    if is_stdout(json):
        return STDOUT
    require_writable(json, "--json")
    return json


def _uses_stdout(files: dict[str, tuple[Path | None, Path | None]]) -> bool:
    if not files:  # of images alone PyAV is not needed
        return False
    from setpiece.inference.video_writer import STDOUT

    return any(lines == STDOUT for _, lines in files.values())


def _containers() -> Iterable[str]:
    from setpiece.inference.video_writer import CONTAINERS

    return CONTAINERS


def _require_kind(output: Path, suffixes: Iterable[str]) -> None:
    if output.suffix.lower() not in suffixes:
        raise UsageError(f"--output {output} is of a kind that is not written: name one of {', '.join(suffixes)}.")


def _stem(video: str) -> str:
    """What files about a video are called."""
    import re

    from setpiece.inference.sources import camera

    number = camera(video)
    if number is not None:
        return f"camera-{number}"
    if "://" in video:  # without user and password
        return re.sub(r"\W+", "-", re.sub(r"^\w+://([^/]*@)?|\?.*$", "", video)).strip("-") or "stream"
    return Path(video).stem


def _require_installed(track: bool) -> None:
    """Raise `UsageError` where what videos need is missing, before the model is loaded."""
    import setpiece.inference.video  # noqa: F401
    from setpiece.inference.tracking import require_trackers

    if track:
        require_trackers()


def _tiled(detecting: Detecting, tile_size: int | None) -> Tiled:
    from setpiece.inference.tiles import Tiled

    return Tiled(detecting, tile_size or detecting.size.shortest, console.print)


def _predict_images(
    detecting: Detecting | Tiled, images: Sequence[Path], picture: Path | None, folder: Path, limits: Threshold
) -> list[str]:
    """What could not be read, in a sentence at most."""
    if not images:
        return []
    from setpiece.inference.files import predict_file, predict_files

    say = partial(console.print, soft_wrap=True)
    try:
        if picture is not None:
            predict_file(detecting, images[0], picture, limits, say)
        else:
            predict_files(detecting, images, folder, limits, say)
    except DataError as error:
        return [str(error)]
    return []


def _predict_videos(
    detecting: Detecting | Tiled,
    files: dict[str, tuple[Path | None, Path | None]],
    threshold: Threshold,
    track: bool,
) -> list[str]:
    """What could not be read, in a sentence at most."""
    if not files:
        return []
    from setpiece.cli.video_progress import VideoProgress
    from setpiece.inference.files import unreadable
    from setpiece.inference.video import predict_video
    from setpiece.inference.video_source import shown_name
    from setpiece.inference.video_writer import STDOUT
    from setpiece.training.stopping import StopSignals

    failed: list[tuple[object, DataError]] = []
    for source, (video, lines) in files.items():
        written = (file for file in (video, lines) if file is not None)
        see = " and ".join("the standard output" if file == STDOUT else str(file) for file in written)
        with StopSignals() as signals, VideoProgress(console, shown_name(source)) as progress:
            try:
                watched = predict_video(
                    detecting,
                    source,
                    threshold=threshold,
                    video=video,
                    lines=lines,
                    track=track,
                    show=progress.show,
                    stopped=lambda signals=signals: signals.received is not None,  # type: ignore[misc]
                )
            except DataError as error:
                failed.append((shown_name(source), error))
                continue
        if signals.received is not None:
            seen = f"its first {watched.frames} frames ({watched.until:.1f} s) are in {see}"
            said = f"Stopped {shown_name(source)}: {seen if watched.frames else 'no frame was seen yet'}."
            raise StoppedError(said, signals.received)
        dropped = f"; {watched.dropped} came while the model was busy" if watched.dropped else ""
        console.print(
            f"{shown_name(source)}: {watched.objects} objects in {watched.frames} frames "
            f"({watched.rate:.1f} frames/s{dropped}): see {see}",
            soft_wrap=True,
        )
    return [unreadable(failed, len(files), "videos")] if failed else []
