"""The body of a request -> the bytes of an image file, and the thresholds that a form has beside it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field, File, FormParser, parse_options_header
from starlette.requests import ClientDisconnect

from setpiece.serving.limits import Limits
from setpiece.serving.refusals import RefusedError

__all__ = ["MULTIPART", "THRESHOLD", "Upload", "opened", "read_body", "require_known_type"]

MULTIPART = "multipart/form-data"
RAW = "application/octet-stream"
MAX_PARTS = 16  # of a form
THRESHOLD = "threshold"  # the field of a form, and the query parameter


@dataclass(frozen=True)
class Upload:
    """What a body holds.

    Attributes:
        file: the bytes of an image file.
        thresholds: every field of that name of a form; none where the body is the image itself.
    """

    file: bytes
    thresholds: tuple[str, ...] = ()


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


def opened(body: bytes, content_type: str) -> Upload:
    """What a body holds: it is the image file itself, or a form with one file.

    Raises:
        RefusedError: 400, there is no file.

    Example:
        >>> form = b'--x\\r\\nContent-Disposition: form-data; name="image"; filename="a"\\r\\n\\r\\nbytes\\r\\n--x--'
        >>> opened(form, "multipart/form-data; boundary=x").file
        b'bytes'
    """
    upload = _form(body, content_type) if _kind(content_type) == MULTIPART else Upload(body)
    if not upload.file:
        raise RefusedError(400, "The image is empty: send the bytes of an image file.")
    return upload


def _kind(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _form(body: bytes, content_type: str) -> Upload:
    files: list[bytes] = []
    fields: list[Field] = []
    whole = False

    def count() -> None:
        if len(files) + len(fields) > MAX_PARTS:
            raise RefusedError(400, f"The form has more than {MAX_PARTS} parts: send one file.")

    def keep_field(field: Field) -> None:
        fields.append(field)
        count()

    def keep_file(file: File) -> None:
        file.file_object.seek(0)
        files.append(file.file_object.read())
        count()

    def end() -> None:
        nonlocal whole
        whole = True

    _, options = parse_options_header(content_type.encode("latin-1"))
    boundary = options.get(b"boundary")
    if not boundary:
        raise RefusedError(400, f"The content type {MULTIPART} has no boundary: let your HTTP client make the form.")
    try:  # a file that is larger than in memory would be written to a disk
        in_memory = {"MAX_MEMORY_FILE_SIZE": len(body) + 1}
        parser = FormParser(MULTIPART, keep_field, keep_file, end, boundary=boundary, config=in_memory)
        parser.write(body)
        parser.finalize()
    except (FormParserError, ValueError, LookupError):
        whole = False
    if not whole:
        raise RefusedError(400, "The form cannot be read: it is cut off, or its boundary is another one.")
    if len(files) != 1:
        raise RefusedError(400, f"The form has {len(files)} files, and one is looked at: send one, as -F image=@FILE.")
    thresholds = (field.value or b"" for field in fields if field.field_name == THRESHOLD.encode())
    return Upload(files[0], tuple(value.decode("utf-8", "replace") for value in thresholds))
