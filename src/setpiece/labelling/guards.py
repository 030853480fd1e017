"""Who may ask the server: pages that it gave out, by the address that was printed.

A page of another site can make a browser send requests to this machine (CSRF), and can give its own name the address
of this machine (DNS rebinding). So Host and Origin have to be the server's own, and what changes something carries a
header that no other site may send.
"""

from __future__ import annotations

import ipaddress
import secrets
import socket
from collections.abc import MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["POLICY", "Guards"]

# What the page may do: it holds all it needs, and asks this server alone.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SAFE = ("GET", "HEAD")
MOST_BYTES = 8_000_000  # of a request: an image with a hundred thousand boxes
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class Guards:
    """Middleware that refuses what does not come from the server's own page, before anything else sees it.

    Args:
        app: what answers the others.
        host: that the server listens on.
        port: likewise.
        token: that a browser has to have been given with the address; None where none is needed.
    """

    def __init__(self, app: ASGIApp, host: str, port: int, token: str | None = None) -> None:
        self.app, self._port, self._token = app, port, token
        self._cookie = f"setpiece-label-{port}"
        name = f"[{host}]" if ":" in host else host
        self._names = {"127.0.0.1", "localhost", "[::1]", name.lower()}
        self._everywhere = host in ("0.0.0.0", "::")
        if self._everywhere:
            self._names |= {socket.gethostname().lower(), socket.getfqdn().lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def sending(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), *HEADERS]}
            await send(message)

        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        answer = self._refusal(scope, headers) or self._without_token(scope, headers) or _too_large(headers)
        await (answer or self.app)(scope, receive, sending)

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> Response | None:
        host = headers.get("host", "").lower()
        if not self._is_ours(host):
            return _said(421, "This server is asked by another name than its own: open the address that it printed.")
        if headers.get("origin") not in (None, f"http://{host}"):
            return _said(403, "A page of another site may not ask this server.")
        is_page = scope["path"] == "/" and scope["method"] in SAFE
        if not is_page and headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return _said(403, "A page of another site may not ask this server.")
        if scope["method"] not in SAFE and headers.get("x-setpiece") != "label":
            return _said(403, "The header 'X-Setpiece: label' is missing: only the page changes labels.")
        return None

    def _is_ours(self, host: str) -> bool:
        name, _, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
        if not name:  # a browser leaves out the port that HTTP has by itself
            name, port = host, ""
        if (port or "80") != str(self._port):
            return False
        return name in self._names or (self._everywhere and _is_number(name))

    def _without_token(self, scope: Scope, headers: dict[str, str]) -> Response | None:
        """Why a browser that has not the token may not enter; where it brings it in the address, the cookie for it."""
        if self._token is None or self._same(_cookie(headers, self._cookie)):
            return None
        query = parse_qs(scope["query_string"].decode("latin-1"))
        if scope["path"] == "/" and scope["method"] == "GET" and self._same(query.get("token", [""])[0]):
            answer = RedirectResponse("/", 303)
            answer.set_cookie(self._cookie, self._token, httponly=True, samesite="strict", path="/")
            return answer
        return _said(401, "The token is missing or wrong: open the whole address that the server printed.")

    def _same(self, given: str) -> bool:
        return self._token is not None and secrets.compare_digest(given.encode(), self._token.encode())


def _is_number(name: str) -> bool:
    """Whether a host is an address in numbers, which no other site can take over."""
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _cookie(headers: dict[str, str], name: str) -> str:
    try:
        cookie = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return ""
    return cookie[name].value if name in cookie else ""


def _too_large(headers: dict[str, str]) -> Response | None:
    length = headers.get("content-length", "0")
    if "transfer-encoding" in headers or not length.isdigit() or int(length) > MOST_BYTES:
        return _said(413, f"A request has up to {MOST_BYTES} bytes, and says how many.")
    return None


def _said(status: int, detail: str) -> Response:
    return JSONResponse({"detail": detail}, status)
