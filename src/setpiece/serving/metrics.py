"""Figures of a server, as Prometheus reads them."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

__all__ = ["Metrics"]

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
SIZES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """Counts and times of one server; each has a registry of its own.

    Attributes:
        requests: for an image, by status.
        seconds: from a request to its answer.
        stages: seconds of the parts: receive, decode, wait, model.
        batch: images that the model looked at together.
        in_progress: requests that are worked on.
        objects: that were found, by class.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        to = self.registry
        self.requests = Counter("setpiece_requests", "Requests for detections by status.", ["status"], registry=to)
        self.seconds = Histogram("setpiece_request_seconds", "Time to the answer.", buckets=SECONDS, registry=to)
        self.stages = Histogram(
            "setpiece_stage_seconds", "Time of the parts of a request.", ["stage"], buckets=SECONDS, registry=to
        )
        self.batch = Histogram("setpiece_batch_images", "Images of an answer's batch.", buckets=SIZES, registry=to)
        self.in_progress = Gauge("setpiece_requests_in_progress", "Requests that are worked on.", registry=to)
        self.objects = Counter("setpiece_objects", "Objects that were found by class.", ["class"], registry=to)
        ProcessCollector(registry=to)  # memory, processor time, open files

    def text(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self.registry)
