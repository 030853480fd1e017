"""The process that serves, and how it ends."""

from __future__ import annotations

import asyncio
import logging
import math
import socket

import numpy as np
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from setpiece.inference.detecting import Detecting
from setpiece.serving.address import address_of, bind, is_loopback
from setpiece.serving.app import create_app
from setpiece.serving.around import Draining
from setpiece.serving.limits import Limits

__all__ = ["DetectionServer", "address_of", "bind", "is_loopback"]

HEADER_SECONDS = 10.0  # in which a new connection, or one that begins another request, has to say what it wants
ANSWER_SECONDS = 30.0  # in which a client has to read an answer
END_SECONDS = 60.0  # that the end takes at most, beside those in which a body has to arrive
PER_REQUEST, SPARE = 4, 64  # connections for each request that is worked on, and beside them


class _Protocol(H11Protocol):
    """HTTP/1.1; connections end on which no request comes or no answer is read: uvicorn would wait for ever."""

    _header: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.set_write_buffer_limits(0)  # so that writing pauses until all of an answer is sent
        self._header = self.loop.call_later(HEADER_SECONDS, transport.close)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)  # it stops the timer of a connection that is kept, whatever comes
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_header_timer()
        elif self._header is None:
            self._header = self.loop.call_later(HEADER_SECONDS, self.transport.close)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(ANSWER_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_unread_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_header_timer()
        self._stop_unread_timer()

    def _stop_header_timer(self) -> None:
        if self._header is not None:
            self._header.cancel()
            self._header = None

    def _stop_unread_timer(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None


class DetectionServer(uvicorn.Server):
    """Serves a detector until SIGTERM or Ctrl-C, and then answers what it accepted.

    At the first signal nothing new is accepted. Connections that are there are still served for half a second, and each
    answer says that it is the last. Then the server waits for what it works on, at most the seconds of a body and a
    minute. A second signal ends it at once.

    Args:
        detecting: finds the objects.
        name: of the model.
        limits: what requests may take.
        token: that requests have to carry, None for none.

    Attributes:
        last_seconds: in which requests that were sent before the end was known still come in.
    """

    def __init__(self, detecting: Detecting, name: str, limits: Limits, token: str | None = None) -> None:
        self.last_seconds = 0.5
        logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it tells the log of every damaged form
        height, width = detecting.size.fit(480, 640)
        list(detecting.predict([np.zeros((height, width, 3), np.uint8)]))  # what is loaded at first use is loaded now
        self._draining = Draining()
        app = create_app(detecting, name, limits=limits, token=token, draining=self._draining)
        super().__init__(
            uvicorn.Config(
                app, http=_Protocol, loop="asyncio", ws="none", lifespan="on", proxy_headers=False,
                server_header=False, log_config=None, log_level="error", access_log=False,
                limit_concurrency=PER_REQUEST * limits.max_queue + SPARE,
                timeout_graceful_shutdown=math.ceil(limits.body_seconds + END_SECONDS),
            )
        )  # fmt: skip

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End, as said above."""
        self._draining.on = True
        await asyncio.sleep(0)  # connections that the kernel has accepted come in
        for server in self.servers:
            server.close()
        for bound in sockets or []:
            bound.close()
        if not self.force_exit:
            await asyncio.sleep(self.last_seconds)
        await super().shutdown(sockets)
        for connection in self.server_state.connections:  # whose answers nobody read
            connection.transport.abort()
        await asyncio.sleep(0)  # in which they are closed

    def handle_exit(self, *_: object) -> None:
        """A signal came. uvicorn would raise it again in the end; a server that was told to end has not failed."""
        self.force_exit = self.should_exit
        self.should_exit = True
