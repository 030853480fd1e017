"""Hand the memory of large images back to the system."""

from __future__ import annotations

import ctypes
import sys

__all__ = ["return_large_blocks"]

MMAP_THRESHOLD, LARGE = -3, 16_000_000  # of glibc's mallopt(3); bytes


def return_large_blocks() -> None:
    """Tell the C library to give every large block pages of its own, for the rest of the process.

    glibc moves that limit up to 32 MB as blocks are freed. Pixels of images then lie among what stays, and their memory
    is not returned: 6,000 damaged images, a few of them large, took a server from 190 to 311 MB, and to 204 MB with the
    limit fixed. Elsewhere than on glibc nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(MMAP_THRESHOLD, LARGE)
