"""`Detector`: what a user holds. Training and explanation are imported when they are used, and so is torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, overload

from setpiece.data.dataset import Dataset
from setpiece.data.sources import open_dataset
from setpiece.errors import UsageError
from setpiece.evaluation import CocoMetrics, sv
from setpiece.evaluation.analysis import Analysis, analyse
from setpiece.inference.backends import is_exported, load_backend
from setpiece.inference.detecting import Detecting
from setpiece.inference.evaluation import evaluate, match_classes, results_of
from setpiece.inference.exported import ExportedPredictor
from setpiece.inference.pictures import Channels, Picture
from setpiece.inference.sources import find_images, names_several
from setpiece.inference.thresholds import DEFAULT, Threshold

if TYPE_CHECKING:
    from setpiece.explain import Explanation
    from setpiece.inference.precision import Precision
    from setpiece.inference.predictor import Predictor
    from setpiece.model.checkpoint import Checkpoint

__all__ = ["Detector"]

Objects = sv.Detections | Mapping[str, Any]
Pictures = list[Picture] | tuple[Picture, ...] | Iterator[Picture]


class Detector:
    """A model that detects objects: loaded, trained, evaluated, and asked for predictions.

    Example:
        >>> detector = Detector.load("detr-tiny")  # a preset: to be trained
        >>> detector.checkpoint is None
        True
    """

    def __init__(
        self,
        source: str | Path,
        checkpoint: Checkpoint | None,
        exported: ExportedPredictor | None = None,
        *,
        precision: Precision = "auto",
        compile: bool = False,
    ) -> None:
        self.source = str(source)
        self.exported = exported
        self.precision = precision
        self.compile = compile
        self._keep(checkpoint)

    def _keep(self, checkpoint: Checkpoint | None) -> None:
        self.checkpoint = checkpoint
        self._fast: Predictor | None = None
        if checkpoint is not None:
            import torch

            checkpoint.model.eval().to(torch.device("cuda" if torch.cuda.is_available() else "cpu"))

    @classmethod
    def load(cls, source: str | Path, *, precision: Precision = "auto", compile: bool = False) -> Detector:
        """Load a run folder, a checkpoint, an exported model or a hub id, or take a preset to be trained.

        An exported model predicts and is evaluated without torch.

        Args:
            source: such as `"runs/cells"`, `"cells.onnx"`, `"detr-r50.pth"`, `"facebook/detr-resnet-50"`,
                `"detr-tiny"`.
            precision: what to predict in: "auto" computes in bfloat16 where the processor multiplies in it, else in
                float32; "bf16" and "fp32" are that. An exported model has its own.
            compile: predict by `torch.compile`, which needs a C++ compiler. The first images wait for it: tens of
                seconds. Not of an exported model.

        Raises:
            UsageError: there is nothing at `source`, or what runs it is not installed, or an option is not of an
                exported model.
            WeightsError: what is there cannot be read or fetched.
        """
        if is_exported(source):
            if precision != "auto" or compile:
                raise UsageError(f"{source} is exported and computes as it was written: leave the precision out.")
            return cls(source, None, ExportedPredictor(load_backend(source)))
        from setpiece.model.checkpoint import load_unless_preset

        return cls(source, load_unless_preset(source), precision=precision, compile=compile)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of what is detected."""
        return self._trained().classes if self.exported is None else self.exported.classes

    @property
    def computes_in_bf16(self) -> bool:
        """Whether it predicts in bfloat16: a model that is not exported does by `precision`."""
        if self.checkpoint is None:
            return False
        from setpiece.inference.precision import uses_bf16

        return uses_bf16(self.precision, next(self.checkpoint.model.parameters()).device)

    def train(
        self, data: str | Path, *, output: str | Path, resume: bool = False, **settings: Any
    ) -> dict[str, Any] | None:
        """Train on a data set, starting from the weights that this detector holds; then it holds the run's best ones.

        Args:
            data: folder of a data set.
            output: folder of the run.
            resume: continue the run in `output`.
            settings: `epochs` or `minutes`, and any other field of `TrainConfig`.

        Returns:
            The metrics of that checkpoint as `evaluate` gives them, None where there is no validation split.

        Raises:
            SetpieceError: see `training.train.train`.
        """
        self._require_not_exported("trained")
        from setpiece.training.config import resolve
        from setpiece.training.start import start_training

        config = resolve(data, self.source, self.checkpoint, **settings)
        result = start_training(config, Path(output), self.checkpoint, resume=resume)
        self.source = str(result.folder)
        self._keep(result.checkpoint)
        return None if result.metrics is None else result.metrics.to_dict()

    def evaluate(self, data: str | Path, split: str = "valid") -> dict[str, Any]:
        """COCO metrics on one split of a data set: `{"AP": ..., "AP50": ..., ..., "per_class": {...}}`.

        Raises:
            UsageError: there is no such folder or split, or this is a preset that has not been trained.
            DataError: the data set cannot be read, or has classes that this detector does not know.
        """
        self.detecting()  # before the data set is read: a preset knows no class
        return self.evaluate_coco(open_dataset(data, split)).to_dict()

    def evaluate_coco(self, dataset: Dataset) -> CocoMetrics:
        """`evaluate` on a data set that is open already, as a record with a table for people."""
        return evaluate(self.detecting(), dataset)

    def analyse(self, data: Dataset | str | Path, split: str = "valid") -> Analysis:
        """`evaluate_coco`, with intervals, thresholds, errors and confusions, see `setpiece.evaluation.analysis`.

        Args:
            data: a data set that is open, or the folder of one, see `evaluate`.
            split: of the folder.
        """
        detecting = self.detecting()
        dataset = data if isinstance(data, Dataset) else open_dataset(data, split)
        return analyse(dataset.to_coco(), results_of(detecting, dataset))

    def detecting(self) -> Detecting:
        """What predicts and is evaluated: the exported model, or a `Predictor` of a copy that is laid out for it.

        Raises:
            UsageError: this is a preset that has not been trained.
        """
        if self.exported is not None:
            return self.exported
        if self._fast is None:
            from setpiece.inference.fast import fast
            from setpiece.inference.predictor import Predictor

            self._fast = Predictor(fast(self._trained(), compile=self.compile), self.precision, in_turn=self.compile)
        return self._fast

    def predictor(self) -> Predictor:
        """A `Predictor` of the model as it was trained, which explanation looks into.

        Raises:
            UsageError: this is a preset that has not been trained, or an exported model.
        """
        from setpiece.inference.predictor import Predictor

        return Predictor(self._trained(), self.precision)

    @overload
    def predict(
        self, images: Picture, *, threshold: Threshold = DEFAULT, channels: Channels = "rgb"
    ) -> sv.Detections: ...
    @overload
    def predict(
        self, images: Pictures, *, threshold: Threshold = DEFAULT, channels: Channels = "rgb"
    ) -> list[sv.Detections]: ...
    def predict(
        self, images: Picture | Pictures, *, threshold: Threshold = DEFAULT, channels: Channels = "rgb"
    ) -> sv.Detections | list[sv.Detections]:
        """Detect objects in one image or in several.

        Args:
            images: a path, a PIL image, an array HWC RGB uint8, or a tensor CHW; see `inference.pictures.to_pixels`.
                Or several of them: a list, a generator, a folder or a glob of files, an array or a tensor with one more
                dimension. Each is detected in as if it were alone.
            threshold: the least confidence that is returned, in [0, 1]; a mapping from names of classes, with 0.5 for
                the others; or "auto" for those that gave the best F1 on the validation images of the training. Strings
                such as "0.4" and "cat=0.4,dog=0.3" are taken as the command takes them.
            channels: the order of the colours of arrays and tensors: "bgr" for what OpenCV reads.

        Returns:
            Boxes xyxy in pixels of each image, `confidence`, `class_id`, and `data["class_name"]`; a list for several.

        Raises:
            DataError: an image cannot be read.
            UsageError: something is no image or an address, the threshold is no number in [0, 1], or this is a preset
                that has not been trained.
        """
        detecting = self.detecting()
        if isinstance(images, str | Path) and names_several(images):
            images = list(find_images([str(images)]))
        if isinstance(images, Picture) and getattr(images, "ndim", 3) != 4:
            return next(detecting.predict([images], threshold=threshold, channels=channels))
        return list(detecting.predict(cast(Pictures, images), threshold=threshold, channels=channels))

    def explain(self, images: Picture | list[Picture], targets: Objects | list[Objects] | None = None) -> Explanation:
        """Show the set prediction of images: who is matched with whom, at what cost, and what it would teach.

        Args:
            images: one or a list, as for `predict`.
            targets: the objects in each image, as `supervision.Detections` with `class_id`, or as
                `{"labels": T indices into `classes`, "boxes_xyxy": T x 4 in pixels}`; a list for a list. Without them
                the predictions are shown alone.

        Returns:
            An `Explanation`: `.pairs` is a table, `.to_html("report.html")` a page, `.plot()` a figure; a notebook
            shows the page.

        Raises:
            DataError: an image cannot be read, or a target has a class that this detector does not know.
            UsageError: the targets do not fit the images, or this is a preset that has not been trained.
        """
        from setpiece.explain import explain_samples
        from setpiece.explain.sample import sample_picture

        predictor = self.predictor()
        images = images if isinstance(images, list) else [images]
        objects = targets if isinstance(targets, list) else [targets] * (len(images) if targets is None else 1)
        if len(objects) != len(images):
            raise UsageError(f"There are {len(images)} images and targets of {len(objects)}: give those of each.")
        samples = map(sample_picture, range(len(images)), images, objects)
        title = f"{predictor.checkpoint.preset} on {len(images)} image{'s' if len(images) != 1 else ''}"
        return explain_samples(predictor, samples, title=title, run=self._run())

    def explain_dataset(self, dataset: Dataset, names: Sequence[str] = (), *, limit: int = 50) -> Explanation:
        """`explain` on images of a data set with their annotations.

        Args:
            names: file names of the images; the first `limit` images where there are none.

        Raises:
            DataError: an image cannot be read, or the data set has a class that this detector does not know.
            UsageError: the data set has no such image, or this is a preset that has not been trained.
        """
        from setpiece.explain import explain_samples
        from setpiece.explain.sample import choose, read_sample

        predictor = self.predictor()
        checkpoint = predictor.checkpoint
        match_classes(checkpoint.classes, dataset)
        examples = choose(dataset, names, limit)
        samples = (read_sample(example, dataset.classes, checkpoint.classes) for example in examples)
        title = f"{checkpoint.preset} on {dataset.root.resolve().name} ({dataset.split})"
        return explain_samples(predictor, samples, title=title, run=self._run())

    def save(self, folder: str | Path) -> None:
        """Write the checkpoint as `model.safetensors` and `config.json`."""
        from setpiece.model.checkpoint import save

        save(self._trained(), Path(folder))

    def _run(self) -> Path | None:
        """The folder of the run that this detector was loaded from."""
        from setpiece.runs.layout import RunFolder

        run = RunFolder.around(Path(self.source))
        return None if run is None else run.path

    def _require_not_exported(self, done: str) -> None:
        if self.exported is not None:
            raise UsageError(f"{self.source} is exported and cannot be {done}: give the run that it was exported from.")

    def _trained(self) -> Checkpoint:
        self._require_not_exported("used for this")
        if self.checkpoint is None:
            from setpiece.model.zoo import head_starts

            knows = (
                "a preset that has seen many objects and knows no class of yours"
                if self.source in head_starts()
                else "a preset without trained weights"
            )
            raise UsageError(f"{self.source} is {knows}: train it on your images first.")
        return self.checkpoint
