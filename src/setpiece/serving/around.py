"""What is done around every request: headers of the answer, HEAD, and the figures of detections."""

from __future__ import annotations

import time
from collections.abc import MutableMapping
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from setpiece.serving.metrics import Metrics

__all__ = ["Around", "Draining"]


class Draining:
    """Whether the server is about to end; then connections are not kept for another request."""

    def __init__(self) -> None:
        self.on = False


class Around:
    """Middleware.

    Args:
        app: what answers.
        counted: the path whose requests are counted.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, draining: Draining, counted: str) -> None:
        self.app, self.metrics, self.draining, self.counted = app, metrics, draining, counted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if scope["method"] == "HEAD":  # answered as GET; the server, which knows what was asked, sends no body
            scope = {**scope, "method": "GET"}
        counted, started, status = scope["path"] == self.counted, time.perf_counter(), 500

        async def sending(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message.get("headers", []), (b"x-content-type-options", b"nosniff")]
                if self.draining.on and (b"connection", b"close") not in headers:
                    headers.append((b"connection", b"close"))
                message = {**message, "headers": headers}
            await send(message)

        try:
            await self.app(scope, receive, sending)
        finally:
            if counted:
                self.metrics.requests.labels(str(status)).inc()
                self.metrics.seconds.observe(time.perf_counter() - started)
