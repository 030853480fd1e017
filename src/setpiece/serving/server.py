"""The process that serves, and how it ends."""

from __future__ import annotations

import asyncio
import logging
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

HEADER_SECONDS = 10.0  # in which a new connection has to say what it wants


class _Protocol(H11Protocol):
    """HTTP/1.1; a connection on which no request comes is closed, for which uvicorn would wait for ever."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.loop.call_later(HEADER_SECONDS, self._close_if_silent)

    def _close_if_silent(self) -> None:
        if self.cycle is None:
            self.transport.close()


class DetectionServer(uvicorn.Server):
    """Serves a detector until SIGTERM or Ctrl-C, and then answers what it accepted.

    At the first signal nothing new is accepted. Connections that are there are still served for half a second, and each
    answer says that it is the last. Then the server waits for what it works on. A second signal ends it at once.

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

    def handle_exit(self, *_: object) -> None:
        """A signal came. uvicorn would raise it again in the end; a server that was told to end has not failed."""
        self.force_exit = self.should_exit
        self.should_exit = True
