"""`Explanation`: what users get, computed from a model and images or from tensors."""

from __future__ import annotations

import copy
import html
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from setpiece.atomic import write_whole
from setpiece.errors import UsageError
from setpiece.explain.architecture import architecture
from setpiece.explain.findings import find_all
from setpiece.explain.image_findings import Finding
from setpiece.explain.pairs import pair_rows
from setpiece.explain.payload import report_payload
from setpiece.explain.report_image import ReportImage, make_report_image
from setpiece.explain.sample import Sample
from setpiece.explain.timeline import Timeline, read_timeline
from setpiece.inference.predictor import Predictor
from setpiece.model.base import layer_names
from setpiece.records import Images, Outputs, Targets
from setpiece.setloss import SetCriterion, training_criterion
from setpiece.web import render

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Explanation", "explain_outputs", "explain_samples"]

NO_RUN = "The model is not in the folder of its training run, so nothing is known of its training."
NO_IMAGE = "There is no image to explain: give at least one."
TRACED_IMAGES = 4  # whose attention is shown
NOTEBOOK_IMAGES = 4  # a page inside a notebook is saved with it
NOTEBOOK_HEIGHT = 900  # pixels


class Explanation:
    """Who was matched with whom, at what cost, and what it teaches, for a few images.

    Attributes:
        images: each with its `facts`, as tensors.
        pairs: one row per image, layer and target, see `pairs.pair_rows`; `pandas.DataFrame(explanation.pairs)`.
        findings: what to look at first, the most striking first; `str(finding)` is a sentence.
    """

    def __init__(
        self,
        images: Sequence[ReportImage],
        classes: Sequence[str],
        layers: Sequence[str],
        *,
        title: str,
        model: dict[str, Any] | None = None,
        training: Timeline | None = None,
        evaluation: Mapping[str, Any] | None = None,
        missing: Sequence[str] = (),
    ) -> None:
        self.images, self.classes, self.layers, self.title = list(images), list(classes), list(layers), title
        self._model, self._training, self._missing = model, training, list(missing)
        self._evaluation = evaluation
        self.pairs = [row for i in images for row in pair_rows(i.facts, i.name, self.classes, self.layers)]
        self.findings: list[Finding] = find_all(self.images, self.classes, self.layers, training)

    def to_html(self, path: str | Path | None = None) -> str:
        """The page: one HTML file that needs nothing else, also written to `path` if one is given.

        Raises:
            UsageError: `path` is a folder, or the folder that it names does not exist.
            OutputError: it cannot be written.
        """
        page = render(self._payload(len(self.images), self._training, self._missing, self._evaluation))
        if path is not None:
            file = Path(path)
            if file.is_dir() or not file.parent.is_dir():
                raise UsageError(f"{file} cannot be written: name a file in a folder that exists.")
            write_whole(file, page)
        return page

    def plot(self, image: int = 0) -> Figure:
        """The final layer's match of one image, boxes joined by lines, beside the cost of every pair.

        Args:
            image: which one, from 0.

        Returns:
            A `matplotlib.figure.Figure`; `.savefig("match.png")` writes it.
        """
        from setpiece.explain.plot import plot  # matplotlib is slow to import

        return plot(self.images[image], self.classes)

    def __repr__(self) -> str:
        """The title, and the findings."""
        return "\n".join([f"{self.title}: {len(self.images)} images", *map(str, self.findings)])

    def _repr_html_(self) -> str:
        """What a notebook shows: the page, without the training chapter and with few images, in a frame."""
        missing = list(self._missing)
        if self._training is not None or self._evaluation is not None or len(self.images) > NOTEBOOK_IMAGES:
            missing.append('This is a part of the report: .to_html("report.html") writes all of it.')
        page = html.escape(render(self._payload(NOTEBOOK_IMAGES, None, missing)))
        return f'<iframe srcdoc="{page}" style="width: 100%; height: {NOTEBOOK_HEIGHT}px; border: 0"></iframe>'

    def evaluated(self, evaluation: Mapping[str, Any]) -> Explanation:
        """The same, whose page has a chapter on an evaluation.

        Args:
            evaluation: from `inference.analysis_page.analysis_payload`.
        """
        changed = copy.copy(self)
        changed._evaluation = evaluation
        return changed

    def _payload(
        self,
        images: int,
        training: Timeline | None,
        missing: Sequence[str],
        evaluation: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        return report_payload(
            self.images[:images],
            title=self.title,
            classes=self.classes,
            layers=self.layers,
            findings=self.findings,
            model=self._model,
            training=training,
            evaluation=evaluation,
            missing=missing,
        )


def explain_outputs(
    outputs: Outputs,
    targets: Targets,
    classes: Sequence[str],
    *,
    criterion: SetCriterion | None = None,
    images: Sequence[np.ndarray] | None = None,
    layers: Sequence[str] | None = None,
    title: str = "Predictions",
) -> Explanation:
    """Explain the predictions of any set-prediction model, given as tensors.

    Args:
        outputs: predictions of all layers for B images, boxes cxcywh in fractions of each image.
        targets: of the same images.
        classes: the name of each class that has a logit; in the softmax form the last logit is no-object's.
        criterion: the loss that the model is trained with; `SetCriterion()`, the paper's, where None.
        images: HWC RGB uint8, one per image, to be shown under the boxes.
        layers: a name for each prediction set; "layer 1", ... where None.
        title: of the page.

    Raises:
        NonFiniteCostError: a logit or box is NaN or infinite; names layer, image and query.
        DataError: a target has a class that the logits do not know.
        UsageError: there is no image, or the arguments are not of the same images, layers and classes.

    Example:
        >>> import torch
        >>> outputs = Outputs(torch.zeros(6, 1, 5, 3), torch.full((6, 1, 5, 4), 0.5))
        >>> one = {"labels": torch.tensor([1]), "boxes": torch.tensor([[0.5, 0.5, 0.2, 0.4]])}
        >>> explanation = explain_outputs(outputs, Targets.from_list([one]), ["cat", "dog"])
        >>> {name: explanation.pairs[5][name] for name in ("image", "layer", "target", "class", "query")}
        {'image': 'image 0', 'layer': 'layer 6', 'target': 0, 'class': 'dog', 'query': 0}
    """
    criterion = criterion or SetCriterion()
    layers = layers or layer_names(len(outputs.boxes))
    _require_fitting(outputs, targets, classes, criterion, images, layers)
    shown = []
    for b in range(len(targets.count)):
        one = Outputs(outputs.logits[:, b : b + 1], outputs.boxes[:, b : b + 1])
        own = Targets(targets.labels[b : b + 1], targets.boxes[b : b + 1], targets.count[b : b + 1])
        pixels = None if images is None else images[b]
        shown.append(make_report_image(f"image {b}", b, pixels, one, own, criterion))
    return Explanation(shown, classes, layers, title=title)


def _require_fitting(
    outputs: Outputs,
    targets: Targets,
    classes: Sequence[str],
    criterion: SetCriterion,
    images: Sequence[np.ndarray] | None,
    layers: Sequence[str],
) -> None:
    L, B, _, K = outputs.logits.shape
    C = criterion.class_form.num_classes(K)
    if not B:
        raise UsageError(NO_IMAGE)
    if len(targets.count) != B:
        raise UsageError(
            f"There are predictions of {B} images and targets of {len(targets.count)}: give those of each."
        )
    if images is not None and len(images) != B:
        raise UsageError(f"There are predictions of {B} images and {len(images)} images: give one for each.")
    if len(layers) != L:
        raise UsageError(f"There are predictions of {L} layers and names of {len(layers)}: give one for each.")
    if len(classes) != C:
        raise UsageError(
            f"There are {K} logits per query, which are {C} classes in the {criterion.form} form, and {len(classes)} "
            "names of classes: give one for each."
        )


def explain_samples(
    predictor: Predictor, samples: Iterable[Sample], *, title: str, run: Path | None = None
) -> Explanation:
    """Explain what a model predicts for some images.

    Args:
        title: of the page.
        run: the folder of the model's training, whose recording is shown.

    Raises:
        NonFiniteCostError: the model predicts NaN or infinity for an image; names it, layer and query.
        DataError: an image cannot be read, or a target has a class that the model does not know.
        UsageError: there is no image.
    """
    model = predictor.checkpoint.model
    criterion = training_criterion(model.form)
    shown: list[ReportImage] = []
    first: list[tuple[int, Images]] = []
    for sample in samples:
        images = predictor.preprocess([sample.pixels])
        outputs = predictor.outputs(images)
        shown.append(make_report_image(sample.name, sample.image_id, sample.pixels, outputs, sample.targets, criterion))
        first += [(len(first), images)] if len(first) < TRACED_IMAGES else []
    if not shown:
        raise UsageError(NO_IMAGE)
    training, missing = (None, [NO_RUN]) if run is None else read_timeline(run)
    return Explanation(
        shown,
        predictor.checkpoint.classes,
        model.prediction_sets,
        title=title,
        model=architecture(predictor, first),
        training=training,
        missing=missing,
    )
