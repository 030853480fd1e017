"""What a server takes, and how long it waits."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True)
class Limits:
    """What bounds the memory and the time that requests can take.

    Attributes:
        max_batch: images that the model looks at together, at most. A model that was exported with a fixed number of
            images takes no more than that.
        max_wait_ms: how long an image waits for others that are on their way, in milliseconds.
        max_pixels: of an image, as its header says; more are not decoded.
        max_bytes: of the body of a request.
        max_queue: requests that are worked on at a time; others are told to come again.
        body_seconds: in which the whole body of a request has to arrive.
    """

    max_batch: int = 8
    max_wait_ms: float = 5.0
    max_pixels: int = 25_000_000
    max_bytes: int = 20_000_000
    max_queue: int = 128
    body_seconds: float = 30.0
