"""The page of a run over HTTP, for a browser on the same machine.

`GET /` is the page, `/state.json` how far the run is, `/payload.json` what the page shows. The page asks for the state,
and for the payload where its version has changed. The server listens on the loopback address alone, and answers only
requests that name it: a page of the web whose name leads to this machine (DNS rebinding) gets nothing.
"""

from __future__ import annotations

import json
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from setpiece.errors import SetpieceError, UsageError
from setpiece.explain.live import LiveRun
from setpiece.web import render

__all__ = ["WatchServer"]

LOOPBACK = "127.0.0.1"
# What the page holds is inside it; it asks this server alone.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class WatchServer(ThreadingHTTPServer):
    """Serves a run's page until it is shut down.

    Args:
        run: the folder of a run; it may train, or have ended.
        port: 0 for any that is free.

    Raises:
        UsageError: there is no run, or the port is taken.
    """

    daemon_threads = True

    def __init__(self, run: Path, port: int = 0) -> None:
        self.run = LiveRun(run)
        try:
            super().__init__((LOOPBACK, port), _Handler)
        except (OSError, OverflowError) as error:
            raise UsageError(f"Port {port} cannot be used ({error}): give another --port, or none.") from error

    @property
    def address(self) -> str:
        """What to open in a browser."""
        return f"http://{LOOPBACK}:{self.server_port}/"


class _Handler(BaseHTTPRequestHandler):
    server: WatchServer

    def do_GET(self) -> None:
        """Answer with the page or one of its two parts."""
        port = self.server.server_port
        if self.headers.get("Host") not in (f"{LOOPBACK}:{port}", f"localhost:{port}"):
            self._answer(HTTPStatus.FORBIDDEN, "text/plain", f"Open {self.server.address}")
            return
        run = self.server.run
        try:
            match self.path:
                case "/":
                    self._answer(HTTPStatus.OK, "text/html", render(run.payload()))
                case "/state.json":
                    self._answer(HTTPStatus.OK, "application/json", _as_json(run.state()))
                case "/payload.json":
                    self._answer(HTTPStatus.OK, "application/json", _as_json(run.payload()))
                case _:
                    self._answer(HTTPStatus.NOT_FOUND, "text/plain", "There is nothing here.")
        except (SetpieceError, OSError) as error:
            self._answer(HTTPStatus.INTERNAL_SERVER_ERROR, "text/plain", str(error))

    def _answer(self, status: HTTPStatus, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        for name, value in {
            "Content-Type": f"{kind}; charset=utf-8",
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "Content-Security-Policy": POLICY,
            "X-Content-Type-Options": "nosniff",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        with suppress(ConnectionError):  # where the browser has left
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing of a request."""


def _as_json(content: dict[str, Any]) -> str:
    return json.dumps(content, allow_nan=False, separators=(",", ":"))
