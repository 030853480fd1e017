"""Classes: their names, and how many objects each has in which split."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import combinations

from setpiece.data.checks.finding import Finding, Severity
from setpiece.data.checks.survey import Settings, Survey

__all__ = ["counts", "names", "shares"]

FEW = 10  # objects of a class, below which it is hardly learned
RATIO = 100  # of the commonest class's objects to the rarest's
SKEW = 0.1  # difference of a class's share of the objects in two splits


def names(survey: Survey, _: Settings) -> Iterator[Finding]:
    """Names that may be one class in two spellings, and numbers in their place."""
    classes = list(dict.fromkeys(name for dataset in survey.splits.values() for name in dataset.classes))
    plain = {name: re.sub(r"[\s_.-]+", "", name.casefold()) for name in classes}
    pairs = [pair for pair in combinations(classes, 2) if _look_alike(*(plain[name] for name in pair))]
    if pairs:
        listed = "; ".join(f"{one!r} and {other!r}" for one, other in pairs[:5])
        what = f"{len(pairs)} pair{'s' if len(pairs) > 1 else ''} of class names that look alike: {listed}"
        yield Finding("classes.look-alike", Severity.WARNING, None, len(pairs), what, "merge those that are one class")
    numbers = [name for name in classes if re.fullmatch(r"(class[\W_]*)?\d+", name.lower())]
    if len(numbers) == len(classes) > 1 and not _are_digits(classes):
        what = f"all {len(classes)} classes are called by numbers: {', '.join(classes[:5])}"
        advice = "write their names; a detector shows them"
        yield Finding("classes.numbers", Severity.NOTE, None, len(classes), what, advice)


def counts(survey: Survey, _: Settings) -> Iterator[Finding]:
    """Classes without objects or with few, and those that a split lacks."""
    objects = _objects(survey)
    train = objects.get("train", Counter())
    declared = survey.splits["train"].classes if "train" in survey.splits else ()
    anywhere = sum(objects.values(), Counter())

    def found(check: str, severity: Severity, which: list[str], what: str, advice: str) -> Iterator[Finding]:
        if which:
            listed = f"{', '.join(which[:8])}{' …' if len(which) > 8 else ''}"
            number = f"{len(which)} class{'es' if len(which) > 1 else ''}"
            yield Finding(f"classes.{check}", severity, None, len(which), f"{number} {what}: {listed}", advice)

    unused = [name for name in declared if not anywhere[name]]
    advice = "take them off the list of classes"
    if unused and len(declared) > 2 and unused == [declared[0]]:
        advice = f"look whether the ids are off by one: objects of {declared[1]} may be of {unused[0]}; else {advice}"
    yield from found("unused", Severity.WARNING, unused, "without any object", advice)
    unlearnt = [name for name in anywhere if not train[name]] if "train" in objects else []
    advice = "move images that show them to train"
    yield from found("not-in-train", Severity.ERROR, unlearnt, "with objects, and none in train", advice)
    few = [f"{name} ({train[name]})" for name in declared if 0 < train[name] < FEW]
    yield from found(
        "few", Severity.WARNING, few, f"with fewer than {FEW} objects in train", "add images that show them"
    )
    for split, of_split in objects.items():
        if split != "train" and of_split:
            absent = [name for name in declared if train[name] and not of_split[name]]
            what = f"in train and not in {split}, so nothing says how well they are found"
            yield from found(
                f"not-in-{split}", Severity.WARNING, absent, what, f"move images that show them to {split}"
            )


def shares(survey: Survey, _: Settings) -> Iterator[Finding]:
    """Classes that are far from equally frequent, and splits that differ in that."""
    objects = _objects(survey)
    train = objects.get("train", Counter())
    if train and max(train.values()) > RATIO * min(train.values()):
        (most, many), (least, few) = train.most_common()[0], train.most_common()[-1]
        what = f"{most} has {many} objects in train, and {least} has {few}"
        advice = "add images of the rare ones; training draws them more often by itself"
        yield Finding("classes.imbalance", Severity.WARNING, "train", 1, what, advice)
    for split, of_split in objects.items():
        if split == "train" or not train or not of_split:
            continue
        gaps = {name: of_split[name] / of_split.total() - train[name] / train.total() for name in train | of_split}
        name = max(gaps, key=lambda name: abs(gaps[name]))
        if abs(gaps[name]) > SKEW:
            there, here = train[name] / train.total(), of_split[name] / of_split.total()
            what = f"{name} makes up {100 * there:.0f} % of the objects in train, and {100 * here:.0f} % in {split}"
            advice = "divide the images by chance, so that the metrics are of what will be seen"
            yield Finding("classes.skew", Severity.WARNING, split, 1, what, advice)


def _objects(survey: Survey) -> dict[str, Counter[str]]:
    """How many objects each class has, by split."""
    return {
        split: Counter(dataset.classes[label] for e in dataset.examples for label in e.labels[~e.crowd])
        for split, dataset in survey.splits.items()
    }


def _look_alike(one: str, other: str) -> bool:
    """Whether two names, without case and separators, are equal or differ in a plural, or in one letter of five."""
    if not one or not other or abs(len(one) - len(other)) > 2:
        return False
    if one == other or one in (other + "s", other + "es") or other in (one + "s", one + "es"):
        return True
    return min(len(one), len(other)) >= 5 and (one + other).isalpha() and _one_edit(one, other)


def _one_edit(one: str, other: str) -> bool:
    """Whether one letter was changed, added or left out, or two neighbours were exchanged."""
    start = next((i for i, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), None)
    if start is None:
        return abs(len(one) - len(other)) <= 1
    one, other = one[start:], other[start:]
    exchanged = len(one) > 1 and one[1::-1] + one[2:] == other
    return exchanged or one[1:] == other[1:] or one[1:] == other or one == other[1:]


def _are_digits(classes: list[str]) -> bool:
    return set(classes) <= set("0123456789")
