"""The address that a server listens at. What labels uses it too, and loads no model."""

from __future__ import annotations

import ipaddress
import socket

from setpiece.errors import UsageError

__all__ = ["address_of", "bind", "is_loopback"]


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that listens there.

    Example:
        >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("localhost"), is_loopback("0.0.0.0")
        (True, True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def bind(host: str, port: int) -> socket.socket:
    """A socket at an address, before the model is loaded; it does not listen yet.

    Args:
        port: 0 for any that is free.

    Raises:
        UsageError: the address is taken, or is none of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # By its protocol asyncio knows that it may set TCP_NODELAY, without which answers come 40 ms later.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except (OSError, OverflowError, UnicodeError) as error:
        bound.close()
        if isinstance(error, socket.gaierror | UnicodeError):
            raise UsageError(f"There is no machine {host!r} to listen on: give another --host.") from error
        where, why = host if port == 0 else f"Port {port} of {host}", getattr(error, "strerror", None) or error
        raise UsageError(f"{where} cannot be used ({why}): give another --port or --host.") from error
    return bound


def address_of(bound: socket.socket) -> str:
    """What to open in a browser, also on other machines where it listens on all addresses of this one."""
    host, port = bound.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        return f"http://{socket.gethostname()}:{port}/"
    return f"http://[{host}]:{port}/" if bound.family == socket.AF_INET6 else f"http://{host}:{port}/"
