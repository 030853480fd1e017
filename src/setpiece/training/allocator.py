"""Keep freed memory for the next step, on CPU."""

from __future__ import annotations

import ctypes
import sys

__all__ = ["keep_freed_memory"]

TRIM_THRESHOLD, MMAP_MAX = -1, -4  # of glibc's mallopt(3)


def keep_freed_memory() -> None:
    """Tell the C library not to hand freed memory back to the system, for the rest of the process.

    A training step frees what it allocated, and the next one allocates the same again. By default glibc returns the
    large blocks in between, and every page of them is faulted in anew: 23,000 page faults a step for `detr-tiny`
    at batch 16, a tenth of its time. Elsewhere than on glibc nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(TRIM_THRESHOLD, 2**31 - 1)
        mallopt(MMAP_MAX, 0)
