"""Work on batches in threads, one per core."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from typing import TypeVar

import torch

__all__ = ["in_threads"]

AT_ONCE = 4  # calls: each holds a batch and its activations in memory

T = TypeVar("T")
R = TypeVar("R")


def in_threads(function: Callable[[T], R], items: Iterable[T], device: torch.device) -> Iterator[R]:
    """`map(function, items)`, on a CPU with up to four calls at a time, each computing with one thread.

    PyTorch divides every operation among the cores by itself, and a small network waits at each for the slowest core. A
    batch per core waits only at the end. The results are the same, in the order of the items. A single item has all
    cores. As many items are read ahead as there are calls.

    Args:
        device: that the function computes on; elsewhere than on a CPU the calls follow each other.
    """
    threads = torch.get_num_threads()
    calls = min(threads, AT_ONCE)
    iterator = iter(items)
    first = list(islice(iterator, 2))
    if device.type != "cpu" or calls == 1 or len(first) < 2:
        yield from map(function, chain(first, iterator))
        return
    try:
        with ThreadPoolExecutor(calls, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            waiting: deque[Future[R]] = deque()
            for item in chain(first, iterator):
                waiting.append(pool.submit(function, item))
                if len(waiting) > calls:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
    finally:
        torch.set_num_threads(threads)  # MKL has one number for all threads, which those of the pool have set to 1
