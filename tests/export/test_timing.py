"""Runtimes are timed in turn, and the same images are given to all."""

import numpy as np

from setpiece.export.timing import time_in_turn

PICTURES = [np.full((8, 8, 3), number, np.uint8) for number in range(3)]


class Counting:
    """Notes which pictures it is given."""

    classes, thresholds = ("a",), None

    def __init__(self, log):
        self.log = log

    def predict(self, pictures, *, threshold=0.5, channels="rgb"):  # noqa: ARG002
        pictures = list(pictures)
        self.log.append((self, len(pictures), int(pictures[0][0, 0, 0])))
        yield from (None for _ in pictures)


def test_runtimes_take_turns_on_the_same_pictures():
    log = []
    one, two = Counting(log), Counting(log)
    found = time_in_turn({"one": one, "two": two}, PICTURES, batch=4, seconds=0.02)
    assert [who for who, *_ in log[:4]] == [one, two, one, two]
    assert [what for who, *what in log if who is one] == [what for who, *what in log if who is two]
    assert {count for _, count, _ in log} == {4}
    assert {picture for *_, picture in log} == {0, 1, 2}
    for timing in found.values():
        assert 0 < timing.p50 <= timing.p95
        assert timing.images_per_second > 0
