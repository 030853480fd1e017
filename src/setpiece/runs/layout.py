"""The folder of a run: which files it holds, and who may write into it.

```
run.json         the settings of the run, what its data held, and what it was made with
metrics.jsonl    one line per epoch: losses, learning rate, images per second, and COCO metrics where evaluated
tensorboard/     the same as events
tracker.json     which run of another tracker belongs to this one, where there is one
ended            how the run ended, in words; not there while it trains, or after a kill
evaluation.html  the page of the best checkpoint on the validation images, with its pictures and numbers beside it
capture/         the step at which training diverged, if it did: see `setpiece.runs.capture`
pictures/        validation images: ground truth beside the predictions of the latest evaluation
recording/       how the matching moved, for the report: see `setpiece.runs.recording_files`
best/            model.safetensors, config.json, metrics.json: the EMA weights with the highest AP
last/            the EMA weights of the latest evaluation (before the first: of the state), and training.pt: the state
                 that --resume needs
.lock            held by the process that writes here
```
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from setpiece.atomic import write_whole
from setpiece.errors import OutputError, UsageError, WeightsError
from setpiece.runs.contents import Contents, what_changed
from setpiece.runs.provenance import provenance, what_differs

__all__ = ["RunFolder", "read_metrics", "write_metrics"]

CONTENTS, MADE_WITH = "contents", "made_with"  # of the data, and `provenance`: in run.json beside the settings
LOCK = ".lock"
# Settings that a resumed run may change: where the data lies, and what leaves the result as it is or nearly so.
FREE = {"data", "workers", "accumulate", "cuda_graphs", "patience", "tracker"}
RENAMED = {"near_weight": "one_to_many_weight"}  # settings in run.json by their former names


class RunFolder:
    """The paths of a run folder, and its small files. They are replaced as a whole; `metrics.jsonl` is appended to.

    Attributes:
        path: the folder itself.
        best: folder of the checkpoint with the highest AP.
        last: folder of the latest checkpoint.
        state: file that a killed run is resumed from, see `setpiece.runs.state`.
        metrics: file with a line per epoch.
        settings: file with the settings.
        pictures: folder of pictures.
        tensorboard: folder of TensorBoard's events.
        recording: folder of the recording.
        evaluation: file of the page of its evaluation.
        is_new: whether this object began the run, and did not find it there.

    Example:
        >>> RunFolder(Path("runs/cells")).metrics.as_posix()
        'runs/cells/metrics.jsonl'
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.best, self.last = path / "best", path / "last"
        self.state = self.last / "training.pt"
        self.metrics, self.settings = path / "metrics.jsonl", path / "run.json"
        self._trackers, self._ended = path / "tracker.json", path / "ended"
        self.evaluation = path / "evaluation.html"
        self.pictures, self.tensorboard, self.recording = path / "pictures", path / "tensorboard", path / "recording"
        self.is_new = self._made_folder = False

    @classmethod
    def around(cls, source: Path) -> RunFolder | None:
        """The run that a source belongs to: the run folder itself, one of its checkpoints or a checkpoint's file.

        Returns:
            None where there is no such run.
        """
        here = source.parent if source.is_file() else source
        runs = (cls(folder) for folder in (here, here.parent))
        return next((run for run in runs if run.settings.is_file()), None)

    def refuse_other_use(self) -> None:
        """Raise UsageError where the folder cannot be made, or is there and is no run."""
        above = next(folder for folder in self.path.resolve().parents if folder.exists())
        if not above.is_dir():
            raise UsageError(f"{self.path} cannot be made, since {above} is a file: choose another --output.")
        is_run = self.settings.is_file()
        if self.path.exists() and not is_run and (not self.path.is_dir() or self._holds_something()):
            raise UsageError(f"{self.path} exists and is not a run: choose another --output.")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from writing here, until this one ends or is killed; the folder is made.

        Raises:
            UsageError: another process writes here.
            OutputError: the folder cannot be written to.
        """
        lock = FileLock(self.path / LOCK, timeout=0)
        try:
            self._made_folder = not self.path.exists()
            self.path.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout as error:
            raise UsageError(f"Another process is training into {self.path}: choose another --output.") from error
        except OSError as error:
            raise OutputError(f"{self.path} could not be locked ({error.strerror or error}).") from error
        try:
            yield
        finally:
            lock.release()

    def create(self, settings: dict[str, Any], contents: Contents, *, resume: bool) -> str:
        """Make the folder of a new run, or check that the run to resume has the same settings and data.

        The data may have moved: what counts is what it holds.

        Args:
            settings: ready for JSON.
            contents: of the data, by split: numbers of "images" and "objects", "classes" and "sha256".
            resume: continue the run in this folder, if there is one.

        Returns:
            In which versions and parts of the machine a resumed run differs from its beginning; empty where in none.

        Raises:
            UsageError: there is a run already, or the run to resume was started with other settings or data.
            WeightsError: the settings of the run to resume cannot be read.
            OutputError: the folder cannot be written to.
        """
        self.refuse_other_use()
        if not self.settings.is_file():
            _write_json(self.settings, settings | {CONTENTS: contents, MADE_WITH: provenance()})
            self.is_new = True
        elif not resume:
            raise UsageError(f"{self.path} holds a run already: continue it with --resume or choose another --output.")
        else:
            if self._has_weights() and not self.begun():
                raise UsageError(
                    f"{self.path} has no state to go on from ({self.state} is missing): train on from its weights in a "
                    f"new run, with --model {self.path} and another --output."
                )
            then = self.read_settings()
            if "model" not in then:
                raise WeightsError(f"{self.settings} does not say what was trained: choose another --output.")
            # A run of an older version has fewer settings, and not the contents.
            if difference := what_changed(then.get(CONTENTS, contents), contents):
                raise UsageError(
                    f"{settings['data']} has changed since {self.path} was started: {difference}. Train on from that "
                    f"run in a new one, with --model {self.path} and another --output."
                )
            names = [name for name in settings if name in then and name not in FREE]
            if changed := next((name for name in names if settings[name] != then[name]), None):
                longer = changed in ("epochs", "minutes")
                hint = (
                    f"its learning rate follows its length, so train on from it in a new run, with --model {self.path} "
                    "and another --output"
                    if longer
                    else "resume it with the settings it was started with"
                )
                raise UsageError(
                    f"{self.path} was started with {changed} = {then[changed]}, not {settings[changed]}: {hint}."
                )
            return what_differs(then.get(MADE_WITH, {}), provenance())
        return ""

    def _holds_something(self) -> bool:
        # A run killed in its first moment leaves the first of these, and one that failed may leave the second.
        ours = {f".{self.settings.name}.unfinished", LOCK}
        return any(file.name not in ours for file in self.path.iterdir())

    def read_settings(self) -> dict[str, Any]:
        """What `create` wrote: settings under their present names, contents of the data, and what it was made with.

        Raises:
            WeightsError: the file cannot be read.
        """
        try:
            found: dict[str, Any] = dict(json.loads(self.settings.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise WeightsError(f"{self.settings} is damaged: choose another --output.") from error
        return {RENAMED.get(name, name): value for name, value in found.items()}

    def data(self) -> Path:
        """The folder of the data set, as it was named when the run was started.

        A relative one is looked for here, and then from each folder around the run, the nearest first: training was
        started in one of these as a rule. Where it is nowhere, it is as it was named.

        Raises:
            WeightsError: the settings cannot be read.
        """
        named = Path(self.read_settings()["data"])
        run = self.path.resolve()
        places = (folder / named for folder in (Path(), *run.parents))
        return next((place for place in places if place.is_dir() and place.resolve() != run), named)

    def begun(self) -> bool:
        """Whether there is a state to resume from."""
        return self.state.is_file()

    def begin(self) -> None:
        """Forget how the run ended: it goes on."""
        self._ended.unlink(missing_ok=True)

    def end(self, how: str) -> None:
        """Say how the run ended."""
        write_whole(self._ended, how + "\n")

    def ended(self) -> str | None:
        """What `end` was told; None of a run that trains, or was killed."""
        return self._ended.read_text(encoding="utf-8").strip() if self._ended.is_file() else None

    def capture(self, process: int) -> Path:
        """The folder of the step at which training diverged, as one of several processes keeps it."""
        return self.path / (f"capture-{process}" if process else "capture")

    def _has_weights(self) -> bool:
        """Whether there is a checkpoint. A run writes its first state before the first of these."""
        return any(any(folder.glob("*.safetensors")) for folder in (self.best, self.last))

    def forget(self) -> None:
        """Remove what a new run wrote that failed before its first state, and has no capture.

        Of a run that was there before, and of what is not a run's, nothing is removed.
        """
        if not self.is_new or self.begun() or self._has_weights() or any(self.path.glob("capture*")):
            return
        for folder in (self.tensorboard, self.recording):
            shutil.rmtree(folder, ignore_errors=True)
        for file in (self.settings, self.metrics, self._trackers, self._ended, self.path / LOCK):
            file.unlink(missing_ok=True)
        with suppress(OSError):  # not there, or it holds something else
            self.last.rmdir()
        if self._made_folder:
            with suppress(OSError):
                self.path.rmdir()

    def tracked(self, tracker: str) -> tuple[str, int] | None:
        """The run of a tracker that belongs to this one: its id, and the latest step that it was told of.

        Raises:
            WeightsError: the file that says it cannot be read.
        """
        known = self._read_trackers().get(tracker)
        return None if known is None else (known["run"], known["step"])

    def track(self, tracker: str, run: str, step: int) -> None:
        """Keep the id of the run of a tracker, and the latest step that it was told of."""
        _write_json(self._trackers, self._read_trackers() | {tracker: {"run": run, "step": step}})

    def _read_trackers(self) -> dict[str, Any]:
        try:
            return dict(json.loads(self._trackers.read_text(encoding="utf-8"))) if self._trackers.is_file() else {}
        except (OSError, ValueError) as error:
            raise WeightsError(f"{self._trackers} is damaged: delete it.") from error

    def append_metrics(self, row: dict[str, Any]) -> None:
        """Add a line to `metrics.jsonl`.

        Raises:
            OutputError: it cannot be written.
        """
        try:
            with self.metrics.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        except OSError as error:
            raise OutputError(f"{self.metrics} could not be written ({error.strerror or error}).") from error

    def metrics_rows(self) -> list[dict[str, Any]]:
        """The lines of `metrics.jsonl`, none where there is no file; an empty row for a damaged one, as by a kill."""
        if not self.metrics.is_file():
            return []
        return [_row(line) for line in self.metrics.read_text(encoding="utf-8", errors="replace").splitlines()]

    def ap_history(self) -> list[float]:
        """AP of each evaluation, in order."""
        return [row["AP"] for row in self.metrics_rows() if row.get("AP") is not None]

    def cut_metrics(self, step: int) -> None:
        """Drop the lines past a step: the resumed run writes them again."""
        if self.metrics.is_file():
            kept = [row for row in self.metrics_rows() if row.get("step", math.inf) <= step]
            write_whole(self.metrics, "".join(json.dumps(row) + "\n" for row in kept))


def write_metrics(checkpoint: Path, metrics: dict[str, Any]) -> None:
    """Write the COCO metrics of a checkpoint, and the step that it was evaluated after, as `metrics.json` beside it."""
    _write_json(_metrics_file(checkpoint), metrics)


def read_metrics(checkpoint: Path) -> dict[str, Any] | None:
    """What `write_metrics` wrote; None where the checkpoint was not evaluated.

    Raises:
        WeightsError: the file cannot be read.
    """
    file = _metrics_file(checkpoint)
    try:
        return dict(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else None
    except (OSError, ValueError) as error:
        raise WeightsError(f"{file} is damaged: delete it.") from error


def _metrics_file(checkpoint: Path) -> Path:
    return checkpoint / "metrics.json"


def _write_json(file: Path, content: dict[str, Any]) -> None:
    write_whole(file, json.dumps(content, indent=2) + "\n")


def _row(line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError:
        return {}
    return row if isinstance(row, dict) else {}
