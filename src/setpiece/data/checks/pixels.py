"""Images by what they show: of one colour, very small, and the same or nearly the same ones twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator

import numpy as np
from jaxtyping import Int64, UInt64

from setpiece.data.checks.finding import Finding, Severity, counted, finding
from setpiece.data.checks.survey import Look, Settings, Survey
from setpiece.data.dataset import Example
from setpiece.data.defects import Place
from setpiece.data.formats.splits import photo_name

__all__ = ["copies", "of_one_colour", "of_one_file", "of_one_photo", "shapes", "undecodable"]

FLAT = 2  # of 255: an image whose greys differ by no more is of one colour
SMALL = 32  # pixels of the longer side
LONG = 20  # times as long as wide
BITS = 4  # of 64 in which the hashes of two images that look alike may differ

_ONES = np.array([number.bit_count() for number in range(1 << 16)], np.uint8)

ACROSS = "keep all of them in one split, or the metrics are of images that were learned by heart"


def undecodable(survey: Survey, _: Settings) -> Iterator[Finding]:
    """Images whose header is in order, and whose pixels are not."""
    for split, dataset in survey.splits.items():
        broken = [example for example in dataset.examples if survey.looks[example.path] is None]
        if places := [Place(example.path.name, example.path) for example in broken]:
            what = counted(places, "image cannot be decoded to its end", "images cannot be decoded to their end")
            advice = "copy them again from where they came from"
            yield finding("images.undecodable", Severity.ERROR, split, places, what, advice)


def of_one_colour(survey: Survey, _: Settings) -> Iterator[Finding]:
    """Images that show nothing."""
    for split, dataset in survey.splits.items():
        looks = ((example, survey.looks[example.path]) for example in dataset.examples)
        flat = [example for example, look in looks if look is not None and look.spread <= FLAT]
        if places := [Place(example.path.name, example.path) for example in flat]:
            what = counted(places, "image is of one colour", "images are of one colour")
            yield finding("images.one-colour", Severity.WARNING, split, places, what, "look at them, and delete them")


def shapes(survey: Survey, _: Settings) -> Iterator[Finding]:
    """Images that are very small, or very long."""
    for split, dataset in survey.splits.items():
        odd = [
            Place(f"{e.path.name}, {e.width}x{e.height}", e.path)
            for e in dataset.examples
            if max(e.height, e.width) < SMALL or max(e.height, e.width) > LONG * min(e.height, e.width)
        ]
        if odd:
            images = counted(odd, "image is", "images are")
            what = f"{images} smaller than {SMALL} pixels, or over {LONG} times as long as wide"
            yield finding("images.shape", Severity.WARNING, split, odd, what, "look at them: are they icons or strips?")


def of_one_photo(survey: Survey, _: Settings) -> Iterator[Finding]:
    """Versions of one photo in two splits, by the names that Roboflow gives them: `photo.rf.0a1b2c.jpg`."""

    yield from _across(survey, lambda example: photo_name(example.path), "splits.versions", "versions of photos in")


def of_one_file(survey: Survey, _: Settings) -> Iterator[Finding]:
    """Image files that two splits read, whichever path or link leads there."""
    advice = "name other images for one of them: metrics on images that were trained on say nothing"
    yield from _across(survey, _file, "splits.one-file", "read for", advice, of_copies=False)


def copies(survey: Survey, _: Settings) -> Iterator[Finding]:
    """Images that are the same, byte by byte, or nearly the same, in one split or in two."""

    def digest(example: Example) -> Hashable:
        look = survey.looks.get(example.path)
        return look and look.digest

    yield from _within(survey, digest)
    yield from _across(survey, digest, "splits.same-image", "copies of files in")
    yield from _nearly(survey)


def _within(survey: Survey, key: Callable[[Example], Hashable]) -> Iterator[Finding]:
    for split, dataset in survey.splits.items():
        first: dict[Hashable, Example] = {}
        places = []
        for example in dataset.examples:
            if (of := key(example)) is not None and first.setdefault(of, example) is not example:
                places.append(Place(f"{example.path.name}, as {first[of].path.name}", example.path))
        if places:
            what = counted(places, "image is a copy of another", "images are copies of others") + ", byte by byte"
            yield finding("images.copies", Severity.WARNING, split, places, what, "keep one of each")


def _file(example: Example) -> Hashable:
    """The same for every path and link that leads to a file."""
    try:
        status = example.path.stat()
    except OSError:  # it is gone since it was read
        return example.path
    return status.st_dev, status.st_ino


def _across(
    survey: Survey,
    key: Callable[[Example], Hashable],
    check: str,
    are: str,
    advice: str = ACROSS,
    *,
    of_copies: bool = True,
) -> Iterator[Finding]:
    """Images of one key in two splits; train counts first.

    Args:
        of_copies: whether it is about different files, and not about one file that both splits read.
    """
    seen: dict[Hashable, tuple[str, Example]] = {}
    places: dict[tuple[str, str], list[Place]] = defaultdict(list)
    for split, example in survey.examples():
        of = key(example)
        if of is None:
            continue
        there, first = seen.setdefault(of, (split, example))
        if there != split and not (of_copies and _file(first) == _file(example)):
            text = f"{split}/{example.path.name}, as {there}/{first.path.name}"
            places[there, split].append(Place(text, example.path))
    for (there, split), found in places.items():
        what = f"{counted(found, 'image', 'images')} of {split}: {are} {there}"
        yield finding(check, Severity.ERROR, split, found, what, advice)


def _nearly(survey: Survey) -> Iterator[Finding]:
    """For every image and every split the first image of it, in the order of reading, that looks nearly alike."""
    shown: list[tuple[str, Example, Look]] = []
    for split, example in survey.examples():
        look = survey.looks[example.path]
        if look is not None and look.spread > FLAT:  # images of one colour all look alike
            shown.append((split, example, look))
    hashes = np.array([look.hash for _, _, look in shown], np.uint64)
    found = {split: np.zeros(len(shown), bool) for split in survey.splits}
    places: dict[tuple[str, str], list[Place]] = defaultdict(list)
    for i, (there, first, of_first) in enumerate(shown):
        near = i + 1 + np.flatnonzero(_bits(hashes[i + 1 :] ^ hashes[i]) <= BITS)
        for j in near[~found[there][near]]:
            split, example, look = shown[j]
            if of_first.digest != look.digest:
                found[there][j] = True
                text = f"{split}/{example.path.name}, as {there}/{first.path.name}"
                places[there, split].append(Place(text, example.path))
    for (there, split), of in places.items():
        if there == split:
            what = counted(of, "image looks nearly like another", "images look nearly like others")
            yield finding("images.alike", Severity.NOTE, split, of, what, "nothing, or keep one of each")
        else:
            looks = counted(of, f"image of {split} looks", f"images of {split} look")
            what = f"{looks} nearly like some of {there}"
            yield finding("splits.alike", Severity.WARNING, split, of, what, ACROSS)


def _bits(values: UInt64[np.ndarray, " N"]) -> Int64[np.ndarray, " N"]:
    """How many bits of each number are 1."""
    return _ONES[values.view(np.uint16).reshape(-1, 4)].sum(1, dtype=np.int64)
