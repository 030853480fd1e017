"""The body of a request -> the bytes of an image file."""

from __future__ import annotations

import asyncio

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import FormParser, parse_options_header
from starlette.requests import ClientDisconnect

from setpiece.serving.limits import Limits
from setpiece.serving.refusals import RefusedError

__all__ = ["MULTIPART", "image_file", "read_body", "require_known_type"]

MULTIPART = "multipart/form-data"
RAW = "application/octet-stream"
MAX_PARTS = 16  # of a form


def require_known_type(content_type: str) -> None:
    """Refuse what is neither an image nor a form, by its Content-Type; a body that has none may be an image.

    Raises:
        RefusedError: 415.
    """
    kind = _kind(content_type)
    if kind not in ("", RAW, MULTIPART) and not kind.startswith("image/"):
        raise RefusedError(
            415,
            f"The content type {kind[:80]!r} is not taken: send an image as image/jpeg, image/png or {RAW}, or a form "
            f"with one file as {MULTIPART}.",
            unread=True,
        )


async def read_body(request: Request, limits: Limits) -> bytes:
    """The body of a request, if it is small enough and arrives in time.

    Raises:
        RefusedError: 413 as soon as it is too large, 408 when it takes too long, 400 when it ends early.
    """
    too_large = RefusedError(
        413, f"The body has more than {limits.max_bytes} bytes: send a smaller image.", unread=True
    )
    said = request.headers.get("content-length", "")
    if said.isdecimal() and int(said) > limits.max_bytes:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(limits.body_seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limits.max_bytes:
                    raise too_large
    except TimeoutError:
        said = f"The body did not arrive within {limits.body_seconds:g} seconds: send it again, or a smaller image."
        raise RefusedError(408, said, unread=True) from None
    except ClientDisconnect:
        raise RefusedError(400, "The connection ended before the body did.") from None
    return bytes(body)


def image_file(body: bytes, content_type: str) -> bytes:
    """The image file in a body: the body itself, or the one file of a form.

    Raises:
        RefusedError: 400, there is none.

    Example:
        >>> form = b'--x\\r\\nContent-Disposition: form-data; name="image"; filename="a"\\r\\n\\r\\nbytes\\r\\n--x--'
        >>> image_file(form, "multipart/form-data; boundary=x")
        b'bytes'
    """
    file = _file_of_form(body, content_type) if _kind(content_type) == MULTIPART else body
    if not file:
        raise RefusedError(400, "The image is empty: send the bytes of an image file.")
    return file


def _kind(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _file_of_form(body: bytes, content_type: str) -> bytes:
    files: list[bytes] = []
    parts = 0

    def count(_: object) -> None:
        nonlocal parts
        parts += 1
        if parts > MAX_PARTS:
            raise RefusedError(400, f"The form has more than {MAX_PARTS} parts: send one file.")

    def keep(file: object) -> None:
        count(file)
        content = file.file_object  # type: ignore[attr-defined]
        content.seek(0)
        files.append(content.read())

    _, options = parse_options_header(content_type.encode("latin-1"))
    boundary = options.get(b"boundary")
    if not boundary:
        raise RefusedError(400, f"The content type {MULTIPART} has no boundary: let your HTTP client make the form.")
    try:  # a file that is larger than in memory would be written to a disk
        in_memory = {"MAX_MEMORY_FILE_SIZE": len(body) + 1}
        parser = FormParser(MULTIPART, count, keep, boundary=boundary, config=in_memory)
        parser.write(body)
        parser.finalize()
    except (FormParserError, ValueError, LookupError):
        raise RefusedError(400, "The form cannot be read: it is cut off, or its boundary is another one.") from None
    if len(files) != 1:
        raise RefusedError(400, f"The form has {len(files)} files, and one is looked at: send one, as -F image=@FILE.")
    return files[0]
