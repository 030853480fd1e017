"""Images as people send them, and as they should not."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image

from ..colours import IMAGES, paint

SIZE, BOXES = IMAGES[0]


def encoded(image=None, format="PNG", **options):
    """The bytes of an image, by default of the first with coloured rectangles."""
    file = io.BytesIO()
    image = Image.fromarray(paint(SIZE, BOXES)) if image is None else image
    image.save(file, format, **options)
    return file.getvalue()


def png_header(width, height):
    """A PNG that has nothing but the header of so large an image."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = (b"\x89PNG\r\n\x1a\n", struct.pack(">I", 13), chunk, struct.pack(">I", zlib.crc32(chunk)))
    return b"".join(parts) + struct.pack(">I", 10) + b"IDAT" + bytes(10)


def mutated(seeds, count):
    """Files of images in which bytes were changed, dropped, repeated or cut off, by a fixed seed."""
    random = np.random.default_rng(0)
    for number in range(count):
        data = bytearray(seeds[number % len(seeds)])
        for _ in range(random.integers(1, 9)):
            place = int(random.integers(len(data)) if random.random() < 0.5 else random.integers(min(64, len(data))))
            match random.integers(4):
                case 0:
                    data[place] = random.integers(256)
                case 1:
                    del data[place : place + int(random.integers(1, 32))]
                case 2:
                    data[place:place] = data[place : place + int(random.integers(1, 32))]
                case 3:
                    data[place : place + 4] = random.bytes(4)
            data = data or bytearray(b"\0")
        yield bytes(data[: random.integers(1, len(data) + 1)] if random.random() < 0.2 else data)
