"""What the trainer does when it is asked to: the second look, the long training, and the export of what that gave."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from setpiece.atomic import write_whole
from setpiece.data.dataset import Dataset
from setpiece.data.images import read_image
from setpiece.errors import DataError, SetpieceError, StoppedError
from setpiece.export.export import FORMATS, Format, Pictures, describe, export
from setpiece.inference.label_errors import Suspect, suspects
from setpiece.inference.predictor import Predictor
from setpiece.labelling.coco_file import LABELS, read_saved
from setpiece.labelling.examples import labelled_parts
from setpiece.labelling.final import FINAL, read_final
from setpiece.labelling.labels import DECIMALS, Category
from setpiece.labelling.rounds import LEAST_HELD_OUT, Recipe
from setpiece.labelling.telling import Telling
from setpiece.model.checkpoint import Checkpoint, load
from setpiece.model.formats.files import CONFIG
from setpiece.runs.layout import RunFolder, read_metrics
from setpiece.training.start import starting_checkpoint
from setpiece.training.studies import out_of_fold
from setpiece.training.train import train

__all__ = ["Longer"]

HALVES = 2  # of the images, for the second look: each is judged by a detector that learned from the other
HALF_ROUNDS = 5.0  # how much longer than a round a half is trained
VERIFIED = 4  # photos on which an export is verified
FOLDERS = ("final", "final-2")  # of long trainings: a new one learns beside the one whose detector is there
AGAIN = 0.5  # seconds after which a training that did not stop is told so again: it may not have begun to listen


class Longer:
    """The long works.

    Args:
        folder: `training` in the folder of the labels.
        photos: the folder of photos.
        recipe: how is trained.
        start_for: the weights that the long training starts from, for some classes; the preset's own where None.
        telling: to the server.
    """

    def __init__(
        self,
        folder: Path,
        photos: Path,
        recipe: Recipe,
        start_for: Callable[[Sequence[Category]], Checkpoint | None],
        telling: Telling,
    ) -> None:
        self._folder, self._photos, self._recipe, self._telling = folder, photos, recipe, telling
        self._start_for = start_for
        self._state, self._labels = folder / FINAL, folder / "final.coco.json"
        self._stopped: set[str] = set()  # ids of long trainings
        self._running: str | None = None

    def second_look(self, dataset: Dataset, classes: Sequence[Category]) -> None:
        """Judge every label by a detector that has not seen its image, and tell what is doubtful."""
        if len(dataset.examples) < HALVES:
            said = "Label two photos or more first: each is judged by a detector that learned from others."
            self._telling.tell("second look", state="failed", done=0.0, said=said, finished=True)
            return
        seconds = HALF_ROUNDS * self._recipe.round_seconds(len(dataset.examples))
        said = f"Two detectors learn from one half of {len(dataset.examples)} images each, and look at the other."
        self._telling.state("second-look", said)
        found: list[Suspect] = []

        def say(done: float) -> None:
            self._telling.tell("second look", state="running", done=done, said=said)

        try:
            with self._telling.by_the_clock(HALVES * seconds, say):
                config = self._recipe.config(dataset, seconds)
                for checkpoint, unseen, _ in out_of_fold(config, dataset, HALVES):
                    found += suspects(Predictor(checkpoint), unseen)
        except SetpieceError as error:
            self._telling.tell("second look", state="failed", done=0.0, said=str(error), finished=True)
            return
        ids = {category.name: category.id for category in classes}
        rows = [_row(each, ids) for each in sorted(found, key=lambda each: -each.doubt)]
        said = f"{len(rows)} labels are doubtful." if len(rows) != 1 else "1 label is doubtful."
        self._telling.tell("second look", state="ready", done=1.0, said=said, rows=rows, finished=True)

    def train(self, command: Mapping[str, Any]) -> None:
        """Train for long on the images that are labelled by now and not held out, and measure on those that are.

        Args:
            command: its "minutes", and an "id": a training of this id that is there goes on, or is done. One of an id
                that is stopped does not begin. The detector of the one before stays until this one has a better claim.
        """
        before = self._about()
        if before.get("id") != command["id"]:
            former = before if before.get("state") == "done" else before.get("former")
            taken = None if former is None else _folder(former)
            folder = next(path for path in (self._folder / name for name in FOLDERS) if path != taken)
            about = {"id": command["id"], "minutes": command.get("minutes"), "ap": None, "folder": str(folder)}
            about["former"] = former
            if command["id"] in self._stopped:
                self._give_up(about, "stopped", "The long training was stopped before it began.")
            else:
                shutil.rmtree(folder, ignore_errors=True)
                write_whole(self._labels, (self._folder.parent / LABELS).read_bytes())
                self._tell(about, "training", 0.0, "The long training begins.")
        self.resume()

    def resume(self) -> None:
        """Go on with a long training that was begun, if there is one, and tell how it ended."""
        about = self._about()
        if about.get("state") == "training":
            try:
                self._train(about)
            except StoppedError:
                if about["id"] not in self._stopped:  # a signal to this process, from whose state the next one goes on
                    raise
                self._keep_best(about)
            except SetpieceError as error:
                self._give_up(about, "failed", str(error))
            about = self._about()
        if about:
            self._telling.tell("final", finished=True, **about)

    def _train(self, about: dict[str, Any]) -> None:
        saved = read_saved(self._labels)
        if saved is None:
            raise DataError(f"{self._labels} is missing: start the long training again.")
        dataset, valid = labelled_parts(saved.labels, self._photos)
        if all(example.crowd.all() for example in dataset.examples):
            raise DataError("There is no object to learn from: label some images that are not held out.")
        seconds, start = 60 * about["minutes"], self._start_for(saved.labels.classes)
        config = self._recipe.config(dataset, seconds, start)
        start = start or starting_checkpoint(config, dataset.classes)
        measures = sum(len(example.labels) > 0 for example in valid.examples) >= LEAST_HELD_OUT
        minutes = "1 minute" if about["minutes"] == 1 else f"{about['minutes']:g} minutes"
        said = f"Training on {len(dataset.examples)} images for {minutes}."
        self._telling.state("long", said)

        def tell(done: float) -> None:
            stops = about["id"] in self._stopped
            self._tell(about, "training", done, "The long training is stopping." if stops else said)

        telling = self._telling.by_the_clock(seconds, tell)
        with telling, self._stoppable(about["id"]):
            result = train(start, dataset, valid if measures else None, config, _folder(about), resume=True)
        ap = None if result.metrics is None else _rounded(result.metrics.AP)
        measured = f" AP {ap:.3f} on {len(valid.examples)} held-out images." if ap is not None else ""
        self._done(about, ap, f"The detector is in {_folder(about)}.{measured}")

    def _keep_best(self, about: dict[str, Any]) -> None:
        """What is left of a long training that was stopped: its best weights so far.

        Where they were not measured, those of a long training before it stay, or else the latest.
        """
        run = RunFolder(_folder(about))
        metrics = read_metrics(run.best) if run.best.is_dir() else None
        if metrics is not None:
            said = f"The long training was stopped. Its best detector so far is in {run.path}."
            self._done(about, _rounded(metrics["AP"]), said)
        elif about.get("former") is None and (run.last / CONFIG).is_file():
            said = f"The long training was stopped. Its detector so far is in {run.path}; it was not measured."
            self._done(about, None, said)
        else:
            self._give_up(about, "stopped", "The long training was stopped before it was measured.")

    def _done(self, about: dict[str, Any], ap: float | None, said: str) -> None:
        former = about.pop("former", None)
        self._tell(about | {"ap": ap}, "done", 1.0, said)
        if former is not None:
            shutil.rmtree(_folder(former), ignore_errors=True)

    def _give_up(self, about: dict[str, Any], state: str, said: str) -> None:
        """Nothing comes of a long training: the detector of the one before it stays."""
        former = about.pop("former", None)
        if former is None:
            self._tell(about, state, 0.0, said)
        else:
            self._tell(former | {"id": about["id"]}, "done", 1.0, f"{said} The detector before it stays.")
        shutil.rmtree(_folder(about), ignore_errors=True)

    def stop(self, id: str) -> None:
        """Stop the long training of an id, or do not begin it. From another thread than that which trains."""
        self._stopped.add(id)

        def interrupt() -> None:
            while self._running == id:
                os.kill(os.getpid(), signal.SIGINT)  # as Ctrl-C: training ends between two steps
                time.sleep(AGAIN)

        threading.Thread(target=interrupt, daemon=True).start()

    @contextmanager
    def _stoppable(self, id: str) -> Iterator[None]:
        self._running = id
        try:
            if id in self._stopped:
                raise StoppedError("It was stopped before it began.", signal.SIGINT)
            yield
        finally:
            self._running = None

    def _tell(self, about: Mapping[str, Any], state: str, done: float, said: str) -> None:
        now = {**about, "state": state, "done": done, "said": said}
        write_whole(self._state, json.dumps(now))
        self._telling.tell("final", **now)

    def _about(self) -> dict[str, Any]:
        return read_final(self._folder) or {}

    def export(self, format: Format) -> None:
        """Write the detector of the long training for other programs, and tell where."""
        self._telling.state("long", f"Exporting to {format}.")
        try:
            run = RunFolder(_folder(self._about()))
            checkpoint = load(run.path)
            metrics = read_metrics(run.best) if run.best.is_dir() else None
            output = self._folder / f"detector{FORMATS[format]}"
            said = export(checkpoint, describe(checkpoint, metrics=metrics), format, output, pictures=self._pictures())
        except SetpieceError as error:
            self._telling.tell("export", file=None, said=None, error=str(error))
            return
        self._telling.tell("export", file=str(output), said=said, error=None)

    def _pictures(self) -> Pictures:
        """Labelled photos, to verify an export on."""
        saved = read_saved(self._labels)
        if saved is None:
            return []
        dataset, valid = labelled_parts(saved.labels, self._photos)
        examples = [each for each in (*valid.examples, *dataset.examples) if len(each.labels)][:VERIFIED]
        return [(example.path.name, read_image(example.path)) for example in examples]


def _folder(about: Mapping[str, Any]) -> Path:
    """Of the run of a long training."""
    return Path(about["folder"])


def _rounded(ap: float | None) -> float | None:
    return None if ap is None or math.isnan(ap) else round(ap, 4)


def _row(suspect: Suspect, ids: Mapping[str, int]) -> dict[str, Any]:
    """A row of the second look, see `second_look.SecondLook`."""
    opinion = suspect.opinion
    suggestion = None
    if opinion is not None:
        box = [round(value, DECIMALS) for value in opinion.box_xyxy]
        suggestion = {"box": box, "category": ids[opinion.name], "score": round(opinion.confidence, 4)}
    box_xyxy = suspect.place.box_xyxy
    assert box_xyxy is not None
    return {
        "kind": suspect.check.removeprefix("labels."),
        "image": suspect.image_id,
        "box": [round(value, DECIMALS) for value in box_xyxy],
        "category": None if suspect.label is None else ids[suspect.label],
        "suggestion": suggestion,
        "cost": {name: round(value, 4) for name, value in suspect.cost.items()} or None,
        "text": suspect.place.text,
    }
