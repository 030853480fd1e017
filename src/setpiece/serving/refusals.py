"""Why a request is not met: a status, and one sentence for whoever sent it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from fastapi.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from setpiece.errors import SetpieceError

__all__ = ["RefusedError", "refusal"]

LINGER = 1.0  # seconds in which a body that nobody wants is read on


class RefusedError(SetpieceError):
    """A request that is not met.

    Args:
        status: of HTTP.
        message: one sentence.
        headers: that go with the status.
        unread: whether the body was not read to its end.
    """

    def __init__(
        self, status: int, message: str, headers: Mapping[str, str] | None = None, *, unread: bool = False
    ) -> None:
        super().__init__(message)
        self.status, self.headers, self.unread = status, dict(headers or {}), unread


def refusal(error: RefusedError) -> JSONResponse:
    """The answer to a request that is not met: `{"detail": "One sentence."}`."""
    kind = _Lingering if error.unread else JSONResponse
    return kind({"detail": str(error)}, error.status, error.headers)


class _Lingering(JSONResponse):
    """Answers before the body was read, and ends the connection a little later.

    A connection that is closed while its client still sends is reset, and many clients then never see the answer. So
    what comes is thrown away for a while.
    """

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        headers = [*self.raw_headers, (b"connection", b"close")]
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": bytes(self.body), "more_body": True})
        try:
            async with asyncio.timeout(LINGER):
                while (await receive()).get("more_body"):
                    pass
        except TimeoutError:
            pass
        await send({"type": "http.response.body", "body": b"", "more_body": False})
