"""What users call an image -> RGB pixels. It needs no torch: exported models predict without it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from setpiece.data.fitting import fitted, read_fitted
from setpiece.data.images import read_image, to_rgb
from setpiece.errors import DataError, UsageError
from setpiece.inference.sources import require_no_address
from setpiece.input_size import InputSize

__all__ = ["Channels", "Picture", "require_content", "to_input", "to_pixels"]


@runtime_checkable
class TensorLike(Protocol):
    """What we use of a `torch.Tensor`."""

    def detach(self) -> Any: ...
    def cpu(self) -> Any: ...
    def is_floating_point(self) -> bool: ...


Picture = str | Path | Image.Image | np.ndarray | TensorLike
Channels = Literal["rgb", "bgr"]

ARRAY = "An image array is height x width, or height x width x 1, 3 (RGB) or 4 (RGBA), of uint8 (grey: or uint16)"
TENSOR = "An image tensor is 1, 3 (RGB) or 4 (RGBA) x height x width, of uint8 or of floating-point numbers in [0, 1]"


def to_input(
    picture: Picture, size: InputSize, channels: Channels = "rgb"
) -> tuple[UInt8[np.ndarray, "h w 3"], tuple[int, int]]:
    """The pixels of a picture at an input size, and the (height, width) that it has itself.

    Of a large JPEG file less is read, see `read_fitted`. So what is found in it differs a little from what is found in
    its pixels: by half a pixel of the input size at most in 95 of 100 boxes.

    Args:
        picture: as `to_pixels` takes it.
        size: of the model.
        channels: see `to_pixels`.

    Raises:
        DataError, UsageError: as `to_pixels`.

    Example:
        >>> pixels, original = to_input(np.zeros((100, 200, 3), np.uint8), InputSize(64, 64))
        >>> pixels.shape, original
        ((32, 64, 3), (100, 200))
    """
    if isinstance(picture, (str, Path)) and not Path(picture).is_dir():
        require_content(picture)
        return read_fitted(picture, size)
    pixels = to_pixels(picture, channels)
    return fitted(pixels, size), (pixels.shape[0], pixels.shape[1])


def to_pixels(picture: Picture, channels: Channels = "rgb") -> UInt8[np.ndarray, "H W 3"]:
    """The pixels of a file, a PIL image, an array or a tensor: RGB, [0, 255].

    All go one way, so a file and what Pillow reads from it give the same pixels: turned upright by its EXIF
    orientation, transparency laid over white, see `setpiece.data.images.to_rgb`.

    Args:
        picture: an array H x W x 3 of uint8, or x 4 with transparency, or grey of uint8 or uint16; or a tensor as
            torchvision has it, 3 x H x W, or 4 or 1, of uint8 or of floating-point numbers in [0, 1].
        channels: the order of the colours of an array or a tensor: "bgr" for what OpenCV reads. Files and PIL images
            know theirs.

    Raises:
        DataError: the file cannot be read, or the PIL image cannot be decoded.
        UsageError: it is no image, an address, an array or a tensor of another kind, or `channels` is none of the two.

    Example:
        >>> to_pixels(np.array([[[255, 0, 9]]], np.uint8), "bgr").tolist()
        [[[9, 0, 255]]]
    """
    if channels not in ("rgb", "bgr"):
        raise UsageError(f"The channels {channels!r} are not known: give 'rgb', or 'bgr' for images of OpenCV.")
    if isinstance(picture, (str, Path)):
        if Path(picture).is_dir():
            raise UsageError(f"{picture} is a folder among images: give the images in it.")
        require_content(picture)
        return read_image(picture)
    if isinstance(picture, TensorLike):
        picture = _channels_last(picture)
    if isinstance(picture, np.ndarray):
        picture = _pil(picture if channels == "rgb" else _reversed(picture))
    if not isinstance(picture, Image.Image):
        if isinstance(picture, bytes | int):  # what a list of bytes holds
            raise UsageError("Bytes are no image: give PIL.Image.open(io.BytesIO(...)).")
        kind = type(picture).__name__
        raise UsageError(f"{kind} is no image: give a path, a PIL image, an array or a tensor, or a list of them.")
    try:
        return to_rgb(picture)
    except Exception as error:  # Pillow's readers raise all kinds of errors
        raise DataError(f"A PIL image cannot be decoded ({error}): is its file closed or truncated?") from error


def require_content(file: str | Path) -> None:
    """Refuse what no reader of images needs to look at.

    Raises:
        DataError: the file is empty.
        UsageError: it is an address.
    """
    require_no_address(file)
    if os.path.isfile(file) and not os.path.getsize(file):
        raise DataError(f"The image {file} is empty (0 bytes): replace or remove it.")


def _reversed(array: np.ndarray) -> np.ndarray:
    """Blue, green and red in the opposite order; a fourth channel, transparency, stays the last."""
    if array.ndim != 3 or array.shape[2] not in (3, 4):
        return array
    return np.concatenate([array[..., 2::-1], array[..., 3:]], -1)


def _pil(array: np.ndarray) -> Image.Image:
    grey = array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array
    usable = grey.ndim == 2 or (grey.ndim == 3 and grey.shape[2] in (3, 4))
    if not usable or not grey.size or grey.dtype not in (np.uint8, *([np.uint16] if grey.ndim == 2 else [])):
        shape = " x ".join(map(str, array.shape))
        first = array.ndim == 3 and array.shape[0] in (1, 3) and array.shape[2] not in (1, 3, 4)
        fractions = np.issubdtype(array.dtype, np.floating)
        hint = " Put the channels last." if first else " Multiply values in [0, 1] by 255." if fractions else ""
        raise UsageError(f"{ARRAY}, not {shape} of {array.dtype}.{hint}")
    return Image.fromarray(grey)


def _channels_last(tensor: TensorLike) -> UInt8[np.ndarray, "H W C"]:
    kept = tensor.detach().cpu()
    pixels: np.ndarray = (kept.float() if kept.is_floating_point() else kept).numpy()
    if pixels.dtype == np.float32:
        if pixels.size and not (pixels.min() >= 0 and pixels.max() <= 1):
            raise UsageError(f"{TENSOR}, not from {pixels.min():.3g} to {pixels.max():.3g}: was it normalised?")
        pixels = (pixels * 255).round().astype(np.uint8)
    if pixels.ndim != 3 or pixels.shape[0] not in (1, 3, 4) or pixels.dtype != np.uint8 or not pixels.size:
        raise UsageError(f"{TENSOR}, not {' x '.join(map(str, kept.shape))} of {kept.dtype}.")
    return pixels.transpose(1, 2, 0)
