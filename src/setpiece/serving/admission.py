"""Who may enter, and how many at a time."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from setpiece.errors import UsageError
from setpiece.serving.refusals import RefusedError

__all__ = ["Admission", "checked_token"]

LONGEST = 60  # seconds after which whoever was refused may come again, at most


def checked_token(token: str) -> str:
    """A token as a header carries it: without white space at its ends, which a file or a secret may have.

    Raises:
        UsageError: it is empty, or has characters that clients encode differently.

    Example:
        >>> checked_token("sesame\\n")
        'sesame'
    """
    token = token.strip()
    if not token:
        raise UsageError("The token is empty: give one, or leave --token and SETPIECE_TOKEN away.")
    if not (token.isascii() and token.isprintable()):
        raise UsageError("The token has characters that are not printable ASCII: make one of letters and digits.")
    return token


class Admission:
    """A bounded number of requests at a time, of those who know the token.

    Args:
        token: None where everybody may ask, see `checked_token`.
        most: requests at a time.
        seconds: that a request takes about, for telling others when to come again.

    Attributes:
        inside: requests that were let in, and have not been answered.
        coming: those of them whose image is not decoded yet.
    """

    def __init__(self, token: str | None, most: int, seconds: Callable[[], float]) -> None:
        self._token = None if token is None else checked_token(token).encode()
        self._most, self._seconds = most, seconds
        self.inside = self.coming = 0

    @property
    def needs_token(self) -> bool:
        """Whether there is one."""
        return self._token is not None

    def require_token(self, authorization: str) -> None:
        """Refuse a header `Authorization` without the token; how long that takes says nothing about it.

        Raises:
            RefusedError: 401.
        """
        if self._token is None:
            return
        scheme, _, given = authorization.partition(" ")
        same = secrets.compare_digest(given.strip().encode("latin-1", "replace"), self._token)
        if scheme.lower() != "bearer" or not same:
            said = "The token is missing or wrong: send the header 'Authorization: Bearer TOKEN'."
            raise RefusedError(401, said, {"WWW-Authenticate": "Bearer"}, unread=True)

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Count a request as long as it is worked on.

        Raises:
            RefusedError: 503 with `Retry-After`, there are too many.
        """
        if self.inside >= self._most:
            after = min(LONGEST, max(1, math.ceil(self.inside * self._seconds())))
            said = f"The server works on {self.inside} requests already: try again in {after} s."
            raise RefusedError(503, said, {"Retry-After": str(after)}, unread=True)
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1

    @contextmanager
    def on_the_way(self) -> Iterator[None]:
        """Count a request as long as its image is received and decoded."""
        self.coming += 1
        try:
            yield
        finally:
            self.coming -= 1
