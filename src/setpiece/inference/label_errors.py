"""Labels that a detector contradicts, found by the Hungarian match of its predictions with the annotations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torchvision.ops import box_iou

from setpiece.data.batching import batches_of, eval_loader
from setpiece.data.checks.finding import Finding, Severity, counted, finding
from setpiece.data.checks.survey import Progress, box_place
from setpiece.data.dataset import Dataset, Example
from setpiece.data.defects import Place
from setpiece.inference.detecting import BATCH_SIZE
from setpiece.inference.evaluation import match_classes
from setpiece.inference.predictor import Predictor
from setpiece.records import TERMS, Outputs, Targets
from setpiece.setloss.boxes import cxcywh_to_xyxy
from setpiece.setloss.classification import class_form
from setpiece.setloss.matching import match, matching_weights, pair_costs

__all__ = ["Opinion", "Suspect", "label_findings", "suspects"]

SURE = 0.5  # probability of a class that counts as the detector's opinion
VERY_SURE = 0.6  # of an object that nobody has labelled
SEEN = 0.2  # probability of any class from which on a prediction says that something is there
DOUBTED = 0.2  # probability of the label's class at most
NEAR = 0.3  # IoU: of one place
SAME = 0.5  # IoU: surely of one object
OFF = 0.6  # IoU up to which a box is far off

# Of each kind: one, many, what they are, and what to do.
_WORDS = {
    "labels.class": ("label is", "labels are", "another class to the detector", "look: is the label right?"),
    "labels.unseen": ("label is", "labels are", "where the detector sees nothing", "look: is there an object?"),
    "labels.missing": (
        "object is",
        "objects are",
        "sure to the detector and not labelled",
        "look: does it need a label? Without one, the detector is taught that it is no object",
    ),
    "labels.off": ("box is", "boxes are", "far from where the detector sees the object", "look: does the box fit?"),
}


@dataclass(frozen=True)
class Opinion:
    """What a detector sees.

    Attributes:
        box_xyxy: pixels of the image.
        name: of the class.
        confidence: in [0, 1].
    """

    box_xyxy: tuple[float, float, float, float]
    name: str
    confidence: float


@dataclass(frozen=True)
class Suspect:
    """A label that a detector contradicts, or an object that has none.

    Attributes:
        check: what it is, as "labels.class".
        rank: the higher, the more striking among those of its kind.
        place: where it is, and what the detector says; its box is that of the label, if there is one.
        image_id: of the data set.
        label: the name of the label's class, None where an object has no label.
        opinion: what the detector sees there, None where it sees nothing.
        cost: of the label and its matched query, weighted, by term; empty where no query is matched.
        doubt: the higher, the more striking among those of all kinds, in [0, 1]: how probable the detector finds its
            own opinion; where it sees an object as the label does, and only calls it otherwise, of the two classes. It
            counts as much as the share of the other labels of the class that are not contradicted so: a detector that
            misses half of them says little.
    """

    check: str
    rank: float
    place: Place
    image_id: int
    label: str | None
    opinion: Opinion | None
    cost: Mapping[str, float]
    doubt: float


def suspects(predictor: Predictor, dataset: Dataset, progress: Progress | None = None) -> list[Suspect]:
    """What a detector contradicts in some images.

    Its last layer is matched with the annotations of each image, as in training. A label whose matched query is surely
    of another class is doubted, and so is a box that is far from that of its query; each with the cost of the match, by
    term. So is a label without any prediction near it, and a confident prediction without any annotation near it. A
    detector that was trained on these labels has learned their errors, too: better take one that was not.

    Args:
        predictor: its model knows all classes of the data set.
        dataset: the images and their labels; crowds hide what is not labelled in them.
        progress: called with (images done, images in all).

    Raises:
        DataError: the data set has a class that the model does not know, or an image cannot be read.
    """
    checkpoint = predictor.checkpoint
    match_classes(checkpoint.classes, dataset)
    of_model = np.array([checkpoint.classes.index(name) for name in dataset.classes])
    examples = {example.image_id: example for example in dataset.examples}
    size, mean, std = checkpoint.size, checkpoint.mean, checkpoint.std
    found: list[Suspect] = []
    done = 0
    for batch in batches_of(eval_loader(dataset, size, mean, std, batch_size=BATCH_SIZE)):
        outputs = predictor.outputs(batch.images)
        for b, image_id in enumerate(batch.image_ids.tolist()):
            last = Outputs(outputs.logits[-1:, b : b + 1].cpu(), outputs.boxes[-1:, b : b + 1].cpu())
            found += _suspects(last.at_least_float32(), examples[image_id], of_model, predictor)
        done += len(batch.image_ids)
        if progress is not None:
            progress(done, len(examples))
    return _weighed(found, dataset)


def _weighed(found: Sequence[Suspect], dataset: Dataset) -> list[Suspect]:
    """With the doubt of a label times the share of the other labels of its class that are not contradicted so."""
    labels = Counter(
        dataset.classes[label] for example in dataset.examples for label in example.labels[~example.crowd].tolist()
    )
    doubted = Counter((each.check, each.label) for each in found)

    def agreed(check: str, label: str) -> float:
        return 1 - (doubted[check, label] - 1) / max(1, labels[label] - 1)

    return [
        each if each.label is None else replace(each, doubt=each.doubt * agreed(each.check, each.label))
        for each in found
    ]


def label_findings(found: Sequence[Suspect], split: str) -> list[Finding]:
    """A finding for each kind of suspect, the most striking first.

    Args:
        found: all of a split.
        split: its name.
    """
    findings = []
    for check, (one, many, what, advice) in _WORDS.items():
        of_check = sorted((suspect for suspect in found if suspect.check == check), key=lambda each: -each.rank)
        if places := [suspect.place for suspect in of_check]:
            words = f"{counted(places, one, many)} {what}"
            findings.append(finding(check, Severity.WARNING, split, places, words, advice))
    return findings


def _suspects(
    outputs: Outputs, example: Example, of_model: Int64[np.ndarray, " C"], predictor: Predictor
) -> Iterator[Suspect]:
    """What is contradicted in one image.

    Args:
        outputs: of the last layer for this image, on the CPU.
        of_model: the model's index of each class of the data set.
    """
    names, form = predictor.checkpoint.classes, predictor.checkpoint.model.form
    height, width = example.height, example.width
    scale = np.array([width, height, width, height])
    kept = np.flatnonzero(~example.crowd)
    probabilities = class_form(form).probabilities(outputs.logits[0, 0]).numpy()  # (Q, C)
    best, confidence = probabilities.argmax(1), probabilities.max(1)
    found_xyxy = cxcywh_to_xyxy(outputs.boxes[0, 0]).clamp(0, 1).numpy() * scale
    iou = _iou(example.boxes_xyxy, found_xyxy)  # (N, Q)
    matched = _match(outputs, example, of_model, kept, predictor)

    def opinion(query: int) -> Opinion:
        left, top, right, bottom = map(float, found_xyxy[query])
        return Opinion((left, top, right, bottom), names[best[query]], float(confidence[query]))

    for (query, cost), index in zip(matched, kept, strict=True):
        label, place = of_model[example.labels[index]], box_place(example, int(index))
        about, said = (example.image_id, names[label]), _in_words(cost)
        near = float(confidence[iou[index] >= NEAR].max(initial=0.0))
        if near < SEEN:
            text = f"{place.text}: labelled {names[label]}, and nothing is predicted there{said}"
            area = (example.boxes_xyxy[index, 2:] - example.boxes_xyxy[index, :2]).prod() / (width * height)
            yield Suspect("labels.unseen", float(area), _named(place, text), *about, None, cost, 1 - near)
        elif query < 0 or confidence[query] < SURE:
            continue
        elif best[query] != label and iou[index, query] >= SAME and probabilities[query, label] <= DOUBTED:
            predicted = f"{names[best[query]]} by {confidence[query]:.2f}"
            text = f"{place.text}: labelled {names[label]}, predicted {predicted}{said}"
            rank = float(confidence[query])
            doubt = rank / (rank + float(probabilities[query, label]))
            yield Suspect("labels.class", rank, _named(place, text), *about, opinion(query), cost, doubt)
        elif best[query] == label and NEAR <= iou[index, query] < OFF:
            overlap = float(iou[index, query])
            text = f"{place.text}: {names[label]}, IoU {overlap:.2f} with its prediction{said}"
            doubt = float(confidence[query])
            yield Suspect("labels.off", -overlap, _named(place, text), *about, opinion(query), cost, doubt)

    shown: list[int] = []
    among = _iou(found_xyxy, found_xyxy)
    hidden = _centred_in(found_xyxy, example.boxes_xyxy[example.crowd])
    for query in np.argsort(-confidence):
        if confidence[query] < VERY_SURE:
            break
        labelled = (iou[:, query] >= NEAR).any() or hidden[query]
        if not labelled and not any(among[query, other] >= SAME for other in shown):
            shown.append(int(query))
            seen = opinion(int(query))
            left, top, right, bottom = seen.box_xyxy
            text = (
                f"{example.path.name}, ({left:.4g}, {top:.4g}) to ({right:.4g}, {bottom:.4g}): "
                f"{seen.name} by {seen.confidence:.2f}, and no label"
            )
            place = Place(text, example.path, seen.box_xyxy, example.upright)
            yield Suspect("labels.missing", seen.confidence, place, example.image_id, None, seen, {}, seen.confidence)


def _match(
    outputs: Outputs,
    example: Example,
    of_model: Int64[np.ndarray, " C"],
    kept: Int64[np.ndarray, " T"],
    predictor: Predictor,
) -> list[tuple[int, dict[str, float]]]:
    """The query of each annotation, or -1, and what the pair costs, by term."""
    if not len(kept):
        return []
    form = predictor.checkpoint.model.form
    left, top, right, bottom = (example.boxes_xyxy[kept] / np.tile([example.width, example.height], 2)).T
    boxes = np.stack([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top], 1).astype(np.float32)
    targets = Targets.from_list([{"labels": of_model[example.labels[kept]], "boxes": boxes}])
    queries = match(outputs, targets, form)[0, 0].tolist()
    terms, weights = pair_costs(outputs, targets, form).terms, matching_weights(form)

    def cost(target: int, query: int) -> dict[str, float]:
        if query < 0:
            return {}
        return {name: weights[name] * terms[name][0, 0, target, query].item() for name in TERMS}

    return [(query, cost(target, query)) for target, query in enumerate(queries)]


def _in_words(cost: Mapping[str, float]) -> str:
    parts = ", ".join(f"{name} {value:.2f}" for name, value in cost.items())
    return f" (cost {sum(cost.values()):.2f}: {parts})" if cost else ""


def _named(place: Place, text: str) -> Place:
    return Place(text, place.image, place.box_xyxy, place.upright)


def _iou(a: np.ndarray, b: np.ndarray) -> Float[np.ndarray, "N M"]:
    return box_iou(torch.from_numpy(a.astype(np.float32)), torch.from_numpy(b.astype(np.float32))).numpy()


def _centred_in(boxes: Float[np.ndarray, "N 4"], regions: Float[np.ndarray, "M 4"]) -> Bool[np.ndarray, " N"]:
    """Whether the centre of each box lies in a region."""
    centres = (boxes[:, None, :2] + boxes[:, None, 2:]) / 2
    return ((centres >= regions[None, :, :2]) & (centres <= regions[None, :, 2:])).all(-1).any(-1)
